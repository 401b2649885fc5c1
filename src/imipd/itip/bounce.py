"""A mail of the Organizer that came back: it never reached an Attendee (RFC 3464, RFC 6638 §3.2.9, rules B).

Whoever knows the event can forge such a report. So it says no more than that, in the Attendee's SCHEDULE-STATUS.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from . import parts, revision
from .decision import Decision, NoAction, Reason, Updated
from .draft import MASTER, Draft
from .instance import Instance, Party
from .lines import written
from .message import RETURNED, CalendarObject, Context, ItipMessage, Limits
from .parts import CalendarPart

UNDELIVERED = "5.1"
_SENT = ("REQUEST", "ADD", "CANCEL")


def returned(found: Sequence[CalendarPart], failed: Iterable[str], limits: Limits) -> tuple[ItipMessage, ...]:
    """Return the messages of an Organizer in a mail that came back from these addresses."""
    nobody = frozenset(failed)
    messages = parts.gather(found, limits) if nobody else ()
    sent = (message for message in messages if isinstance(message, ItipMessage) and message.method in _SENT)
    return tuple(replace(message, method=RETURNED, failed=nobody) for message in sent)


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what is noted on the lines of those whom the mail did not reach."""
    if stored is None:
        return NoAction(Reason.BOUNCE, "the recipient does not have the event")
    if not _is_mine(stored, context) or not _is_mine(message.content, context):
        return NoAction(Reason.BOUNCE, "the recipient does not organize the event")
    written_to = {party.address for party in message.content.attendees} & message.failed
    draft = Draft(stored, context)
    for item in message.content.instances:
        for label in draft.items if item.recurrence_id is None else [draft.label(item.recurrence_id)]:
            if label in draft.items:
                _mark(item, label, written_to, draft)
    if not draft.findings.reasons:
        return NoAction(Reason.BOUNCE, "none of the addresses is an Attendee's who is still waited for")
    body, detail = draft.calendar().to_bytes(), ", ".join(sorted(written_to))
    if body == stored.calendar.to_bytes():
        return NoAction(Reason.NO_CHANGE, detail)
    return Updated(Reason.INVITATION_BOUNCED, body, detail)


def _is_mine(held: CalendarObject, context: Context) -> bool:
    return held.organizer is not None and context.is_me(held.organizer.address)


def _mark(item: Instance, label: str, written_to: set[str], draft: Draft) -> None:
    held = draft.items[label]
    if (item.sequence or 0) < (held.sequence or 0):
        return  # he was written to again
    part = held.component
    for party in held.attendees:
        if party.address in written_to and not _has_answered(party, label, item, draft):
            parameters = party.line.parameters
            parameters["SCHEDULE-STATUS"] = UNDELIVERED
            line = written(party.line.name, party.line.value, parameters)
            part = part if line.key == party.line.key else part.swap(party.line, line)
            draft.findings.reasons.append(Reason.INVITATION_BOUNCED)
    draft.put(label, part)


def _has_answered(party: Party, label: str, item: Instance, draft: Draft) -> bool:
    """Return whether an answer of his to this version was applied: then it did reach him, whatever came back."""
    known = revision.last(party, label, draft.context.memory) or revision.last(party, MASTER, draft.context.memory)
    return known is not None and known.sequence is not None and known.sequence >= (item.sequence or 0)
