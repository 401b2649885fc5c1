"""The ledger in this process's memory: for tests, and where nothing is to be kept."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import TypeVar

from imipd.memory import Memory, Revision, Tombstone

from . import MEMORY_DAYS, Entry, Query, Recorded

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

    def recall(self, account: str, uid: str) -> Memory:
        place = account, uid
        with self._lock:
            revisions = [each for key, (_, each) in self._revisions.items() if key[0] == place]
            tombstones = [each for key, (_, each) in self._tombstones.items() if key[0] == place]
        return Memory(tuple(revisions), tuple(tombstones))

    def find(self, digest: str, recipient: str) -> Recorded | None:
        with self._lock:
            return self._entries.get((digest, recipient))

    def intend(self, entry: Entry) -> None:
        with self._lock:
            self._put(entry, completed=False)

    def complete(self, entry: Entry) -> None:
        place = entry.account, entry.uid
        with self._lock:
            self._put(entry, completed=True)
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
        return tuple(replace(each, entry=replace(each.entry, former=None)) for each in found[: query.limit])

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
        self._entries[key] = Recorded(number, completed, entry)


def _remember(kept: dict[K, tuple[datetime, V]], key: K, time: datetime, value: V) -> None:
    if key not in kept or time >= kept[key][0]:
        kept[key] = time, value


def _matches(entry: Entry, query: Query) -> bool:
    return (
        query.recipient in (None, entry.recipient)
        and query.uid in (None, entry.uid)
        and (query.since is None or entry.time >= query.since)
    )
