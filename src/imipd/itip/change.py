"""What a message of the Organizer does to a stored object, its time zones included (rules V1, Q5, Q7)."""

from collections.abc import Callable
from datetime import date

from . import recurrence, zones
from .decision import Decision, NoAction, Reason
from .draft import MASTER, Draft
from .instance import Instance
from .lines import Component, Line
from .message import CalendarObject, Context, with_names
from .revision import is_buried
from .wire import settled

CarryOut = Callable[[CalendarObject, Draft], None]
"""Brings the message's components into the draft of what is stored."""


def decide(content: CalendarObject, stored: CalendarObject, context: Context, carry_out: CarryOut) -> Decision:
    """Return what `carry_out` makes of the stored object, each TZID defined as it is meant."""
    draft = _carried_out(content, stored, context, carry_out)
    names = _clashes(content, stored, draft)
    if names:
        content = with_names(content, names, first_day(content))
        draft = _carried_out(content, stored, context, carry_out)
    return draft.findings.conclude(stored, _written(content, stored, draft))


def _carried_out(content: CalendarObject, stored: CalendarObject, context: Context, carry_out: CarryOut) -> Draft:
    draft = Draft(stored, context, content.zones)
    carry_out(content, draft)
    return draft


def is_refused(item: Instance, draft: Draft) -> bool:
    """Note why an instance of the message is not to be put, and return whether it is not (V1, Q5)."""
    label = draft.label(item.recurrence_id)
    if draft.is_stale(item, label):
        draft.findings.refused.append(NoAction(Reason.STALE, label))
        return True
    if _is_deleted(item, label, draft):
        draft.findings.refused.append(NoAction(Reason.DELETED_HERE, label))
        return True
    return False


def _is_deleted(item: Instance, label: str, draft: Draft) -> bool:
    """An EXDATE of this instance goes only at a higher SEQUENCE (Q5); what is only marked comes, and is marked."""
    master, asked = draft.master, item.recurrence_id
    organizer, marks = draft.stored.organizer, master is not None and draft.context.policy.cancelled == "mark"
    if not marks and organizer and is_buried(label, item.sequence, organizer.address, draft.context.memory):
        return True
    if master is None or asked is None or not recurrence.is_excluded(master, asked):
        return False
    return (item.sequence or 0) <= (draft.known(master, MASTER).sequence or 0)


def _clashes(content: CalendarObject, stored: CalendarObject, draft: Draft) -> dict[str, str]:
    """Return new names for incoming TZIDs that lines which stay use with other offsets (Q7)."""
    stored_lines = {id(line) for item in stored.instances for line in item.component.lines}
    stays = (item.component.with_content(_among(stored_lines, item.component)) for item in draft.items.values())
    both = zones.tzids(stays) & zones.tzids(item.component for item in content.instances)
    return zones.clashes(stored.zones, content.zones, both, first_day(content).year)


def _among(known: set[int], part: Component) -> list[Line]:
    return [line for line in part.lines if id(line) in known]


def _written(content: CalendarObject, stored: CalendarObject, draft: Draft) -> Component:
    calendar = settled(stored.calendar, draft.calendar())
    if calendar.to_bytes() == stored.calendar.to_bytes():
        return calendar
    used = zones.tzids(item.component for item in content.instances)
    known = stored.zones.renewed(content.zones, used, first_day(content).year)
    return settled(stored.calendar, zones.complete(calendar, known, min(first_day(content), first_day(stored))))


def first_day(content: CalendarObject) -> date:
    """Return the day from which on the time zones of an object are needed."""
    # A VTODO may have only DUE.
    times = [at for at in (item.start or item.end for item in content.instances) if at is not None]
    return min((date(at.year, at.month, at.day) for at in times), default=date(2026, 1, 1))
