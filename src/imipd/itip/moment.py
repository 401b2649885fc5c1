"""Moments: DATE, floating, local and UTC times (RFC 5545 §3.3.4, §3.3.5), and when two of them are the same.

A `date` is an all-day moment, a naive `datetime` is floating, an aware one is an instant.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from icalendar import vDDDTypes, vDuration

from .decision import Reason
from .lines import Line, MalformedError, written
from .zones import Zones

Moment = date | datetime
EARLIEST, LATEST = 1600, 2500  # years; a VTIMEZONE is walked from its first year to the one asked for
LONGEST = timedelta(days=36600)
_USUAL = re.compile(r"\d{8}T\d{6}Z?", re.ASCII)


def read_one(line: Line | None, zones: Zones) -> Moment | None:
    """Return the moment of a DTSTART-like line, None where there is no line. Raises MalformedError."""
    if line is None:
        return None
    moments = read_all(line, zones)
    if len(moments) != 1:
        raise MalformedError(f"{line.name}: not one moment")
    return moments[0]


def read_all(line: Line, zones: Zones) -> tuple[Moment, ...]:
    """Return the moments of an RDATE-like line; of a PERIOD its start. Raises MalformedError."""
    tzid = line.parameter("TZID")
    return tuple(_read(value.strip(), tzid, zones, line) for value in line.value.split(","))


def _read(value: str, tzid: str, zones: Zones, line: Line) -> Moment:
    try:
        # The library tries one type after the other.
        moment: object = (datetime.fromisoformat if _USUAL.fullmatch(value) else _of_any_type)(value)
    except Exception as error:  # whatever the library raises, the value is unreadable
        raise MalformedError(f"{line.name}: cannot read {value[:40]!r}") from error
    if isinstance(moment, datetime):
        moment = _placed(moment, tzid, zones, line)
    elif not isinstance(moment, date):
        raise MalformedError(f"{line.name}: {value[:40]!r} is not a date or date-time")
    if not EARLIEST <= moment.year < LATEST:
        raise MalformedError(f"{line.name}: year {moment.year}")
    return moment


def _of_any_type(value: str) -> object:
    return vDDDTypes.from_ical(value.partition("/")[0])


def _placed(moment: datetime, tzid: str, zones: Zones, line: Line) -> datetime:
    if moment.tzinfo is not None:
        return moment.replace(tzinfo=UTC)
    if not tzid:
        return moment
    zone = zones.zone(tzid)
    if zone is None:
        raise MalformedError(f"{line.name}: TZID={tzid[:80]}", Reason.UNKNOWN_TIMEZONE)
    try:
        placed = moment.replace(tzinfo=zone)
        placed.astimezone(UTC)
    except Exception as error:  # a hostile VTIMEZONE: whatever dateutil raises
        raise MalformedError(f"{line.name}: TZID={tzid[:80]} cannot be read") from error
    return placed


def filtered(line: Line, zones: Zones, keep: Callable[[Moment], bool]) -> Line | None:
    """Return an RDATE-like line with those of its moments that are to be kept, None where none is."""
    texts = line.value.split(",")
    kept = [text for text, moment in zip(texts, read_all(line, zones), strict=True) if keep(moment)]
    if kept == texts:
        return line
    return written(line.name, ",".join(kept), line.parameters) if kept else None


def read_duration(line: Line | None) -> timedelta | None:
    """Return a DURATION, None where there is no line. Raises MalformedError."""
    if line is None:
        return None
    try:
        duration: timedelta = vDuration.from_ical(line.value)
    except Exception as error:  # whatever the library raises, the value is unreadable
        raise MalformedError(f"DURATION: cannot read {line.value[:40]!r}") from error
    if abs(duration) > LONGEST:
        raise MalformedError(f"DURATION: {duration.days} days")
    return duration


def period_length(text: str) -> timedelta | None:
    """Return how long a PERIOD lasts (RFC 5545 §3.3.9), None where that cannot be read."""
    begin, _, end = text.strip().partition("/")
    try:
        first, last = vDDDTypes.from_ical(begin), vDDDTypes.from_ical(end)
        length = last if isinstance(last, timedelta) else last - first
    except Exception:  # noqa: BLE001  whatever the library raises, the end is unreadable
        return None
    return length if timedelta() <= length <= LONGEST else None


def is_date(moment: Moment) -> bool:
    """Whether it is an all-day moment."""
    return not isinstance(moment, datetime)


def label(moment: Moment) -> str:
    """Return the moment in basic form: ``20260310T090000Z``, floating ``20260310T100000``, ``20260310``."""
    if not isinstance(moment, datetime):
        return f"{moment:%Y%m%d}"
    if moment.tzinfo is None:
        return f"{moment:%Y%m%dT%H%M%S}"
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def of_label(text: str) -> Moment | None:
    """Return the moment that a label stands for, None where it stands for none."""
    try:
        moment: object = vDDDTypes.from_ical(text)
    except ValueError:
        return None
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=UTC) if moment.tzinfo else moment
    return moment if isinstance(moment, date) else None


def is_midnight(moment: Moment) -> bool:
    """Whether a DATE can say the moment: it is one, or a time at midnight on its own clock."""
    return not isinstance(moment, datetime) or moment.time() == time()


def are_same(one: Moment, other: Moment) -> bool:
    """Return whether two moments are the same, the first read in the form of the second; a DATE is midnight (R7)."""
    return can_be(one, other) and label(in_form_of(one, other)) == label(other)


def can_be(one: Moment, other: Moment) -> bool:
    """Return whether `one` can be said in the form of `other`: a time that is not midnight is no DATE (R7)."""
    return not is_date(other) or is_midnight(one)


def in_form_of(moment: Moment, like: Moment) -> Moment:
    """Return `moment` as `like` would say it: DATE against midnight, floating read in the zone of `like` (R7)."""
    if not isinstance(like, datetime):
        return moment.date() if isinstance(moment, datetime) else moment
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if moment.tzinfo is None or like.tzinfo is None:
        return moment.replace(tzinfo=like.tzinfo)
    return moment.astimezone(like.tzinfo)


def line_like(name: str, moment: Moment, like: Line) -> Line:
    """Return a line `name` with this moment, in the form and zone of the line `like`."""
    parameters = like.parameters
    for parameter in tuple(parameters):
        if parameter.upper() not in ("TZID", "VALUE"):
            del parameters[parameter]
    return written(name, _text(moment), parameters)


def _text(moment: Moment) -> str:
    if isinstance(moment, datetime):
        return f"{moment:%Y%m%dT%H%M%S}" + ("Z" if moment.tzinfo is UTC else "")
    return f"{moment:%Y%m%d}"


def plus(moment: Moment, duration: timedelta) -> Moment:
    """Return the moment `duration` later on its own wall clock."""
    return moment + duration


def between(start: Moment, end: Moment) -> timedelta:
    """Return how much later `end` is than `start`, on the wall clock of `start`."""
    other = in_form_of(end, start)
    if isinstance(start, datetime) and isinstance(other, datetime):
        return other.replace(tzinfo=None) - start.replace(tzinfo=None)
    return other - start
