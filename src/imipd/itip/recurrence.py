"""Series and their instances (RFC 5545 §3.8.4.4, §3.8.5): which one is meant, does it exist, what would it be.

Instances are matched as instants, never as text (R7). An override is made from the master for one instance only,
its RECURRENCE-ID in the form of the master's DTSTART.
"""

from datetime import UTC, datetime, time, timedelta
from itertools import islice

from . import moment, rule
from .instance import Instance
from .lines import Component, Line
from .moment import Moment

NEAR = timedelta(hours=14)  # no zone is further from UTC: an all-day instance answered with a time (R7)
MOST_RULES = 10


def is_askable(master: Instance) -> bool:
    """Return whether the rules of a series can be asked in bounded time (G9)."""
    return len(master.rules) <= MOST_RULES and all(item.askable for item in master.rules)


def is_possible(master: Instance) -> bool:
    """Return whether each rule of a series has an instance at some time (G9)."""
    start = master.start
    return start is None or all(rule.matches_ever(item, start) for item in master.rules)


def locate(master: Instance, recurrence_id: Moment) -> Moment | None:
    """Return the existing instance that is meant, in the form of the master's DTSTART; None where there is none."""
    found = identified(master, recurrence_id)
    if master.start is None or moment.is_date(found) != moment.is_date(master.start):
        return None
    return found if _exists(master, found) else None


def identified(master: Instance, recurrence_id: Moment) -> Moment:
    """Return the RECURRENCE-ID in the form of the master's DTSTART; as it stands where no DATE can be told from it."""
    start = master.start
    if start is None:
        return recurrence_id
    if moment.is_date(start) and isinstance(recurrence_id, datetime) and not moment.is_midnight(recurrence_id):
        return _nearest_day(master, recurrence_id) or recurrence_id
    return moment.in_form_of(recurrence_id, start)


def _nearest_day(master: Instance, asked: datetime) -> Moment | None:
    """An all-day series answered with another time: the only instance within 14 hours of it (R7)."""
    instant = asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked.astimezone(UTC)
    days = (instant.date() + timedelta(days=step) for step in (-1, 0, 1))
    near = [day for day in days if abs(datetime.combine(day, time(), UTC) - instant) <= NEAR]
    found = [day for day in near if _has(master, day)]
    return found[0] if len(found) == 1 else None


def is_excluded(master: Instance, recurrence_id: Moment) -> bool:
    """Return whether an EXDATE takes this instance out."""
    return moment.label(identified(master, recurrence_id)) in master.excluded


def is_added(master: Instance, recurrence_id: Moment) -> bool:
    """Return whether an RDATE brings this instance in."""
    return moment.label(identified(master, recurrence_id)) in master.added


def _exists(master: Instance, asked: Moment) -> bool:
    return moment.label(asked) not in master.excluded and _has(master, asked)


def _has(master: Instance, asked: Moment) -> bool:
    """Return whether the series has such an instance, taken out by an EXDATE or not."""
    start = master.start
    if start is None:
        return False
    if moment.label(asked) == moment.label(start) or moment.label(asked) in master.added:
        return True
    return any(item.askable and rule.contains(item, start, asked) for item in master.rules)


def has_instances(master: Instance) -> bool:
    """Return whether any instance is left that no EXDATE takes out."""
    start = master.start
    if start is None or not is_askable(master):
        return True
    excluded = master.excluded
    if moment.label(start) not in excluded or master.added - excluded:
        return True
    # One instance more than there are exclusions is enough to know.
    asked = (rule.instances(item, start) for item in master.rules)
    return any(moment.label(found) not in excluded for item in asked for found in islice(item, len(excluded) + 1))


def derived(master: Instance, recurrence_id: Moment) -> Component:
    """Return the override that says what the master says of this instance (RFC 5546 §3.2.2.1)."""
    own = master.lengths.get(moment.label(recurrence_id))
    part = master.bare if own is None else master.bare.without("DURATION")
    return part.append(_times(master, recurrence_id, own))


def _times(master: Instance, recurrence_id: Moment, own: timedelta | None) -> list[Line]:
    start = master.component.one("DTSTART")
    if start is None or master.start is None:
        return []
    times = [moment.line_like(name, recurrence_id, start) for name in ("RECURRENCE-ID", "DTSTART")]
    if own is not None:
        return [*times, moment.line_like("DTEND", moment.plus(recurrence_id, own), start)]
    for name in ("DTEND", "DUE"):
        end = master.component.one(name)
        if end is not None and master.end is not None:
            length = moment.between(master.start, master.end)
            shifted = moment.in_form_of(moment.plus(recurrence_id, length), master.end)
            times.append(moment.line_like(name, shifted, end))
    return times


def times_at(master: Instance, recurrence_id: Moment) -> tuple[Moment | None, Moment | None]:
    """Return DTSTART and end of the instance as the series has it."""
    own = master.lengths.get(moment.label(recurrence_id))
    if own is None and master.start is not None and master.end is not None:
        own = moment.between(master.start, master.end)
    return recurrence_id, None if own is None else moment.plus(recurrence_id, own)


def have_same_rules(one: Instance, other: Instance) -> bool:
    """Return whether two masters have the same RRULEs, however their parts are written (V3)."""
    return {_meaning(item, one.start) for item in one.rules} == {_meaning(item, other.start) for item in other.rules}


def _meaning(item: rule.Rule, start: Moment | None) -> tuple[object, ...]:
    until = item.until if start is None or item.until is None else moment.in_form_of(item.until, start)
    return item.shape(start), item.count, until and moment.label(until)
