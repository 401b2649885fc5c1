"""CANCEL: the Organizer calls off, the recipient is an Attendee (RFC 5546 §3.2.5, rules C).

Called off is what the message names and nothing else; what a policy of `mark` keeps says STATUS:CANCELLED.
"""

from datetime import timedelta

from imipd.memory import Tombstone

from . import moment, recurrence, revision, series
from .decision import Decision, NoAction, Reason
from .draft import MASTER, Draft, Target
from .instance import Instance
from .lines import Component, Line, written
from .message import CalendarObject, Context, ItipMessage
from .moment import Moment
from .rule import Rule
from .zones import Zones


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what is called off in the Attendee's object."""
    if stored is None:
        return _unknown(message, context)
    draft = Draft(stored, context)
    for item in sorted(message.content.instances, key=lambda item: item.recurrence_id is not None):
        if item.recurrence_id is None:
            _cancel_whole(item, draft)
        elif item.this_and_future:
            _truncate(item, draft)
        else:
            _cancel_one(item, draft)
    return draft.findings.conclude(stored, draft.calendar() if draft.items else None)


def _unknown(message: ItipMessage, context: Context) -> NoAction:
    """Remember what is not there, so that the REQUEST that comes late stays out (C1, RFC 5546 §5.2.1)."""
    items, organizer = message.content.instances, message.content.organizer
    party = organizer.address if organizer else context.originator or ""
    if all(revision.is_buried(item.label, item.sequence, party, context.memory) for item in items):
        return NoAction(Reason.DELETED_HERE)  # C6
    buried = [Tombstone(party, item.label, item.sequence, item.dtstamp) for item in items if item.sequence]
    return NoAction(Reason.UNKNOWN_UID, tombstones=tuple(buried))


def _cancel_whole(item: Instance, draft: Draft) -> None:
    """Call off the master and every override that the Organizer has not sent anew since (C3)."""
    if draft.is_stale(item, MASTER):
        draft.findings.refused.append(NoAction(Reason.STALE))
        return
    draft.findings.reasons.append(Reason.CANCELLED)
    if draft.context.policy.cancelled == "delete":
        draft.findings.tombstones.append(_tombstone(item, MASTER, draft))
        draft.items.clear()
        return
    for label in [label for label in draft.items if not draft.is_stale(item, label)]:
        _mark(item, Target(label, draft.items[label]), draft)


def _cancel_one(item: Instance, draft: Draft) -> None:
    """Call off one instance (C4)."""
    master, asked = draft.master, item.recurrence_id
    if asked is not None and master is not None and recurrence.is_excluded(master, asked):
        draft.findings.refused.append(NoAction(Reason.DELETED_HERE, item.label))  # C6
        return
    target = draft.target(asked)
    if not isinstance(target, Target):
        draft.findings.refused.append(target)
        # The series may have to change first: what comes late then finds this instance called off.
        draft.findings.tombstones += [_tombstone(item, draft.label(asked), draft)] if item.sequence else []
        return
    if draft.is_stale(item, target.label):
        draft.findings.refused.append(NoAction(Reason.STALE, target.label))
        return
    draft.findings.reasons.append(Reason.INSTANCE_CANCELLED)
    if draft.context.policy.cancelled == "delete":
        _exclude(item, target, draft)
    else:
        _mark(item, target, draft)


def _mark(item: Instance, target: Target, draft: Draft) -> None:
    part = target.item.component.set("STATUS", "CANCELLED")
    _stamp(item, target, part, draft)


def _stamp(item: Instance, target: Target, part: Component, draft: Draft) -> None:
    """Write a changed component with the greater SEQUENCE and the revision of the message."""
    if item.sequence is not None:
        part = part.set("SEQUENCE", str(max(item.sequence, target.item.sequence or 0)))
    organizer = target.item.organizer
    if organizer is not None:
        new = revision.of_message(item, organizer.address, target.label, draft.context.date)
        line = revision.remember(organizer.line, new)
        part = part if line.key == organizer.line.key else part.swap(organizer.line, line)
        draft.findings.revisions.append(new)
    draft.put(target.label, part)


def _exclude(item: Instance, target: Target, draft: Draft) -> None:
    """Delete one instance: the override goes, the master gets an EXDATE; nothing else moves (C4)."""
    draft.findings.tombstones.append(_tombstone(item, target.label, draft))
    draft.items.pop(target.label, None)
    master = series.exclude(target.item.recurrence_id, draft)
    if not draft.overrides and (master is None or not recurrence.has_instances(master)):
        draft.findings.tombstones.append(_tombstone(item, MASTER, draft))
        draft.items.clear()


def _tombstone(item: Instance, label: str, draft: Draft) -> Tombstone:
    held = draft.items.get(label) or draft.master
    sequence = max(item.sequence or 0, (held.sequence or 0) if held else 0)
    organizer = draft.stored.organizer
    return Tombstone(organizer.address if organizer else "", label, sequence, item.dtstamp)


def _truncate(item: Instance, draft: Draft) -> None:
    """End the series before one instance (C5, RANGE=THISANDFUTURE)."""
    master, target = draft.master, draft.target(item.recurrence_id)
    if not isinstance(target, Target) or master is None or master.start is None or target.item.recurrence_id is None:
        refused = target if not isinstance(target, Target) else NoAction(Reason.UNKNOWN_INSTANCE, item.label)
        draft.findings.refused.append(refused)
        return
    first = moment.in_form_of(target.item.recurrence_id, master.start)
    if moment.are_same(first, master.start):
        _cancel_whole(item, draft)
        return
    if draft.is_stale(item, MASTER):
        draft.findings.refused.append(NoAction(Reason.STALE))
        return
    draft.findings.reasons.append(Reason.TRUNCATED)
    _stamp(item, Target(MASTER, master), _ended(master, first, draft.stored.zones), draft)
    for label, override in draft.overrides:
        if _is_from(override, first):
            _cancel_later(item, Target(label, override), draft)


def _is_from(override: Instance, first: Moment) -> bool:
    asked = override.recurrence_id
    return asked is not None and not _is_before(asked, first)


def _cancel_later(item: Instance, target: Target, draft: Draft) -> None:
    if draft.context.policy.cancelled == "delete":
        draft.items.pop(target.label)
    else:
        _mark(item, target, draft)


def _ended(master: Instance, first: Moment, zones: Zones) -> Component:
    """Return the master without the instances from `first` on."""
    rules = zip(master.component.all("RRULE"), master.rules, strict=True)
    part = master.component.put("RRULE", [_until(line, rule, first) for line, rule in rules])
    kept = (moment.filtered(line, zones, lambda at: _is_before(at, first)) for line in part.all("RDATE"))
    return part.put("RDATE", [line for line in kept if line])


def _is_before(at: Moment, first: Moment) -> bool:
    return moment.label(moment.in_form_of(at, first)) < moment.label(first)


def _until(line: Line, rule: Rule, first: Moment) -> Line:
    """RFC 5545 §3.3.10: UNTIL has the type of DTSTART, and is UTC where that has a TZID."""
    last = first - (timedelta(days=1) if moment.is_date(first) else timedelta(seconds=1))
    if rule.until is not None and moment.label(moment.in_form_of(rule.until, first)) <= moment.label(last):
        return line
    parts = [f"{name}={value}" for name, value in rule.parts if name not in ("UNTIL", "COUNT")]
    return written("RRULE", ";".join([*parts, f"UNTIL={moment.label(last)}"]), line.parameters)
