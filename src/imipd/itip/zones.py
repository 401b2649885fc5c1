"""Time zones of one calendar (RFC 5545 §3.6.5): its own VTIMEZONEs first, then IANA and Windows names (G12, Q7).

icalendar 7.3.0 keeps VTIMEZONEs in a process-wide cache where the first definition wins, so one mail could move the
meetings of the next. Definitions are therefore read by dateutil, which keeps no names, and belong to one calendar.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from . import observance
from .lines import Component, Line, written
from .vtimezone import changes, generated, offset_at

MOST_RULES = 50
"""Rules in the definitions that one calendar uses; more cost too much to walk (G9)."""
MOST_NAMED = 50
"""Zones that one calendar uses without a definition; more cost too much to define (G9)."""


class Zones:
    """The time zones that the TZIDs of one calendar mean."""

    def __init__(self, calendar: Component) -> None:
        self._defined = definitions(calendar)
        self._read: dict[str, tzinfo | None] = {}
        self._rules = 0
        self._named: set[str] = set()

    def before(self, other: "Zones") -> "Zones":
        """Return both calendars' zones; where both define a TZID, this one's definition."""
        mine = {tzid for tzid in self._defined if tzid not in other._defined or self._of_definition(tzid)}
        return other._without(mine)._with(self, mine)

    def renewed(self, other: "Zones", used: Iterable[str], year: int) -> "Zones":
        """Return both calendars' zones; where both define a TZID, this one's (Q7).

        Of the TZIDs that `other` has in use, those that mean other offsets there are taken from there: `clashes` has
        given another name to each that is still in use here.
        """
        changed = {tzid for tzid in used if not self.agrees(other, tzid, tzid, year)}
        return self._without(changed).before(other)

    def _without(self, tzids: Iterable[str]) -> "Zones":
        stays, gone = Zones.__new__(Zones), set(tzids)
        stays._defined = {tzid: part for tzid, part in self._defined.items() if tzid not in gone}
        stays._read = {tzid: zone for tzid, zone in self._read.items() if tzid in stays._defined}
        stays._rules, stays._named = 0, set(self._named)
        return stays

    def _with(self, other: "Zones", tzids: set[str]) -> "Zones":
        self._defined = {**self._defined, **{tzid: other._defined[tzid] for tzid in tzids}}
        self._read |= {tzid: zone for tzid, zone in other._read.items() if tzid in tzids}
        self._named |= other._named
        return self

    def zone(self, tzid: str) -> tzinfo | None:
        """Return what `tzid` means in this calendar; None where nothing tells."""
        return self._of_definition(tzid) or self._of_name(tzid)

    def _of_name(self, tzid: str) -> ZoneInfo | None:
        zone = named(tzid) if tzid in self._named or len(self._named) < MOST_NAMED else None
        self._named |= {tzid} if zone else set()
        return zone

    def _of_definition(self, tzid: str) -> tzinfo | None:
        if tzid in self._defined and tzid not in self._read:
            definition = self._defined[tzid]
            self._rules += sum(len(part.all("RRULE")) for part in observance.observances(definition))
            self._read[tzid] = observance.interpreted(definition) if self._rules <= MOST_RULES else None
        return self._read.get(tzid)

    def definition(self, tzid: str, first: date) -> Component | None:
        """Return the VTIMEZONE of `tzid`: this calendar's own, else one made for times from `first` on."""
        if self._of_definition(tzid):
            return self._defined[tzid]
        zone = named(tzid)
        # One that cannot be read is better than none: no line that we had to read uses it.
        return self._defined.get(tzid) if zone is None else generated(zone, tzid, first.year)

    def agrees(self, other: "Zones", mine: str, theirs: str, year: int) -> bool:
        """Return whether two TZIDs, each in its own calendar, have the same offsets throughout `year` and the next."""
        one, two = self.zone(mine), other.zone(theirs)
        if one is None or two is None or one is two:
            return True
        same = (
            mine in self._defined
            and theirs in other._defined
            and _are_equal(self._defined[mine], other._defined[theirs])
        )
        return same or _offsets(one, year) == _offsets(two, year)

    def free_name(self, tzid: str, incoming: "Zones", year: int) -> str:
        """Return the name under which an incoming zone stands here already, else one that is not taken."""
        names = (f"{tzid} ({number})" for number in count(2))
        return next(name for name in names if name not in self._defined or self.agrees(incoming, name, tzid, year))


