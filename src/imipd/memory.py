"""What is remembered of a party's messages, so that the order of arrival decides nothing (rules.md, Memory).

The values pass between `itip`, which decides by them, and `ledger`, which keeps them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Revision:
    """A party's last applied message for one UID, or for one instance of it."""

    party: str
    """Comparable address of the ORGANIZER or ATTENDEE whose message it was."""
    recurrence_id: str
    """The instance, UTC or floating basic form or a DATE (``20260310T100000Z``); empty for the whole."""
    sequence: int | None
    dtstamp: datetime | None
    date: datetime | None
    """The mail's Date."""
    first: str | None = None
    """Of an Organizer: comparable address that first brought the event, where that is not the ORGANIZER's (A2)."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What was deleted, or called off before it was known, so that a late REQUEST stays out (C1, C3, C4, Q2)."""

    party: str
    """Comparable address of the ORGANIZER: a tombstone stands against his messages alone."""
    recurrence_id: str
    """As in `Revision`."""
    sequence: int
    dtstamp: datetime | None


@dataclass(frozen=True)
class Memory:
    """All that is remembered of one UID in one account: found at once, where thousands of instances are asked for."""

    revisions: tuple[Revision, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()

    @cached_property
    def last(self) -> Mapping[tuple[str, str], Revision]:
        """The revision of a party and instance."""
        return {(each.party, each.recurrence_id): each for each in reversed(self.revisions)}

    @cached_property
    def first(self) -> Mapping[str, str]:
        """Who first brought a party's event, where that is somebody else."""
        return {each.party: each.first for each in reversed(self.revisions) if each.first}

    @cached_property
    def buried(self) -> Mapping[tuple[str, str], int]:
        """The highest SEQUENCE of the tombstones of a party and instance."""
        return {
            (each.party, each.recurrence_id): each.sequence
            for each in sorted(self.tombstones, key=lambda stone: stone.sequence)
        }

    @cached_property
    def burials(self) -> Counter[str]:
        """How many tombstones a party has."""
        return Counter(each.party for each in self.tombstones)


NOTHING = Memory()
