"""The calendar parts of one mail made into iTIP messages: each object once (rules G5, G6)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from .decision import Error, NoAction, Reason
from .instance import Instance
from .lines import MalformedError
from .message import LIMITS, ItipMessage, Limits, parse

_COMPARED = ("RRULE", "STATUS", "SEQUENCE")


class CalendarPart(Protocol):
    """A calendar part of a mail, as the mail room gives it."""

    @property
    def content_type(self) -> str:
        """Lower case, without parameters."""

    @property
    def method(self) -> str | None:
        """The part's method parameter, upper case."""

    @property
    def body(self) -> bytes:
        """Decoded, UTF-8."""


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """A part, or several that contradict each other, of which no message can be made."""

    method: str | None
    uid: str | None
    decision: Error | NoAction


def gather(parts: Sequence[CalendarPart], limits: Limits = LIMITS) -> tuple[ItipMessage | Unprocessed, ...]:
    """Return the messages in the parts of a mail, in their order; text/calendar goes before its copies."""
    messages: list[ItipMessage] = []
    failed: list[Unprocessed] = []
    for part in sorted(parts, key=lambda part: part.content_type != "text/calendar"):
        try:
            messages.append(parse(part.body, part.method, limits))
        except MalformedError as error:
            failed.append(Unprocessed(part.method, None, Error(error.reason, error.detail)))
    return (*_each_once(messages), *failed)


def _each_once(messages: Sequence[ItipMessage]) -> list[ItipMessage | Unprocessed]:
    seen: dict[tuple[str, str, str], Instance] = {}
    found: list[ItipMessage | Unprocessed] = []
    for message in messages:
        keys = {(message.uid, message.method, item.label): item for item in message.content.instances}
        if any(key in seen and _compared(seen[key]) != _compared(item) for key, item in keys.items()):
            # RFC 9671 §4: parts that disagree are not to be processed, not even the first.
            detail = "several calendar parts say different things of one instance"
            found = [item for item in found if item.uid != message.uid]
            found.append(Unprocessed(message.method, message.uid, Error(Reason.PARTS_DISAGREE, detail)))
        elif fresh := tuple(item for key, item in keys.items() if key not in seen):
            found.append(_only(message, fresh))
        elif not keys:
            found.append(message)
        seen.update(keys)
    return found


def _compared(item: Instance) -> tuple[object, ...]:
    """What must be equal in two copies of an instance; texts and X- properties may differ."""
    lines = frozenset(line.key for name in _COMPARED for line in item.component.all(name))
    partstats = frozenset((party.address, party.partstat) for party in item.attendees)
    return item.start, item.end, lines, item.organizer.address if item.organizer else "", partstats


def _only(message: ItipMessage, items: tuple[Instance, ...]) -> ItipMessage:
    content = message.content
    if len(items) == len(content.instances):
        return message
    kept = {id(item.component) for item in items}
    others = (part for part in content.calendar.content if id(part) in kept or part not in content.calendar.components)
    content = replace(content, calendar=content.calendar.with_content(others), instances=items)
    return ItipMessage(message.method, content)
