"""One VEVENT or VTODO read: the values that decisions need, checked once (RFC 5545 §3.6.1, §3.6.2).

Everything a decision looks at is read here; past this door no line raises.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from imipd.address import comparable

from . import moment, rule
from .decision import Reason
from .lines import Component, Line, MalformedError
from .moment import Moment
from .rule import Rule
from .zones import Zones

_OF_THE_SERIES = ("RRULE", "RDATE", "EXDATE", "EXRULE")
HIGHEST_SEQUENCE = 2**31 - 1
LONGEST_UID = 1000
"""Characters; RFC 7986 §5.3 foresees 255 octets. It is asked for at the calendar server, and logged."""


@dataclass(frozen=True, slots=True)
class Party:
    """An ORGANIZER or ATTENDEE line."""

    line: Line
    address: str
    """Comparable."""

    @property
    def partstat(self) -> str:
        """PARTSTAT, upper case; NEEDS-ACTION where it is absent (RFC 5545 §3.2.12)."""
        return self.line.parameter("PARTSTAT").upper() or "NEEDS-ACTION"

    def addresses(self, name: str) -> frozenset[str]:
        """Return the comparable addresses of a parameter such as SENT-BY or DELEGATED-TO."""
        return frozenset(comparable(value) for value in self.line.values_of(name))


@dataclass(frozen=True)
class Instance:
    """A master (no `recurrence_id`) or an override, read."""

    component: Component
    uid: str
    recurrence_id: Moment | None
    this_and_future: bool
    sequence: int | None
    dtstamp: datetime | None
    start: Moment | None
    end: Moment | None
    """DTEND or DUE, or DTSTART plus DURATION."""
    status: str
    organizer: Party | None
    attendees: tuple[Party, ...]
    rules: tuple[Rule, ...]
    rdates: tuple[Moment, ...]
    exdates: tuple[Moment, ...]

    @property
    def kind(self) -> str:
        """VEVENT or VTODO."""
        return self.component.name

    @property
    def label(self) -> str:
        """The RECURRENCE-ID in basic form; empty for the master."""
        return "" if self.recurrence_id is None else moment.label(self.recurrence_id)

    @property
    def recurs(self) -> bool:
        """Whether it is the master of a series."""
        return bool(self.rules or self.rdates)

    @cached_property
    def excluded(self) -> frozenset[str]:
        """The labels of EXDATEs, in the form of DTSTART."""
        return self._labels(self.exdates)

    @cached_property
    def added(self) -> frozenset[str]:
        """The labels of RDATEs, in the form of DTSTART."""
        return self._labels(self.rdates)

    @cached_property
    def lengths(self) -> dict[str, timedelta | None]:
        """The lengths that each RDATE;VALUE=PERIOD gives its instance, by label (RFC 5545 §3.8.5.2)."""
        texts = [text for line in self.component.all("RDATE") for text in line.value.split(",")]
        pairs = ((text, self._labels((at,))) for text, at in zip(texts, self.rdates, strict=True) if "/" in text)
        found: dict[str, timedelta | None] = {}
        for text, labels in pairs:
            for label in labels:
                found.setdefault(label, moment.period_length(text))
        return found

    @cached_property
    def bare(self) -> Component:
        """The component without what makes it a series, and without its times."""
        return self.component.without(*_OF_THE_SERIES, "DTSTART", "DTEND", "DUE", "RECURRENCE-ID")

    def _labels(self, moments: tuple[Moment, ...]) -> frozenset[str]:
        like = self.start
        if like is None:
            return frozenset()
        return frozenset(moment.label(moment.in_form_of(at, like)) for at in moments if moment.can_be(at, like))

    def attendee(self, address: str) -> Party | None:
        """Return the ATTENDEE with this comparable address."""
        return next((party for party in self.attendees if party.address == address), None)


def read(component: Component, zones: Zones) -> Instance:
    """Return what the component says. Raises MalformedError."""
    uid = component.one("UID")
    if uid is None or not uid.value.strip() or not uid.value.isprintable():
        raise MalformedError(f"{component.name} without a readable UID")
    if len(uid.value) > LONGEST_UID:
        raise MalformedError(f"a UID of more than {LONGEST_UID} characters", Reason.TOO_LARGE)
    rid = component.one("RECURRENCE-ID")
    start = moment.read_one(component.one("DTSTART"), zones)
    status = component.one("STATUS")
    return Instance(
        component=component,
        uid=uid.value.strip(),
        recurrence_id=moment.read_one(rid, zones),
        this_and_future=rid is not None and rid.parameter("RANGE").upper() == "THISANDFUTURE",
        sequence=_sequence(component),
        dtstamp=_dtstamp(component, zones),
        start=start,
        end=_end(component, start, zones),
        status=status.value.strip().upper() if status else "",
        organizer=_organizer(component),
        attendees=tuple(_party(line) for line in component.all("ATTENDEE")),
        rules=tuple(rule.read(line) for line in component.all("RRULE")),
        rdates=_moments(component, "RDATE", zones),
        exdates=_moments(component, "EXDATE", zones),
    )


def _sequence(component: Component) -> int | None:
    line = component.one("SEQUENCE")
    if line is None:
        return None
    try:
        sequence = int(line.value.strip()[:20])
    except ValueError as error:
        raise MalformedError(f"SEQUENCE: {line.value[:40]!r} is not a number") from error
    return sequence if 0 <= sequence <= HIGHEST_SEQUENCE else None


def _dtstamp(component: Component, zones: Zones) -> datetime | None:
    stamp = moment.read_one(component.one("DTSTAMP"), zones)
    if not isinstance(stamp, datetime):
        return None
    # RFC 5545 §3.8.7.2 demands UTC; a floating one is read so.
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


def _end(component: Component, start: Moment | None, zones: Zones) -> Moment | None:
    end = moment.read_one(component.one("DUE" if component.name == "VTODO" else "DTEND"), zones)
    duration = moment.read_duration(component.one("DURATION"))
    if end is None and start is not None and duration is not None:
        return moment.plus(start, duration)
    return end


def ends(kind: str, start: Moment | None, end: Moment | None) -> Moment | None:
    """Return when it ends, also where a VEVENT leaves that to its DTSTART (RFC 5545 §3.6.1)."""
    if end is not None or start is None or kind != "VEVENT":
        return end
    return moment.plus(start, timedelta(days=1 if moment.is_date(start) else 0))


def _moments(component: Component, name: str, zones: Zones) -> tuple[Moment, ...]:
    return tuple(found for line in component.all(name) for found in moment.read_all(line, zones))


def _organizer(component: Component) -> Party | None:
    line = component.one("ORGANIZER")
    return None if line is None else _party(line)


def _party(line: Line) -> Party:
    return Party(line, comparable(line.value))


def completed(item: Instance, master: Instance) -> Component:
    """Return an override with the ORGANIZER and ATTENDEEs of its master where it names none (Q1)."""
    part = item.component
    if item.organizer is None:
        part = part.append(master.component.all("ORGANIZER"))
    return part if item.attendees else part.append(master.component.all("ATTENDEE"))
