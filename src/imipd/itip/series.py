"""A new version of a whole series: what of the stored overrides and exclusions outlives it (rules Q3, Q4)."""

import dataclasses
from collections.abc import Iterable

from imipd.memory import Revision, Tombstone

from . import instance, merge, moment, recurrence, revision
from .decision import Reason
from .draft import MASTER, Draft, Target
from .instance import Instance
from .message import CalendarObject
from .moment import Moment


def replace(content: CalendarObject, master: Instance, draft: Draft) -> None:
    """Put the Organizer's copy in the place of the stored series, with what is mine in it."""
    old, before = draft.master, dict(draft.overrides)
    excluded = _excluded_by_me(content, master, old, draft)
    asked, known = _without_apart(content, master, old, draft)
    draft.clear()
    _put(asked, MASTER, known, draft)
    left_out = {draft.label(at) for at in excluded}
    kept = {draft.label(held.recurrence_id): held for held in before.values()}
    for item in content.overrides:
        label = draft.label(item.recurrence_id)
        held = kept.pop(label, None)
        if label in left_out:
            continue
        if held and draft.is_older(item, held, label):
            draft.items[label] = held
        else:
            _put(item, label, held or old, draft)
    outlived = [at for label, held in kept.items() for at in _outlive(label, held, master, old, draft)]
    include(outlived, draft)
    # What a newer ADD has brought is an instance of this series, too (M1).
    extend([at for at in outlived if old is not None and recurrence.is_added(old, at)], draft)
    if old is not None and excluded:
        _keep_exclusions(excluded, old, draft)
    bury(draft)


def _without_apart(
    content: CalendarObject, master: Instance, old: Instance | None, draft: Draft
) -> tuple[Instance, Instance | None]:
    """Return both masters without the RDATEs that stand apart: by these the series is not rescheduled (Q6).

    What a newer ADD has brought (M1), and what the message itself asks for by an override.
    """
    apart = {draft.label(item.recurrence_id) for item in content.overrides}
    apart |= {label for label, held in draft.overrides if draft.is_older(master, held, label)}
    one, other = (
        each and dataclasses.replace(each, rdates=tuple(at for at in each.rdates if draft.label(at) not in apart))
        for each in (master, old)
    )
    return one or master, other


def _put(item: Instance, label: str, held: Instance | None, draft: Draft) -> None:
    """Set one component to the Organizer's version of it."""
    if held is None:
        draft.put(label, merge.invited(item, draft.first, draft.context))
        draft.applied(item, label, Reason.DETAILS_CHANGED)
        return
    rescheduled = merge.is_rescheduled(item, held, _times(item, held))
    draft.put(label, merge.merged(item, held, draft.context, rescheduled=rescheduled))
    draft.applied(item, label, Reason.RESCHEDULED if rescheduled else Reason.DETAILS_CHANGED)


def _times(item: Instance, held: Instance) -> merge.Times:
    """Return the times that the instance has until now: its own, those of the series, none where it is new to it."""
    if item.recurrence_id is None or held.recurrence_id is not None:
        return held.start, held.end
    found = recurrence.locate(held, item.recurrence_id) if recurrence.is_askable(held) else None
    return recurrence.times_at(held, found) if found is not None else (None, None)


def in_form(item: Instance, draft: Draft) -> Instance:
    """Return an instance of the message with its RECURRENCE-ID in the form of the series' DTSTART (Q5, R7)."""
    master, asked = draft.master, item.recurrence_id
    start = master.component.one("DTSTART") if master else None
    if start is None or master is None or master.start is None or asked is None:
        return item
    found = moment.in_form_of(recurrence.identified(master, asked), master.start)
    line = moment.line_like("RECURRENCE-ID", found, start)
    return instance.read(item.component.put("RECURRENCE-ID", [line]), draft.zones)


def put_instance(item: Instance, label: str, draft: Draft) -> None:
    """Set one instance of a series that stays (Q5)."""
    _put(item, label, draft.items.get(label) or draft.master, draft)


def _outlive(label: str, held: Instance, master: Instance, old: Instance | None, draft: Draft) -> list[Moment]:
    """Keep a stored override that the message does not bring, where it is newer or differs in what is mine (Q4).

    Returns the instance that no EXDATE may take out then.
    """
    new, asked = draft.items[MASTER], held.recurrence_id
    if asked is not None and draft.is_older(master, held, label):
        if recurrence.is_excluded(new, asked) and _is_called_off(held, label, draft):
            said = draft.known(held, label)  # gone from here, and not to be forgotten
            draft.findings.tombstones.append(Tombstone(said.party, label, said.sequence or 0, said.dtstamp))
            return []
        draft.items[label] = held
        return [asked]
    found = _still_there(held, old, new, draft)
    if found is not None:
        derived = instance.read(recurrence.derived(new, found), draft.zones)
        draft.put(label, merge.rebased(derived, held, master, draft.context))
    return []


def _is_called_off(held: Instance, label: str, draft: Draft) -> bool:
    stones = (stone for stone in draft.context.memory.tombstones if stone.recurrence_id == label)
    return held.status == "CANCELLED" or any(_stands_against(stone, held, label, draft) for stone in stones)


