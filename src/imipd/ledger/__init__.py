"""The door to the ledger: what was decided about each iTIP message, and what must be remembered of it.

One entry for each iTIP message and recipient. It is *intended* before the calendar is written and *completed*
after it; a redelivery that finds an intended entry completes that entry (docs/architecture.md, "Crash").
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imipd.index import Index
from imipd.memory import NOTHING, Memory, Revision, Tombstone

MEMORY_DAYS = 90
"""How long revisions and tombstones are kept, whatever becomes of their entries."""
WRITTEN = ("added", "updated")
"""The outcomes of what changed a calendar."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was decided about one iTIP message for one recipient, and why; or that an operator took that back."""

    digest: str
    """Identifies the message together with the mail that brought it; with `recipient` the entry's key."""
    recipient: str
    account: str
    time: datetime
    message_id: str
    originator: str
    method: str
    uid: str
    recurrence_ids: tuple[str, ...]
    outcome: str
    reason: str
    detail: str = ""
    href: str = ""
    duration: float = 0.0
    """Seconds from the mail's arrival to the decision carried out."""
    revisions: tuple[Revision, ...] = ()
    """What the message leaves to remember once it is applied."""
    tombstones: tuple[Tombstone, ...] = ()
    displaced: Memory = NOTHING
    """What was remembered in the place of that before."""
    former: bytes | None = None
    """The object before the write; None where there was none, or nothing was written."""
    written: bytes | None = None
    """The object as it was sent to the server; None where it was deleted, or nothing was written."""
    etag: str = ""
    """The version that the write left; empty where the server did not name it."""
    undoes: int | None = None
    """The number of the entry that this one takes back; None for a message."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as the ledger holds it."""

    number: int
    completed: bool
    entry: Entry
    undone: bool = False
    """Whether it was taken back, and that was not taken back in turn."""


class Ledger(Protocol):
    """Where entries are kept. Every method may raise `LedgerError`, those of `index`, too."""

    index: Index
    """Where calendar objects were seen: kept in the same place, for whoever finds them."""

    def recall(self, account: str, uid: str) -> Memory:
        """Return what completed entries of this account left to remember of `uid`.

        For each party and instance one revision, the latest by `Entry.time`, and one tombstone a SEQUENCE.
        """

    def find(self, digest: str, recipient: str) -> Recorded | None:
        """Return the entry for this message and recipient, intended or completed."""

    def numbered(self, number: int) -> Recorded | None:
        """Return the entry with this number."""

    def standing(self, digest: str, account: str, originator: str, since: datetime) -> "Standing":
        """Return what speaks against carrying out a message: that it was taken back, and changes after `since`."""

    def intend(self, entry: Entry) -> None:
        """Write down what is about to be done; takes the place of an entry with the same key."""

    def complete(self, entry: Entry, *, as_intended: bool = False) -> None:
        """Write down what was done; takes the place of an entry with the same key.

        `as_intended`: but for `href`, `etag` and `duration` it is what `intend` was given before.
        What it leaves to remember stays, even where the entry is written anew. Its postponement is cleared. One that
        takes another entry back marks that as undone, and what it displaces is forgotten.
        """

    def postpone(self, digest: str, recipient: str, now: datetime, why: str) -> datetime:
        """Note that a message could not be finished now and return when that was noted first."""

    def log(self, query: "Query") -> tuple[Recorded, ...]:
        """Return the entries that match, newest first; without `former` and `written`, which `find` returns."""

    def prune(self, now: datetime) -> int:
        """Forget entries after `keep_days` and memory after `MEMORY_DAYS`; return how many entries went."""

    def close(self) -> None:
        """Let go of the database."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger knows of a message before it is carried out."""

    undone: bool
    """Whether what it did to the account, whoever its recipient, was or is being taken back."""
    applied: int
    """How many messages of its originator have changed the account."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries are asked for; None asks for all."""

    recipient: str | None = None
    uid: str | None = None
    since: datetime | None = None
    limit: int = 1000


class LedgerError(Exception):
    """The ledger could not be read or written: temporary for the mail in hand."""


class OutdatedError(LedgerError):
    """The tables are of an older imipd, and whoever asks shall not change them."""
