"""Which of two messages of one party is the newer one (RFC 5546 §2.1.5, rules V1 and V2).

What was applied last travels with the object, as X-IMIPD-* parameters of the party's line; where a client or server
strips them, the ledger's memory is asked; where that has forgotten, the rule works without.
"""

import re
from datetime import UTC, datetime

from imipd.address import comparable
from imipd.memory import Memory, Revision

from .instance import Instance, Party
from .lines import Line, written
from .parameters import Parameters

SEQUENCE, DTSTAMP, DATE = "X-IMIPD-SEQUENCE", "X-IMIPD-DTSTAMP", "X-IMIPD-DATE"
FIRST = "X-IMIPD-FIRST"
"""On the ORGANIZER: the address that first brought this event (A2)."""
JOINED = "X-IMIPD-JOINED"
"""On an ATTENDEE: nobody invited him, his own answer put him on the list (R5)."""
CATEGORIES = "X-IMIPD-CATEGORIES"
"""On the ORGANIZER: the CATEGORIES that his last message named; what else stands there is mine (Q3)."""
_FORM = "%Y%m%dT%H%M%SZ"
_FORMED = re.compile("[0-9]{8}T[0-9]{6}Z")


def of_message(item: Instance, party: str, label: str, date: datetime | None) -> Revision:
    """Return the revision that this component of a message of `party` has."""
    return Revision(party, label, item.sequence, item.dtstamp, _answered(item) or date)


def _answered(item: Instance) -> datetime | None:
    """Outlook repeats one DTSTAMP in TENTATIVE and then DECLINED, but says when each was given (V2)."""
    lines = item.component.all("X-MICROSOFT-CDO-REPLYTIME")
    return _time(lines[0].text.rpartition(":")[2]) if lines else None


def last(party: Party | None, label: str, memory: Memory) -> Revision | None:
    """Return the revision of the party's last applied message for this instance, None where nothing remembers it."""
    if party is None:
        return None
    said = [party.line.parameter(name) for name in (SEQUENCE, DTSTAMP, DATE)]
    if any(said):
        sequence = int(said[0]) if said[0].isdecimal() else None
        return Revision(party.address, label, sequence, _time(said[1]), _time(said[2]))
    return recalled(party.address, label, memory)


def is_written(party: Party) -> bool:
    """Return whether the party's line carries the revision of an applied message."""
    return any(party.line.parameter(name) for name in (SEQUENCE, DTSTAMP, DATE))


def first(organizer: Party, memory: Memory) -> str:
    """Return the address that first brought the ORGANIZER's event, empty where nothing remembers another (A2)."""
    said = comparable(organizer.line.parameter(FIRST))
    return said or memory.first.get(organizer.address, "")


def recalled(party: str, label: str, memory: Memory) -> Revision | None:
    """Return the revision that the ledger remembers for an address and an instance."""
    return memory.last.get((party, label))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if _FORMED.fullmatch(text) else None
    except ValueError:
        return None


def remember(line: Line, revision: Revision) -> Line:
    """Return a party's line that carries the revision of the message that was applied."""
    parameters = forget(line.parameters)
    stamps = ((DTSTAMP, revision.dtstamp), (DATE, revision.date))
    if revision.first:
        parameters[FIRST] = revision.first
    if revision.sequence is not None or not (revision.dtstamp or revision.date):
        # A message without any of these was applied, too: no SEQUENCE is 0 (RFC 5545 §3.8.7.4).
        parameters[SEQUENCE] = str(revision.sequence or 0)
    parameters.update({name: f"{at.astimezone(UTC):{_FORM}}" for name, at in stamps if at is not None})
    return written(line.name, line.value, parameters)


def forget(parameters: Parameters) -> Parameters:
    """Return the parameters without a remembered revision."""
    for name in (SEQUENCE, DTSTAMP, DATE):
        parameters.pop(name, None)
    return parameters


def organizer_is_stale(new: Revision, known: Revision) -> bool:
    """Return whether a message of the Organizer is older than the last one that was applied (V1)."""
    return _first_difference((new.sequence, known.sequence), (new.dtstamp, known.dtstamp), (new.date, known.date))


def attendee_is_stale(new: Revision, known: Revision | None) -> bool:
    """Return whether an answer is older than the Attendee's last one for the same instance (V2).

    Where DTSTAMP and Date disagree Date decides, in both directions: an order by both would depend on the arrival.
    """
    if known is None:
        return False
    return _first_difference((new.sequence, known.sequence), (new.date, known.date), (new.dtstamp, known.dtstamp))


def _first_difference(*pairs: tuple[int | None, int | None] | tuple[datetime | None, datetime | None]) -> bool:
    """Return whether the first pair that is known on both sides and differs says that the new one is older."""
    for new, known in pairs:
        if new is not None and known is not None and new != known:
            return new < known  # type: ignore[operator]  # both of one type
    return False


def are_equal(one: Revision, other: Revision) -> bool:
    """Return whether two revisions are of the same message, whatever instance they are remembered for."""
    return (one.sequence, one.dtstamp, one.date) == (other.sequence, other.dtstamp, other.date)


def is_buried(label: str, sequence: int | None, party: str, memory: Memory) -> bool:
    """Return whether a tombstone of this Organizer stands against a message of this SEQUENCE (C1, Q2)."""
    return memory.buried.get((party, label), -1) >= (sequence or 0)
