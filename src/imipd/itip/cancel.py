"""CANCEL: the Organizer calls off, the recipient is an Attendee (RFC 5546 §3.2.5, rules C).

Called off is what the message names and nothing else; what a policy of `mark` keeps says STATUS:CANCELLED.
"""

from collections.abc import Sequence

from imipd.memory import Tombstone

from . import instance, moment, recurrence, revision, series, truncation
from .decision import Decision, Error, NoAction, Reason
from .draft import MASTER, Draft, Target
from .instance import Instance
from .lines import Component
from .message import CalendarObject, Context, ItipMessage
from .moment import Moment

MOST_BURIED = 2000
"""Tombstones of one Organizer and UID, beyond which what is not here leaves no more."""


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what is called off in the Attendee's object."""
    if stored is None:
        return _unknown(message, context)
    draft = Draft(stored, context)
    excluded: dict[str, Moment] = {}
    for item in message.content.instances:
        if item.recurrence_id is None:
            _cancel_whole(item, draft)
    for item in message.content.overrides:
        if not item.this_and_future:
            _cancel_one(item, draft, excluded)
    _cancel_futures([item for item in message.content.overrides if item.this_and_future], draft)
    if excluded:
        _exclude(excluded, draft)
    return draft.findings.conclude(stored, draft.calendar() if draft.items else None)


def _unknown(message: ItipMessage, context: Context) -> NoAction:
    """Remember what is not there, so that the REQUEST that comes late stays out (C1, RFC 5546 §5.2.1)."""
    items, organizer = message.content.instances, message.content.organizer
    party = organizer.address if organizer else context.originator or ""
    if all(_is_buried(item, party, context) for item in items):
        return NoAction(Reason.DELETED_HERE)  # C6
    known = items if _has_room(party, context) else ()
    buried = [Tombstone(party, item.label, item.sequence, item.dtstamp) for item in known if item.sequence]
    return NoAction(Reason.UNKNOWN_UID, tombstones=tuple(buried))


def _has_room(party: str, context: Context) -> bool:
    """Whoever calls off what nobody has could leave any number of tombstones, and each is asked for ever after."""
    return context.memory.burials[party] < MOST_BURIED


def _is_buried(item: Instance, party: str, context: Context) -> bool:
    """An instance is buried with the whole, too."""
    return any(revision.is_buried(label, item.sequence, party, context.memory) for label in (item.label, MASTER))


def _cancel_whole(item: Instance, draft: Draft) -> None:
    """Call off the master and every override that the Organizer has not sent anew since (C3)."""
    if draft.is_stale(item, MASTER):
        draft.findings.refused.append(NoAction(Reason.STALE))
        return
    draft.findings.reasons.append(Reason.CANCELLED)
    labels = [label for label in draft.items if not draft.is_stale(item, label)]
    if draft.context.policy.cancelled == "delete":
        draft.findings.tombstones.append(_tombstone(item, MASTER, draft))
        _leave(draft, [label for label in draft.items if label not in labels])
        return
    for label in labels:
        _mark(item, Target(label, draft.items[label]), draft)


def _leave(draft: Draft, labels: list[str]) -> None:
    """Keep these overrides and nothing else; without a master they have to name their people themselves."""
    master, kept = draft.master, {label: draft.items[label] for label in labels}
    draft.clear()
    for label, item in kept.items():
        draft.put(label, instance.completed(item, master) if master else item.component)


def _cancel_one(item: Instance, draft: Draft, excluded: dict[str, Moment]) -> None:
    """Call off one instance (C4); what is to be excluded is noted, because a master may have thousands."""
    if _is_out(item, draft):
        return
    target = draft.target(item.recurrence_id)
    if not isinstance(target, Target):
        organizer = draft.stored.organizer
        if organizer and _is_buried(item, organizer.address, draft.context):
            draft.findings.refused.append(NoAction(Reason.DELETED_HERE, item.label))  # C6
            return
        draft.findings.refused.append(target)
        # The series may have to change first: what comes late then finds this instance called off.
        _bury_ahead(item, draft)
        return
    if draft.is_stale(item, target.label):
        draft.findings.refused.append(NoAction(Reason.STALE, target.label))
        return
    draft.findings.reasons.append(Reason.INSTANCE_CANCELLED)
    if draft.context.policy.cancelled == "mark":
        _mark(item, target, draft)
        return
    draft.findings.tombstones.append(_tombstone(item, target.label, draft))
    draft.items.pop(target.label, None)
    if target.item.recurrence_id is not None:
        excluded[target.label] = target.item.recurrence_id