def _are_equal(one: Component, other: Component) -> bool:
    """Return whether two VTIMEZONEs say the same of offsets, as nearly always: asking dateutil costs 10 ms."""
    said = [
        {
            (part.name, frozenset(line.key for line in part.lines if line.name in observance.NEEDED))
            for part in zone.components
        }
        for zone in (one, other)
    ]
    return said[0] == said[1]


def _offsets(zone: tzinfo, year: int) -> list[tuple[datetime, timedelta | None]]:
    """Return the offset at the begin of `year`, and what it changes to until the end of the next."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    return [(at, offset_at(at, zone)) for at in (start, *changes(zone, start, year + 2))]


def definitions(calendar: Component) -> Mapping[str, Component]:
    """Return the VTIMEZONEs of a calendar by TZID. Raises MalformedError."""
    found: dict[str, Component] = {}
    for zone in calendar.components:
        names = zone.all("TZID") if zone.name == "VTIMEZONE" else ()
        for name in {names[0].value, names[0].plain} if names else ():  # a comma is escaped there, not in a parameter
            found.setdefault(name, zone)
    return found


def named(tzid: str) -> ZoneInfo | None:
    """Return the IANA time zone of an IANA or Windows name, also behind a vendor's prefix (``/x.org/Europe/Rome``)."""
    name = WINDOWS_TO_OLSON.get(tzid, tzid)
    parts = name.split("/")
    starts = range(1, len(parts)) if name.startswith("/") else (0,)
    candidates = ("/".join(parts[start:]) for start in starts)
    return next((ZoneInfo(candidate) for candidate in candidates if candidate in _iana()), None)


@lru_cache(maxsize=1)
def _iana() -> frozenset[str]:
    # These files say what this machine's zone is, and nothing about the sender's.
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def tzids(parts: Iterable[Component]) -> set[str]:
    """Return every TZID that the lines of these components use."""
    found: set[str] = set()
    for part in parts:
        found |= {line.parameter("TZID") for line in part.lines if "TZID=" in line.text.upper() and line.is_readable}
        found |= tzids(part.components)
    return found - {""}


def clashes(stored: Zones, incoming: Zones, both: Iterable[str], year: int) -> dict[str, str]:
    """Return a new name for each incoming TZID that means other offsets where it is stored (Q7)."""
    other = (tzid for tzid in both if not stored.agrees(incoming, tzid, tzid, year))
    return {tzid: stored.free_name(tzid, incoming, year) for tzid in other}


def renamed(part: Component, names: Mapping[str, str]) -> Component:
    """Return a component with other TZIDs, its VTIMEZONEs included."""
    content: list[Line | Component] = []
    for item in part.content:
        if isinstance(item, Component):
            content.append(renamed(item, names))
        elif part.name == "VTIMEZONE" and item.name == "TZID":
            content.append(written("TZID", names.get(item.value) or names.get(item.plain) or item.value))
        else:
            content.append(_renamed_line(item, names))
    return part.with_content(content)


def _renamed_line(line: Line, names: Mapping[str, str]) -> Line:
    if "TZID=" not in line.text.upper() or not line.is_readable or line.parameter("TZID") not in names:
        return line
    parameters = line.parameters
    parameters["TZID"] = names[line.parameter("TZID")]
    return written(line.name, line.value, parameters)


def complete(calendar: Component, known: Zones, first: date) -> Component:
    """Return the calendar with the VTIMEZONE of every TZID in use, verbatim where it is defined, and no other (Q7)."""
    others = [part for part in calendar.components if part.name != "VTIMEZONE"]
    found = (known.definition(tzid, first) for tzid in sorted(tzids(others)))
    return calendar.with_content([*calendar.lines, *(part for part in found if part), *others])
