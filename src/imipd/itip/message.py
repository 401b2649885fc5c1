"""The door of `itip`: an iTIP message and a stored object, read once and checked (RFC 5546 §3, RFC 4791 §4.1).

Any bytes give a value or `MalformedError`; past this door nothing raises.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property

from imipd.address import without_detail
from imipd.memory import NOTHING, Memory
from imipd.policy import DEFAULTS, Policy

from . import instance, lines, zones
from .decision import Reason
from .instance import Instance, Party
from .lines import Component, Line, MalformedError
from .zones import Zones

KINDS = ("VEVENT", "VTODO", "VJOURNAL")
OF_JOURNALS = ("PUBLISH", "ADD", "CANCEL")
"""What may be said of a VJOURNAL (RFC 5546 §3.5)."""
PROCESSED = ("REQUEST", "REPLY", "CANCEL", "ADD", "COUNTER", "DECLINECOUNTER", "REFRESH", "PUBLISH")
OF_ATTENDEES = ("REPLY", "COUNTER", "REFRESH")
"""What an Attendee sends to the Organizer (RFC 5546 §1.4)."""
RETURNED = "returned"
"""A mail of mine that came back. No METHOD from outside can say so: these are upper case."""
OWN = "X-IMIPD-"
LONGEST_METHOD = 100
"""Characters that are told of something that is no method."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a calendar is read (G9)."""

    components: int = 2000
    attendees: int = 1000


LIMITS = Limits()
MOST_STORED = 100_000
"""Components, and Attendees of one, of a stored object, which nobody limits but the calendar server."""


@dataclass(frozen=True)
class CalendarObject:
    """All that one VCALENDAR says of one UID: a master, its overrides, or both."""

    calendar: Component
    zones: Zones
    uid: str
    kind: str
    """VEVENT, VTODO, VJOURNAL, or the name of a component that is not ours to process."""
    instances: tuple[Instance, ...]

    @cached_property
    def master(self) -> Instance | None:
        """The component without RECURRENCE-ID."""
        return next((item for item in self.instances if item.recurrence_id is None), None)

    @cached_property
    def overrides(self) -> tuple[Instance, ...]:
        """The components with RECURRENCE-ID."""
        return tuple(item for item in self.instances if item.recurrence_id is not None)

    @cached_property
    def organizer(self) -> Party | None:
        """The ORGANIZER of the master, else of the first override that names one."""
        return next((item.organizer for item in self._master_first() if item.organizer), None)

    def attendees_of(self, item: Instance) -> tuple[Party, ...]:
        """Return the ATTENDEEs of an instance; an override without any has those of the master."""
        return item.attendees or (self.master.attendees if self.master else ())

    @cached_property
    def attendees(self) -> tuple[Party, ...]:
        """Every ATTENDEE line of every instance."""
        return tuple(party for item in self._master_first() for party in item.attendees)

    def _master_first(self) -> Iterable[Instance]:
        return sorted(self.instances, key=lambda item: item.recurrence_id is not None)


@dataclass(frozen=True, slots=True)
class ItipMessage:
    """An iTIP message; `method` is upper case, and empty where neither body nor part names one."""

    method: str
    content: CalendarObject
    failed: frozenset[str] = frozenset()
    """Where it is RETURNED: the comparable addresses that it never reached."""

    @property
    def is_of_attendee(self) -> bool:
        """Whether it is said to the Organizer, by an Attendee or about one."""
        return self.method in (*OF_ATTENDEES, RETURNED)

    @property
    def uid(self) -> str:
        """The UID that all its components share."""
        return self.content.uid

    @property
    def recurrence_ids(self) -> tuple[str, ...]:
        """The instances that it speaks of by RECURRENCE-ID, in basic form."""
        return tuple(item.label for item in self.content.overrides)


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision is made from besides the message and the stored object."""

    me: frozenset[str]
    """The recipient's comparable addresses."""
    originator: str | None
    """Comparable From address; None where there is not exactly one."""
    date: datetime | None = None
    """The mail's Date."""
    policy: Policy = DEFAULTS
    memory: Memory = NOTHING
    proven: bool = False
    """Whether the originator is proven, where the policy asks for that (G11)."""
    proof: str = ""
    """By what he is proven, or why not; empty where that was not asked."""
    known: bool = False
    """Whether contacts or events know who invites; asked only where everything else is for adding (Q2)."""
    split_from: CalendarObject | None = None
    """The stored series of which the message's UID names a second half (Q2)."""
    server_answers: bool = False
    """Whether the calendar server would answer a new invitation by itself (S5)."""

    def is_me(self, address: str) -> bool:
        """Return whether a comparable address is the recipient's, with or without ``+detail``."""
        return address in self.me or without_detail(address) in {without_detail(mine) for mine in self.me}