def _is_out(item: Instance, draft: Draft) -> bool:
    """Return whether an EXDATE has taken the instance out already (C6)."""
    master, asked = draft.master, item.recurrence_id
    if asked is None or master is None or not recurrence.is_excluded(master, asked):
        return False
    if draft.context.policy.cancelled == "delete":
        draft.findings.reasons.append(Reason.INSTANCE_CANCELLED)  # what is stored says so already: no change
    else:
        draft.findings.refused.append(NoAction(Reason.DELETED_HERE, item.label))
        # The Organizer may bring it back in a message that is on its way, older than this one.
        _bury_ahead(item, draft)
    return True


def _bury_ahead(item: Instance, draft: Draft) -> None:
    """Remember that an instance is called off that is not here."""
    stone = _tombstone(item, draft.label(item.recurrence_id), draft)
    if item.sequence and _has_room(stone.party, draft.context):
        draft.findings.tombstones.append(stone)


def _mark(item: Instance, target: Target, draft: Draft) -> None:
    part = target.item.component.set("STATUS", "CANCELLED")
    _stamp(item, target, part, draft)


def _stamp(item: Instance, target: Target, part: Component, draft: Draft) -> None:
    """Write a changed component with the greater SEQUENCE and the revision of the message."""
    if item.sequence is not None:
        part = part.set("SEQUENCE", str(max(item.sequence, target.item.sequence or 0)))
    organizer = target.item.organizer
    if organizer is not None:
        new = draft.revision(item, organizer.address, target.label)
        line = revision.remember(organizer.line, new)
        part = part if line.key == organizer.line.key else part.swap(organizer.line, line)
        draft.findings.revisions.append(new)
    draft.put(target.label, part)


def _exclude(excluded: dict[str, Moment], draft: Draft) -> None:
    """Give the master an EXDATE for each instance that went; the object goes with its last instance (C4, C3)."""
    master = series.exclude(excluded.values(), draft)
    if draft.overrides or (master is not None and recurrence.has_instances(master)):
        return
    last = max(draft.findings.tombstones, key=lambda stone: stone.sequence)
    sequence = max(last.sequence, (master.sequence or 0) if master else 0)
    draft.findings.tombstones.append(Tombstone(last.party, MASTER, sequence, last.dtstamp))
    draft.findings.reasons.insert(0, Reason.CANCELLED)
    draft.clear()


def _tombstone(item: Instance, label: str, draft: Draft) -> Tombstone:
    held = draft.items.get(label) or draft.master
    sequence = max(item.sequence or 0, (held.sequence or 0) if held else 0)
    organizer = draft.stored.organizer
    return Tombstone(organizer.address if organizer else "", label, sequence, item.dtstamp)


def _cancel_futures(items: Sequence[Instance], draft: Draft) -> None:
    """The earliest that applies ends the series for all the others (C5, RANGE=THISANDFUTURE)."""
    for item in sorted(items, key=lambda item: item.label):
        refused = _cancel_future(item, draft) if draft.master else _cancel_side_by_side(item, draft)
        if refused is None:
            return
        draft.findings.refused.append(refused)


def _cancel_future(item: Instance, draft: Draft) -> NoAction | Error | None:
    """End the series before one instance; return why not."""
    master = draft.master
    first = truncation.first_of(item, draft)
    if master is None or isinstance(first, NoAction | Error):
        return first if isinstance(first, NoAction | Error) else NoAction(Reason.UNKNOWN_INSTANCE, item.label)
    if draft.is_stale(item, MASTER):
        return NoAction(Reason.STALE)
    if master.start is not None and moment.are_same(first, master.start):
        _cancel_whole(item, draft)
        return None
    draft.findings.reasons.append(Reason.TRUNCATED)
    _stamp(item, Target(MASTER, master), truncation.ended(master, first, draft.stored.zones), draft)
    _cancel_from(item, first, draft)
    return None


def _cancel_side_by_side(item: Instance, draft: Draft) -> NoAction | None:
    """Without a master there is no series to end: only instances of it, side by side."""
    first = item.recurrence_id
    if first is None or not any(truncation.is_from(held, first) for _, held in draft.overrides):
        return NoAction(Reason.UNKNOWN_INSTANCE, item.label)
    if not _cancel_from(item, first, draft):
        return NoAction(Reason.STALE)
    draft.findings.reasons.append(Reason.INSTANCE_CANCELLED)
    return None


def _cancel_from(item: Instance, first: Moment, draft: Draft) -> list[str]:
    """Call off the overrides from `first` on that the Organizer has not sent anew since, and return their labels."""
    later = [label for label, held in draft.overrides if truncation.is_from(held, first)]
    labels = [label for label in later if not draft.is_stale(item, label)]
    for label in labels:
        if draft.context.policy.cancelled == "mark":
            _mark(item, Target(label, draft.items[label]), draft)
        else:
            draft.findings.tombstones.append(_tombstone(item, label, draft))
            draft.items.pop(label)
    return labels
