"""A VTIMEZONE made for a zone that has only a name (RFC 5545 §3.6.5, rule G12): every change of its offset, told.

icalendar 7.3.0 lets summer time begin an hour late: an onset is told on the clock that it ends.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from .lines import Component, component, written

BEFORE_ALL = datetime(1800, 1, 1, tzinfo=UTC)
"""No zone of IANA changes its offset earlier."""


@lru_cache(maxsize=64)
def generated(zone: ZoneInfo, tzid: str, year: int) -> Component:
    """Return a VTIMEZONE with every change of offset from `year` on, for ten years and at least to 2038."""
    start = datetime(max(year - 1, 1), 12, 31, tzinfo=UTC)
    onsets: dict[tuple[timedelta, timedelta, str], list[datetime]] = {}
    for at in (start, *changes(zone, max(start, BEFORE_ALL), max(year + 11, 2038))):
        before, after = (at - timedelta(seconds=1)).astimezone(zone), at.astimezone(zone)
        was, is_now = before.utcoffset() or timedelta(), after.utcoffset() or timedelta()
        kind = is_now if at == start else was, is_now, _kind(after)
        onsets.setdefault(kind, []).append((at + kind[0]).replace(tzinfo=None))
    named_so = written("TZID", tzid)
    return component("VTIMEZONE", [named_so, *(_observance(*kind, times) for kind, times in onsets.items())])


def changes(zone: tzinfo, start: datetime, last: int) -> Iterator[datetime]:
    """Yield each moment, in UTC, at which the offset changes; no zone changes it twice within a week."""
    week, offset = timedelta(days=7), offset_at(start, zone)
    while start.year < last:
        later = offset_at(start + week, zone)
        if later != offset:
            yield _change_between(start, start + week, zone)
        start, offset = start + week, later


def _change_between(early: datetime, late: datetime, zone: tzinfo) -> datetime:
    before = offset_at(early, zone)
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (middle, late) if offset_at(middle, zone) == before else (early, middle)
    return late


def offset_at(at: datetime, zone: tzinfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _kind(local: datetime) -> str:
    return "DAYLIGHT" if local.dst() else "STANDARD"


def _observance(was: timedelta, is_now: timedelta, kind: str, onsets: list[datetime]) -> Component:
    first, *others = (f"{at:%Y%m%dT%H%M%S}" for at in onsets)
    rows = [("DTSTART", first), ("TZOFFSETFROM", _offset(was)), ("TZOFFSETTO", _offset(is_now))]
    rows += [("RDATE", ",".join(others))] if others else []
    return component(kind, [written(name, value) for name, value in rows])


def _offset(offset: timedelta) -> str:
    seconds = abs(int(offset.total_seconds()))
    text = f"{'-' if offset < timedelta() else '+'}{seconds // 3600:02}{seconds // 60 % 60:02}"
    return f"{text}{seconds % 60:02}" if seconds % 60 else text
