"""A VTIMEZONE as a time zone, read by dateutil and asked in bounded time (RFC 5545 §3.6.5, G9).

dateutil 2.9.0 walks every observance from its DTSTART at every question; here each is walked once, in its order. A
zone is kept under the whole of what it was read from, and so can never mean anything else.
"""

import io
import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from threading import Lock
from typing import Any

from dateutil.rrule import rrulestr
from dateutil.tz import tzical

from .lines import Component, Line, component, of_text, written

NEEDED = ("DTSTART", "TZOFFSETFROM", "TZOFFSETTO", "TZNAME", "RRULE", "RDATE")
MOST = 100
KEPT, KEPT_TEXT, KEPT_RULES = 64, 8192, 8
"""Zones that are kept, each of so many characters and rules at most: walked through all years a rule has 900 onsets."""
_LATE = 9960
_YEARLY = re.compile(
    r"(?=.*FREQ=YEARLY)(?!.*BY(HOUR|MINUTE|SECOND)=\d*,)(?!.*INTERVAL=0*(;|$))[A-Z0-9=;,+:-]{1,200}", re.IGNORECASE
)
_OFFSET = re.compile(r"[+-](0\d|1\d|2[0-3])[0-5]\d([0-5]\d)?")


def observances(definition: Component) -> list[Component]:
    """Return the STANDARD and DAYLIGHT components of a VTIMEZONE."""
    return [part for part in definition.components if part.name in ("STANDARD", "DAYLIGHT")]


def interpreted(definition: Component) -> tzinfo | None:
    """Return the time zone of a VTIMEZONE; None where it cannot be read, or would take unbounded time to ask."""
    parts = observances(definition)
    if not parts or len(parts) > MOST:
        return None
    # dateutil refuses properties that it does not know: it gets those that it needs.
    said = tuple((part.name, tuple(line.text for line in part.lines if line.name in NEEDED)) for part in parts)
    return kept(said) if _is_small(said) else _read(said)


Said = tuple[tuple[str, tuple[str, ...]], ...]
"""Name and lines of each observance: all that a zone is read from."""


def _is_small(said: Said) -> bool:
    lines = [line for _, lines in said for line in lines]
    return sum(map(len, lines)) <= KEPT_TEXT and sum("RRULE" in line.upper() for line in lines) <= KEPT_RULES


def _read(said: Said) -> tzinfo | None:
    parts = [component(name, map(of_text, lines)) for name, lines in said]
    try:
        if not all(map(_is_sane, parts)):
            return None
        zone: Any = tzical(io.StringIO(_plain(component("VTIMEZONE", [written("TZID", "zone"), *parts])))).get()
    except Exception:  # noqa: BLE001  a hostile VTIMEZONE: whatever dateutil raises, it cannot be read
        return None
    for observance in zone._comps:
        observance.rrule = Onsets(iter(observance.rrule))
    # dateutil stumbles over a time before the first onset where no observance is STANDARD.
    zone._comps[0].isdst = zone._comps[0].isdst and not all(observance.isdst for observance in zone._comps)
    return zone  # type: ignore[no-any-return]


kept = lru_cache(maxsize=KEPT)(_read)


class Onsets:
    """The moments at which an observance begins, walked once; any thread may ask."""

    def __init__(self, walk: Iterator[datetime]) -> None:
        self._walk = walk
        self._known: list[datetime] = []
        self._is_done = False
        self._lock = Lock()

    def before(self, at: datetime, inc: bool) -> datetime | None:  # noqa: ARG002  as dateutil's rules have it
        """Return the last onset until `at`, None where there is none."""
        with self._lock:
            while not self._is_done and (not self._known or self._known[-1] <= at):
                onset = next(self._walk, None)
                self._is_done = onset is None
                self._known += [onset] if onset else []
        place = bisect_right(self._known, at)
        return self._known[place - 1] if place else None


def _is_sane(observance: Component) -> bool:
    offsets = [line.value for name in ("TZOFFSETFROM", "TZOFFSETTO") for line in observance.all(name)]
    rules = observance.all("RRULE")
    return all(map(_OFFSET.fullmatch, offsets)) and len(rules) <= 1 and all(map(_is_bounded, rules))


def _is_bounded(line: Line) -> bool:
    """Return whether a rule is yearly and matches at some time; asked near the end of time, where the walk is short."""
    if not _YEARLY.fullmatch(line.value):
        return False
    parts = (part for part in line.value.upper().split(";") if not part.startswith(("UNTIL=", "COUNT=")))
    return any(True for _ in rrulestr(";".join(parts), dtstart=datetime(_LATE, 1, 1)))


def _plain(zone: Component) -> str:
    rows = [f"BEGIN:{zone.name}", *(line.text for line in zone.lines)]
    rows += [_plain(part) for part in zone.components]
    return "\n".join([*rows, f"END:{zone.name}"])