def _still_there(held: Instance, old: Instance | None, new: Instance, draft: Draft) -> Moment | None:
    asked = held.recurrence_id
    if old is None or old.start is None or asked is None or not recurrence.is_askable(new):
        return None
    was = instance.read(recurrence.derived(old, moment.in_form_of(asked, old.start)), draft.zones)
    return recurrence.locate(new, asked) if merge.differs_in_mine_alone(held, was, draft.context) else None


def include(asked: Iterable[Moment], draft: Draft) -> None:
    """Take the EXDATEs of these instances out of the master."""
    master = draft.master
    if master is None or master.start is None:
        return
    excluded = [at for at in asked if recurrence.is_excluded(master, at)]
    wanted = {moment.label(recurrence.identified(master, at)) for at in excluded}
    if not wanted:
        return
    kept = (
        moment.filtered(line, draft.zones, lambda at: draft.label(at) not in wanted)
        for line in master.component.all("EXDATE")
    )
    draft.put(MASTER, master.component.put("EXDATE", [line for line in kept if line]))


def extend(asked: Iterable[Moment], draft: Draft) -> None:
    """Give the master an RDATE for each of these instances that it lacks."""
    master = draft.master
    start = master.component.one("DTSTART") if master else None
    if master is None or start is None or master.start is None:
        return
    lacking = [moment.in_form_of(at, master.start) for at in asked if recurrence.locate(master, at) is None]
    if lacking:
        draft.put(MASTER, master.component.append(moment.line_like("RDATE", at, start) for at in lacking))


def exclude(asked: Iterable[Moment], draft: Draft) -> Instance | None:
    """Give the master an EXDATE for each of these instances that it does not exclude yet, and return it."""
    master = draft.master
    moments = [at for at in asked if master is None or not recurrence.is_excluded(master, at)]
    start = master.component.one("DTSTART") if master else None
    if master is None or start is None or not moments or master.start is None:
        return master
    lines = [moment.line_like("EXDATE", moment.in_form_of(at, master.start), start) for at in moments]
    return draft.put(MASTER, master.component.append(lines))


def _excluded_by_me(
    content: CalendarObject, master: Instance, old: Instance | None, draft: Draft
) -> tuple[Moment, ...]:
    """Return what is left out: an attendee may exclude instances himself, until a higher SEQUENCE (Q4).

    RFC 6638 §3.2.2.1. The SEQUENCE of an override speaks for its instance, that of the master for all others.
    """
    known = draft.known(old, MASTER).sequence or 0 if old is not None else 0
    if old is None or (master.sequence or 0) != known:
        return ()
    renewed = {draft.label(item.recurrence_id) for item in content.overrides if (item.sequence or 0) > known}
    # What the Organizer excludes himself is not mine to keep, whatever his overrides say.
    mine = (at for at in old.exdates if not recurrence.is_excluded(master, at))
    return tuple(at for at in mine if draft.label(at) not in renewed)


def _keep_exclusions(excluded: tuple[Moment, ...], old: Instance, draft: Draft) -> None:
    """Give the new master the EXDATEs that stay, in the lines in which they are stored."""
    new = draft.items[MASTER]
    wanted = {at for at in excluded if not recurrence.is_excluded(new, at) and _can_exclude(at, new)}
    lines = old.component.all("EXDATE")
    kept = (moment.filtered(line, draft.stored.zones, wanted.__contains__) for line in lines)
    made = draft.put(MASTER, new.component.append(line for line in kept if line))
    if {moment.label(at) for at in made.exdates} == {moment.label(at) for at in old.exdates}:
        draft.put(MASTER, made.component.put("EXDATE", lines))


def _can_exclude(at: Moment, master: Instance) -> bool:
    return master.start is not None and moment.is_date(at) == moment.is_date(master.start)


def bury(draft: Draft, labels: set[str] | None = None) -> None:
    """Call off what a CANCEL that came before its time has named (C1, C4): anything, or these instances alone."""
    organizer, excluded = draft.stored.organizer, dict[str, Moment]()
    for stone in draft.context.memory.tombstones:
        asked = moment.of_label(stone.recurrence_id)
        if asked is None or organizer is None or stone.party != organizer.address:
            continue
        target = draft.target(asked)
        if not isinstance(target, Target):
            continue
        held = draft.items.get(target.label) or draft.master
        if held is None or not _stands_against(stone, held, target.label, draft):
            continue
        if labels is not None and target.label not in labels:
            continue
        if draft.context.policy.cancelled == "mark" or target.item.recurrence_id is None:
            _mark(stone, target, draft)
        else:
            draft.items.pop(target.label, None)
            excluded[target.label] = target.item.recurrence_id
    exclude(excluded.values(), draft)


def _stands_against(stone: Tombstone, held: Instance, label: str, draft: Draft) -> bool:
    known = draft.known(held, label)
    said = Revision(stone.party, label, stone.sequence, stone.dtstamp, None)
    return stone.party == known.party and not revision.organizer_is_stale(said, known)


def _mark(stone: Tombstone, target: Target, draft: Draft) -> None:
    part = target.item.component.set("STATUS", "CANCELLED")
    part = part.set("SEQUENCE", str(max(stone.sequence, target.item.sequence or 0)))
    said = Revision(stone.party, target.label, stone.sequence, stone.dtstamp, None)
    lines = [revision.remember(line, said) for line in part.all("ORGANIZER")]
    draft.put(target.label, part.put("ORGANIZER", lines))
