"""The ledger in this process's memory: for tests, and where nothing is to be kept."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import TypeVar

from imipd.index import Index, MemoryIndex
from imipd.memory import Memory, Revision, Tombstone

from . import MEMORY_DAYS, WRITTEN, Entry, Query, Recorded, Standing

Key = tuple[str, str]
Place = tuple[str, str]
K = TypeVar("K")
V = TypeVar("V")


class MemoryLedger:
    """A `Ledger` that forgets everything when the process ends."""

    def __init__(self, *, keep_days: int = 30) -> None:
        self._keep = timedelta(days=keep_days)
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._entries: dict[Key, Recorded] = {}
        self._revisions: dict[tuple[Place, str, str], tuple[datetime, Revision]] = {}
        self._tombstones: dict[tuple[Place, str, str, int], tuple[datetime, Tombstone]] = {}
        self._postponed: dict[Key, tuple[datetime, datetime]] = {}
        self.index: Index = MemoryIndex()

    def recall(self, account: str, uid: str) -> Memory:
        place = account, uid
        with self._lock:
            revisions = [each for key, (_, each) in self._revisions.items() if key[0] == place]
            tombstones = [each for key, (_, each) in self._tombstones.items() if key[0] == place]
        return Memory(tuple(revisions), tuple(tombstones))

    def find(self, digest: str, recipient: str) -> Recorded | None:
        with self._lock:
            return self._entries.get((digest, recipient))

    def numbered(self, number: int) -> Recorded | None:
        with self._lock:
            return self._at(number)

    def standing(self, digest: str, account: str, originator: str, since: datetime) -> Standing:
        with self._lock:
            held = list(self._entries.values())
        return Standing(_is_undone(held, digest, account), _applied(held, (account, originator), since))

    def intend(self, entry: Entry) -> None:
        with self._lock:
            self._put(entry, completed=False)

    def complete(self, entry: Entry, *, as_intended: bool = False) -> None:  # noqa: ARG002 - it costs nothing here
        place = entry.account, entry.uid
        with self._lock:
            self._put(entry, completed=True)
            if entry.undoes is not None:
                self._take_back(entry, place, entry.undoes)
            for revision in entry.revisions:
                _remember(self._revisions, (place, revision.party, revision.recurrence_id), entry.time, revision)
            for tombstone in entry.tombstones:
                key = place, tombstone.party, tombstone.recurrence_id, tombstone.sequence
                _remember(self._tombstones, key, entry.time, tombstone)
            self._postponed.pop((entry.digest, entry.recipient), None)

    def postpone(self, digest: str, recipient: str, now: datetime, why: str) -> datetime:  # noqa: ARG002 - the door's
        with self._lock:
            first, _ = self._postponed.get((digest, recipient), (now, now))
            self._postponed[digest, recipient] = first, now
            return first

    def log(self, query: Query) -> tuple[Recorded, ...]:
        with self._lock:
            found = [recorded for recorded in self._entries.values() if _matches(recorded.entry, query)]
        found.sort(key=lambda recorded: (recorded.entry.time, recorded.number), reverse=True)
        return tuple(
            replace(each, entry=replace(each.entry, former=None, written=None)) for each in found[: query.limit]
        )

    def prune(self, now: datetime) -> int:
        activity, memory = now - self._keep, now - timedelta(days=MEMORY_DAYS)
        with self._lock:
            kept = {key: each for key, each in self._entries.items() if each.entry.time >= activity}
            went = len(self._entries) - len(kept)
            self._entries = kept
            self._postponed = {key: times for key, times in self._postponed.items() if times[1] >= activity}
            self._revisions = {key: each for key, each in self._revisions.items() if each[0] >= memory}
            self._tombstones = {key: each for key, each in self._tombstones.items() if each[0] >= memory}
        return went

    def close(self) -> None:
        """Nothing is held open."""

    def _put(self, entry: Entry, *, completed: bool) -> None:
        key = entry.digest, entry.recipient
        known = self._entries.get(key)
        number = known.number if known else next(self._numbers)
        self._entries[key] = Recorded(number, completed, entry, known.undone if known else False)

    def _take_back(self, entry: Entry, place: Place, number: int) -> None:
        for revision in entry.displaced.revisions:
            self._revisions.pop((place, revision.party, revision.recurrence_id), None)
        for stone in entry.displaced.tombstones:
            self._tombstones.pop((place, stone.party, stone.recurrence_id, stone.sequence), None)
        target, undone = self._at(number), True
        while target is not None:
            self._entries[target.entry.digest, target.entry.recipient] = replace(target, undone=undone)
            undoes, undone = target.entry.undoes, not undone
            target = None if undoes is None else self._at(undoes)

    def _at(self, number: int) -> Recorded | None:
        return next((each for each in self._entries.values() if each.number == number), None)


def _is_undone(held: list[Recorded], digest: str, account: str) -> bool:
    begun = {each.entry.undoes for each in held if not each.completed}
    theirs = [each for each in held if (each.entry.digest, each.entry.account) == (digest, account)]
    return any(each.undone or each.number in begun for each in theirs)


def _applied(held: list[Recorded], whose: tuple[str, str], since: datetime) -> int:
    done = [each.entry for each in held if each.completed and each.entry.outcome in WRITTEN]
    theirs = [each for each in done if (each.account, each.originator, each.undoes) == (*whose, None)]
    return sum(each.time > since for each in theirs)


def _remember(kept: dict[K, tuple[datetime, V]], key: K, time: datetime, value: V) -> None:
    if key not in kept or time >= kept[key][0]:
        kept[key] = time, value


def _matches(entry: Entry, query: Query) -> bool:
    return (
        query.recipient in (None, entry.recipient)
        and query.uid in (None, entry.uid)
        and (query.since is None or entry.time >= query.since)
    )
