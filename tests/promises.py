"""What holds of every delivery, whatever the mail says: told from the calendar before and after, not from the rules.

Where one of them does not hold, `BrokenError` says which.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imipd import itip
from imipd.address import comparable, domain
from imipd.gateway import Judgement
from imipd.itip import Added, CalendarObject, ItipMessage, MalformedError, Updated
from imipd.itip.instance import Instance, Party
from imipd.itip.lines import Component, Line
from imipd.itip.message import RETURNED
from imipd.policy import Policy
from imipd.stamp import FIELD, stamped

OF_ATTENDEES = ("REPLY", "COUNTER", "REFRESH")
PROGRESS = frozenset({"STATUS", "PERCENT-COMPLETE", "COMPLETED"})
LONGEST_LINE = 998


class BrokenError(Exception):
    """Something that was promised does not hold."""


@dataclass(frozen=True, slots=True)
class Case:
    """One message that was judged, and what it was judged on."""

    message: ItipMessage
    judgement: Judgement
    originator: str | None
    me: frozenset[str]
    policy: Policy
    calendar: tuple[CalendarObject, ...] = ()
    """All that could be read before."""

    @property
    def held(self) -> CalendarObject | None:
        """What was stored."""
        return itip.read(self.judgement.stored.body) if self.judgement.stored else None


def kept_by(case: Case) -> None:
    """Check what a decision that changes something must not do."""
    if not case.judgement.writes:
        return
    if case.message.method == RETURNED:
        _marks_alone(case)
        return
    _is_entitled(case)
    if not isinstance(case.judgement.decision, Added | Updated):
        return
    now = _readable(case.judgement.decision.calendar)
    _plants_nothing(case, now)
    _brings_nothing_along(case, now)
    if case.message.method in OF_ATTENDEES and case.held:
        _changes_nobody_else(case, case.held, now)
    elif case.message.method not in OF_ATTENDEES:
        _books_nobody(case, now)


def kept_by_outcomes(content: bytes, outcomes: tuple[str, ...]) -> None:
    """Check that each outcome is one line of a header, and that none comes from outside."""
    head = stamped(content, outcomes).split(b"\n", len(outcomes))[: len(outcomes)]
    if any(not line.startswith(FIELD + b": ") or len(line) > LONGEST_LINE for line in head):
        raise BrokenError(f"outcomes {outcomes}")


def _readable(body: bytes) -> CalendarObject:
    try:
        return itip.read(body)
    except MalformedError as error:
        raise BrokenError("what is written cannot be read") from error


def _marks_alone(case: Case) -> None:
    """Anybody can forge a report: it says in my own event whom a mail did not reach, and nothing else (B1)."""
    decision, held = case.judgement.decision, case.held
    if not isinstance(decision, Updated) or held is None or not _organizer_of(held) & case.me:
        raise BrokenError(f"a report led to {decision.reason}")
    sides = [Counter(_without_status(side.calendar)) for side in (held, itip.read(decision.calendar))]
    if sides[0] != sides[1]:
        raise BrokenError("a report changed more than a SCHEDULE-STATUS")


def _organizer_of(held: CalendarObject) -> set[str]:
    return {item.organizer.address for item in held.instances if item.organizer}


def _without_status(part: Component) -> Iterator[object]:
    for line in part.lines:
        yield line.name, frozenset(each for each in line.key[1] if each[0] != "SCHEDULE-STATUS"), line.key[2]
    for inner in part.components:
        yield from _without_status(inner)


def _is_entitled(case: Case) -> None:
    """Who changes something is named by what is stored; who adds something, by his own message."""
    if case.policy.sender == "any" or _is_first_contact(case):
        return
    named = set(_named(case.held or case.message.content))
    if case.message.method == "REPLY" and case.policy.party_crashers == "add":
        named |= {party.address for party in case.message.content.attendees}
    if case.message.method == "PUBLISH" and not named:
        named = {case.originator or ""}  # he publishes himself (M7)
    if case.held is None:  # the first half of a series vouches for the second (Q2)
        named |= {address for held in case.calendar for address in _named(held)}
    if case.message.method == "PUBLISH" and case.held is None and not case.message.content.organizer:
        named.add(case.originator or "nobody")  # who publishes in nobody's name publishes in his own (M7)
    if not _with_aliases({case.originator or ""}, case.policy) & {*named, *case.policy.trusted_senders}:
        raise BrokenError(f"{case.originator} changed what names only {sorted(named)}")


def _is_first_contact(case: Case) -> bool:
    """Nobody mails from the id of a calendar: whoever comes first is believed (A2)."""
    organizer = case.message.content.organizer
    return case.held is None and organizer is not None and domain(organizer.address) in case.policy.calendar_ids


def _with_aliases(addresses: set[str], policy: Policy) -> set[str]:
    return addresses.union(*(group for group in policy.attendee_aliases if addresses & set(group)))


def _named(held: CalendarObject) -> Iterator[str]:
    parties = [*held.attendees, *(item.organizer for item in held.instances if item.organizer)]
    for party in parties:
        yield party.address
        for name in ("SENT-BY", "EMAIL", "X-IMIPD-FIRST", "DELEGATED-TO", "DELEGATED-FROM"):
            yield from party.addresses(name)


def _plants_nothing(case: Case, now: CalendarObject) -> None:
    """Nobody but the sender of an unchecked mail is remembered as who brought it, whatever a message says (A2)."""
    allowed = set(_firsts(case.held)) | {case.originator}
    if not set(_firsts(now)) <= allowed:
        raise BrokenError(f"planted: {sorted(_firsts(now))}")


def _brings_nothing_along(case: Case, now: CalendarObject) -> None:
    """A new object is one kind of component and nothing else, without METHOD and alarms (Q2, S3)."""
    allowed = {"VERSION", "PRODID", "CALSCALE", "VTIMEZONE", now.kind}
    names = {item.name for item in now.calendar.content}
    if case.held is None and not names <= allowed:
        raise BrokenError(f"came along: {sorted(names - allowed)}")
    if case.held is None and "VALARM" in _components(now.calendar):
        raise BrokenError("somebody else's alarm")


def _components(part: Component) -> set[str]:
    return {part.name}.union(*(_components(inner) for inner in part.components))


def _firsts(held: CalendarObject | None) -> set[str]:
    return {address for party in _organizers(held) for address in party.addresses("X-IMIPD-FIRST")}


def _organizers(held: CalendarObject | None) -> Iterable[Party]:
    return (item.organizer for item in held.instances if item.organizer) if held else ()


def _books_nobody(case: Case, now: CalendarObject) -> None:
    """The recipient's PARTSTAT is what he said before, or nothing yet (Q2, Q6)."""
    held = case.held
    said = {party.partstat for party in held.attendees if party.address in case.me} if held else set()
    is_now = {party.partstat for party in now.attendees if party.address in case.me}
    if not is_now <= said | {"NEEDS-ACTION"}:
        raise BrokenError(f"{case.message.method} booked the recipient: {said}, now {is_now}")


