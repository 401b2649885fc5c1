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
_OF_THE_SERIES = ("RRULE", "RDATE", "EXDATE", "EXRULE")


def is_askable(master: Instance) -> bool:
    """Return whether the rules of a series can be asked in bounded time (G9)."""
    return all(item.askable for item in master.rules)


def locate(master: Instance, recurrence_id: Moment) -> Moment | None:
    """Return the existing instance that is meant, in the form of the master's DTSTART; None where there is none."""
    if master.start is None:
        return None
    asked = moment.in_form_of(recurrence_id, master.start)
    if _exists(master, asked):
        return asked
    if moment.is_date(master.start) and isinstance(recurrence_id, datetime):
        return _nearest_day(master, recurrence_id)
    return None


def _nearest_day(master: Instance, asked: datetime) -> Moment | None:
    """An all-day series answered with a time: the only instance within 14 hours of it (R7)."""
    instant = asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked.astimezone(UTC)
    days = (instant.date() + timedelta(days=step) for step in (-1, 0, 1))
    near = [day for day in days if abs(datetime.combine(day, time(), UTC) - instant) <= NEAR]
    found = [day for day in near if _exists(master, day)]
    return found[0] if len(found) == 1 else None


def is_excluded(master: Instance, recurrence_id: Moment) -> bool:
    """Return whether an EXDATE takes this instance out."""
    return master.start is not None and _among(recurrence_id, master.exdates, master.start)


def _exists(master: Instance, asked: Moment) -> bool:
    start = master.start
    if start is None or _among(asked, master.exdates, start):
        return False
    if moment.label(asked) == moment.label(start) or _among(asked, master.rdates, start):
        return True
    return any(item.askable and rule.contains(item, start, asked) for item in master.rules)


def _among(asked: Moment, moments: tuple[Moment, ...], like: Moment) -> bool:
    wanted = moment.label(moment.in_form_of(asked, like))
    return any(moment.label(moment.in_form_of(item, like)) == wanted for item in moments)


def has_instances(master: Instance) -> bool:
    """Return whether any instance is left that no EXDATE takes out."""
    start = master.start
    if start is None:
        return True
    excluded = {moment.label(moment.in_form_of(item, start)) for item in master.exdates}
    first = [moment.label(moment.in_form_of(item, start)) for item in (start, *master.rdates)]
    if any(item not in excluded for item in first):
        return True
    # One instance more than there are exclusions is enough to know.
    asked = (rule.instances(item, start) for item in master.rules if item.askable)
    return any(moment.label(found) not in excluded for item in asked for found in islice(item, len(excluded) + 1))


def derived(master: Instance, recurrence_id: Moment) -> Component:
    """Return the override that says what the master says of this instance (RFC 5546 §3.2.2.1)."""
    part = master.component.without(*_OF_THE_SERIES, "DTSTART", "DTEND", "DUE", "RECURRENCE-ID")
    return part.append(_times(master, recurrence_id))


def _times(master: Instance, recurrence_id: Moment) -> list[Line]:
    start = master.component.one("DTSTART")
    if start is None or master.start is None:
        return []
    times = [moment.line_like(name, recurrence_id, start) for name in ("RECURRENCE-ID", "DTSTART")]
    for name in ("DTEND", "DUE"):
        end = master.component.one(name)
        if end is not None and master.end is not None:
            length = moment.between(master.start, master.end)
            shifted = moment.in_form_of(moment.plus(recurrence_id, length), master.end)
            times.append(moment.line_like(name, shifted, end))
    return times


def times_at(master: Instance, recurrence_id: Moment) -> tuple[Moment | None, Moment | None]:
    """Return DTSTART and end of the instance as the series has it."""
    if master.start is None or master.end is None:
        return recurrence_id, None
    return recurrence_id, moment.plus(recurrence_id, moment.between(master.start, master.end))
