"""Where calendar objects were seen: an index from UID to path for each collection, a hint and never the truth.

What is known of a collection is complete for the state at which it was read, and for no other. Only a `Change` alters
it, whole or not at all.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one UID in one collection."""

    state: str = ""
    """Of the collection, when all of it was known; empty where it never was."""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Versions:
    """What is known of a whole collection."""

    state: str = ""
    etags: Mapping[str, str] = field(default_factory=dict)
    """By path."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One object as it was read."""

    etag: str
    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of a collection between two states."""

    before: str
    after: str
    gone: frozenset[str]
    """Paths at which there is nothing any more."""
    seen: Mapping[str, Seen]
    """What is new or has changed, by path."""


class Index(Protocol):
    """Where the index is kept, for all collections by their names; any thread and any node may use it."""

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        """Return what is known of a UID in those of these collections of which anything is known."""

    def versions(self, collection: str) -> Versions:
        """Return the objects of a collection that are known."""

    def learn(self, collection: str, change: Change) -> None:
        """Take a change over, unless the collection's state is not the one `before` it: then somebody was quicker."""


class MemoryIndex:
    """An `Index` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, dict[str, Seen]]] = {}
        self._lock = threading.Lock()

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        """See `Index.known`."""
        with self._lock:
            kept = {name: self._kept[name] for name in collections if name in self._kept}
        return {
            name: Known(state, tuple(path for path, one in seen.items() if uid in one.uids))
            for name, (state, seen) in kept.items()
        }

    def versions(self, collection: str) -> Versions:
        """See `Index.versions`."""
        with self._lock:
            state, seen = self._kept.get(collection, ("", {}))
        return Versions(state, {path: one.etag for path, one in seen.items()})

    def learn(self, collection: str, change: Change) -> None:
        """See `Index.learn`."""
        with self._lock:
            state, seen = self._kept.get(collection, ("", {}))
            if state == change.before:
                kept = {path: one for path, one in seen.items() if path not in change.gone}
                self._kept[collection] = change.after, kept | dict(change.seen)


@dataclass(frozen=True, slots=True)
class Unwritten:
    """An `Index` that may be read, and learns nothing: for who shall leave no trace."""

    index: Index

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        """See `Index.known`."""
        return self.index.known(collections, uid)

    def versions(self, collection: str) -> Versions:
        """See `Index.versions`."""
        return self.index.versions(collection)

    def learn(self, collection: str, change: Change) -> None:
        """Leave it."""