def _changes_nobody_else(case: Case, held: CalendarObject, now: CalendarObject) -> None:
    """An Attendee's message changes his own line and, by delegating, those of his delegates (A4, R9)."""
    his = _his(case, held)
    # An override that names nobody gets the parties of its master (Exchange).
    inherited = _keys(held.master) if held.master else set()
    after = {item.label: item for item in now.instances}
    for before in held.instances:
        if before.label not in after:
            raise BrokenError(f"the instance {before.label!r} is gone")
        for line in _differing(before, after[before.label]):
            is_progress = before.kind == "VTODO" and line.name in PROGRESS
            if not (_is_his(line, his) or is_progress or line.key in inherited - _keys(before)):
                raise BrokenError(f"an answer of {sorted(his)} changed {line.text}")


def _his(case: Case, held: CalendarObject) -> set[str]:
    """Return who answers, and whom he and his delegates have sent."""
    listed = {party.address for party in case.message.content.attendees}
    his = listed if len(listed) == 1 else listed & {case.originator}
    his = _with_aliases(his | {case.originator or ""}, case.policy)
    for _ in held.attendees:
        parties = [*held.attendees, *case.message.content.attendees]
        his |= {sent for party in parties if party.address in his for sent in party.addresses("DELEGATED-TO")}
    return his


def _differing(before: Instance, after: Instance) -> Iterator[Line]:
    old, new = (Counter(line.key for line in item.component.lines) for item in (before, after))
    for item, others in ((before, new), (after, old)):
        mine = Counter(line.key for line in item.component.lines)
        yield from (line for line in item.component.lines if mine[line.key] > others[line.key])


def _keys(item: Instance) -> set[object]:
    return {line.key for line in item.component.lines}


def _is_his(line: Line, his: set[str]) -> bool:
    return line.name == "ATTENDEE" and comparable(line.value) in his