def parse(body: bytes, method: str | None = None, limits: Limits = Limits()) -> ItipMessage:
    """Return the iTIP message in a calendar part; `method` is the part's parameter. Raises MalformedError."""
    calendar = without_memory(lines.refolded(lines.read(body, limits.components)))
    _check_nesting(calendar)
    line = calendar.one("METHOD")
    said = (line.value if line else method or "").strip().upper()[:LONGEST_METHOD]
    calendar = calendar.without("METHOD")
    if said == "REPLY":
        calendar = _answered_once(calendar)
    try:
        return ItipMessage(said, _with_parties(_object(calendar, limits)))
    except MalformedError as error:
        # What is not processed is not judged further: it may be in any time zone (G10, G12).
        if error.reason is not Reason.UNKNOWN_TIMEZONE or said in PROCESSED:
            raise
        return ItipMessage(said, _unread(calendar))


def _answered_once(calendar: Component) -> Component:
    """Return a REPLY without the components that leave open what another says of the same instance (R4).

    Cyrus 3.6 answers for a changed instance twice: as the Attendee has answered, and as it was before.
    """
    labels = [tuple(line.key for line in part.all("RECURRENCE-ID")) for part in calendar.components]
    twice = {label for label, times in Counter(labels).items() if label and times > 1}
    unsaid = {id(p) for p, label in zip(calendar.components, labels, strict=True) if label in twice and _is_open(p)}
    return calendar.with_content([item for item in calendar.content if id(item) not in unsaid])


def _is_open(part: Component) -> bool:
    answers = [line.parameter("PARTSTAT").upper() for line in part.all("ATTENDEE") if line.is_readable]
    return all(answer in ("", "NEEDS-ACTION") for answer in answers)


def read(body: bytes) -> CalendarObject:
    """Return a stored calendar object. Raises MalformedError."""
    return _object(lines.read(body, max_components=MOST_STORED), Limits(attendees=MOST_STORED))


def with_names(content: CalendarObject, names: Mapping[str, str], first: date) -> CalendarObject:
    """Return the object with other names for its time zones, each of them defined (Q7); `first` is its first day."""
    return _object(zones.renamed(zones.complete(content.calendar, content.zones, first), names), LIMITS)


def _check_nesting(part: Component) -> None:
    """What is an object of its own hides in no other; VALARM and the components of RFC 9073 may stand there."""
    for inner in part.components:
        if inner.name == "VCALENDAR" or (part.name != "VCALENDAR" and inner.name in (*KINDS, "VTIMEZONE")):
            raise MalformedError(f"{inner.name} within {part.name}")
        _check_nesting(inner)


def _unread(calendar: Component) -> CalendarObject:
    part = next(part for part in calendar.components if part.name != "VTIMEZONE")
    return CalendarObject(calendar, Zones(calendar), _uid(part), part.name, ())


def _object(calendar: Component, limits: Limits) -> CalendarObject:
    known = Zones(calendar)
    parts = [part for part in calendar.components if part.name != "VTIMEZONE"]
    # A journal entry beside events is no matter of theirs.
    ours = [part for part in parts if part.name in KINDS[:2]] or [part for part in parts if part.name in KINDS]
    if not parts:
        raise MalformedError("no component")
    if not ours:
        return _unread(calendar)
    instances = tuple(instance.read(part, known) for part in ours)
    _check(instances, limits)
    return CalendarObject(calendar, known, instances[0].uid, instances[0].kind, instances)


def _uid(part: Component) -> str:
    uid = part.one("UID")
    return uid.value.strip()[: instance.LONGEST_UID] if uid else ""


def _check(instances: tuple[Instance, ...], limits: Limits) -> None:
    if len({item.uid for item in instances}) > 1:
        raise MalformedError("two UIDs in one VCALENDAR")
    if len({item.kind for item in instances}) > 1:
        raise MalformedError("VEVENT and VTODO with one UID")
    if len({(item.label, item.this_and_future) for item in instances}) < len(instances):
        raise MalformedError("two components for one instance")
    if any(len(item.attendees) > limits.attendees for item in instances):
        raise MalformedError(f"more than {limits.attendees} attendees", Reason.TOO_LARGE)


def without_memory(part: Component) -> Component:
    """Remove what only we may have written: X-IMIPD-* properties and parameters (rules.md, Memory)."""
    content: list[Line | Component] = []
    for item in part.content:
        if isinstance(item, Component):
            content.append(without_memory(item))
        elif OWN not in item.text.upper():
            content.append(item)
        elif not item.name.startswith(OWN):
            content.append(_without_own_parameters(item))
    return part.with_content(content)


def _without_own_parameters(line: Line) -> Line:
    parameters = line.parameters
    for name in [name for name in parameters if name.upper().startswith(OWN)]:
        del parameters[name]
    return lines.written(line.name, line.value, parameters)


def _with_parties(content: CalendarObject) -> CalendarObject:
    """Give overrides that name nobody the ORGANIZER and ATTENDEEs of the master (Exchange leaves them out, Q1)."""
    master = content.master
    if master is None or all(item.organizer and item.attendees for item in content.overrides):
        return content
    instances = tuple(instance.read(instance.completed(item, master), content.zones) for item in content.instances)
    new = {id(item.component): made.component for item, made in zip(content.instances, instances, strict=True)}
    calendar = content.calendar.with_content(new.get(id(part), part) for part in content.calendar.content)
    return replace(content, calendar=calendar, instances=instances)
