"""The calendar parts of one mail made into iTIP messages: each object once (rules G5, G6)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from . import moment
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
    seen: dict[Key, Instance] = {}
    found: dict[int, ItipMessage] = {}
    contradicted: dict[str, Unprocessed] = {}
    for index, message in enumerate(messages):
        keys = {_key(message, item): item for item in message.content.instances}
        if not all(_agree(seen[key], item) for key, item in keys.items() if key in seen):
            # RFC 9671 §4: parts that disagree are not to be processed, not even the first.
            decision = Error(Reason.PARTS_DISAGREE, "several calendar parts say different things of one instance")
            contradicted.setdefault(message.uid, Unprocessed(message.method, message.uid, decision))
        fresh = tuple(item for key, item in keys.items() if key not in seen)
        if fresh or not keys:
            found[index] = _only(message, fresh)
        seen.update(keys)
    return _in_order(found.values(), contradicted)


def _in_order(found: Iterable[ItipMessage], contradicted: Mapping[str, Unprocessed]) -> list[ItipMessage | Unprocessed]:
    """Return each message; of a UID that is contradicted the one refusal, in the place of its first message."""
    left = dict(contradicted)
    kept = (left.pop(item.uid, None) if item.uid in contradicted else item for item in found)
    return [item for item in kept if item is not None]


Key = tuple[str, str, str, bool]


def _key(message: ItipMessage, item: Instance) -> Key:
    # Each component of an ADD is an instance of its own (RFC 5546 §3.2.4).
    added = moment.label(item.start) if message.method == "ADD" and item.start else ""
    return message.uid, message.method, item.label or added, item.this_and_future


def _agree(one: Instance, other: Instance) -> bool:
    """Return whether two copies of an instance are of one mind; texts and X- properties may differ."""
    # One of them may call itself a task, with a DUE or still with its DTEND.
    ends = one.kind != other.kind or one.end == other.end
    return ends and _compared(one) == _compared(other)


def _compared(item: Instance) -> tuple[object, ...]:
    lines = frozenset(line.key for name in _COMPARED for line in item.component.all(name))
    partstats = frozenset((party.address, party.partstat) for party in item.attendees)
    return item.start, lines, item.organizer.address if item.organizer else "", partstats


def _only(message: ItipMessage, items: tuple[Instance, ...]) -> ItipMessage:
    content = message.content
    if len(items) == len(content.instances):
        return message
    gone = {id(item.component) for item in content.instances} - {id(item.component) for item in items}
    calendar = content.calendar.with_content(part for part in content.calendar.content if id(part) not in gone)
    content = replace(content, calendar=calendar, instances=items)
    return ItipMessage(message.method, content)
