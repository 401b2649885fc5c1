"""REQUEST: the Organizer invites or changes, the recipient is an Attendee (RFC 5546 §3.2.2, rules Q and V1).

A message with a master brings the whole series; one without speaks of its instances alone, and everything else
stays untouched.
"""

import re

from . import acquaintance, authority, change, merge, recurrence, series, zones
from .decision import Added, Decision, NoAction, Reason, Updated
from .draft import MASTER, Draft
from .instance import Instance
from .lines import Component, written
from .message import CalendarObject, Context, ItipMessage
from .revision import is_buried

PRODID = "-//imipd//imipd//EN"
_OF_A_CALENDAR = ("VERSION", "PRODID", "CALSCALE", "VTIMEZONE")
# Google names the second half of a split series after the first: abc_R20260310T090000@google.com.
_SECOND_HALF = re.compile(r"(?P<first>.+)_R\d{8}(T\d{6}Z?)?(?P<at>@.*)?")


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the invitation or the change does to the Attendee's calendar."""
    if stored is None:
        return _invite(message, context)
    decision = change.decide(message.content, stored, context, carry_out)
    # A delegator's REQUEST may come again, but changes nothing (A1).
    refused = authority.not_from_the_organizer(message, stored, context) if isinstance(decision, Updated) else None
    return refused or decision


def first_half(uid: str) -> str | None:
    """Return the UID of the series of which `uid` names a second half, None where it does not (Q2)."""
    match = _SECOND_HALF.fullmatch(uid)
    return f"{match['first']}{match['at'] or ''}" if match else None


def _invite(message: ItipMessage, context: Context) -> Decision:
    """Add a new object, where the policy says so (Q2)."""
    unwanted = acquaintance.unwanted(message, context)
    if unwanted and not authority.brings_second_half(message, context):
        return _gone(message.content, context) or NoAction(Reason.INVITATION_NOT_ADDED, unwanted)
    return added(message, context, Reason.INVITED)


def added(message: ItipMessage, context: Context, reason: Reason) -> Decision:
    """Return the new object, unless it was called off before."""
    content = message.content
    gone = _gone(content, context)
    if gone:
        return gone
    draft = Draft(content, context)
    draft.first = authority.first_brought_by(message, context)
    for item in content.instances:
        label = draft.label(item.recurrence_id)
        if content.master is None and _called_off(item, content, context):
            del draft.items[label]
            continue
        draft.put(label, merge.invited(item, draft.first, context))
        draft.applied(item, label, reason)
    series.bury(draft)
    calendar = zones.complete(_headed(_alone(draft.calendar(), content.kind)), content.zones, change.first_day(content))
    return Added(reason, calendar.to_bytes(), revisions=tuple(draft.findings.revisions))


def _gone(content: CalendarObject, context: Context) -> NoAction | None:
    """Return why nothing of it is left to add (Q2, C1)."""
    gone = [_called_off(item, content, context) for item in ([content.master] if content.master else content.instances)]
    return NoAction(gone[0] or Reason.STALE, "called off or deleted before") if all(gone) else None


def _called_off(item: Instance, content: CalendarObject, context: Context) -> Reason | None:
    """Return how a tombstone of the whole or of this instance stands against it, None where none does (Q2, C1)."""
    party = content.organizer.address if content.organizer else ""
    for sequence, reason in (((item.sequence or 0) + 1, Reason.STALE), (item.sequence, Reason.DELETED_HERE)):
        if any(is_buried(label, sequence, party, context.memory) for label in (MASTER, item.label)):
            return reason
    return None


def _alone(calendar: Component, kind: str) -> Component:
    """Nothing comes along with an event: one object is of one kind (RFC 4791 §4.1), and the calendar is mine."""
    return calendar.with_content(item for item in calendar.content if item.name in (*_OF_A_CALENDAR, kind))


def _headed(calendar: Component) -> Component:
    """RFC 5545 §3.6 demands VERSION and PRODID; servers refuse an object without them."""
    missing = [(name, value) for name, value in (("VERSION", "2.0"), ("PRODID", PRODID)) if not calendar.all(name)]
    return calendar.append(written(name, value) for name, value in missing)


def carry_out(content: CalendarObject, draft: Draft) -> None:
    """Bring the Organizer's copy into what is stored (Q3, Q4, Q5)."""
    master = content.master
    if master is not None and not draft.is_stale(master, MASTER):
        series.replace(content, master, draft)
        return
    if master is not None:
        draft.findings.refused.append(NoAction(Reason.STALE, "a later version was applied"))  # V1
    _change_instances(content, draft)


def _change_instances(content: CalendarObject, draft: Draft) -> None:
    """Replace or add instances; everything else stays untouched (Q5)."""
    items = [series.in_form(item, draft) for item in content.overrides]
    applied = [item for item in items if not change.is_refused(item, draft)]
    series.include([item.recurrence_id for item in applied if item.recurrence_id], draft)
    for item in applied:
        label, master = draft.label(item.recurrence_id), draft.master
        if master is not None and label not in draft.items and not _exists(master, item):
            draft.findings.notes.append(f"series may be outdated: it has no instance {label}")
        series.put_instance(item, label, draft)
    if draft.context.policy.cancelled == "mark":
        series.bury(draft, {draft.label(item.recurrence_id) for item in applied})


def _exists(master: Instance, item: Instance) -> bool:
    asked = item.recurrence_id
    return asked is not None and recurrence.is_askable(master) and recurrence.locate(master, asked) is not None
