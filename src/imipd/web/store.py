"""A calendar store that is timed, and whose failures are counted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imipd.store import (
    ConflictError,
    Home,
    NoCalendarError,
    RefusedError,
    Store,
    Stored,
    StoreError,
    UnreachableError,
    Written,
)

from .metrics import Metrics

KINDS: tuple[tuple[type[StoreError], str], ...] = (
    (NoCalendarError, "no-calendar"),
    (RefusedError, "refused"),
    (ConflictError, "conflict"),
    (UnreachableError, "unreachable"),
)


class MeasuredStore:
    """A `Store` that does what another does, and tells `metrics` of it."""

    def __init__(self, store: Store, metrics: Metrics, seconds: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._metrics = metrics
        self._seconds = seconds

    def addresses(self, home: Home) -> tuple[str, ...]:
        with self._told("lookup"):
            return self._store.addresses(home)

    def answers_invitations(self, home: Home) -> bool:
        with self._told("lookup"):
            return self._store.answers_invitations(home)

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        with self._told("lookup"):
            return self._store.find(home, uid, component)

    def mentions(self, home: Home, address: str) -> Iterator[bytes]:
        with self._told("lookup"):
            yield from self._store.mentions(home, address)

    def address_books(self, home: Home) -> tuple[str, ...]:
        with self._told("lookup"):
            return self._store.address_books(home)

    def has_contact(self, home: Home, address: str) -> bool:
        with self._told("lookup"):
            return self._store.has_contact(home, address)

    def destination(self, home: Home, component: str) -> str:
        with self._told("lookup"):
            return self._store.destination(home, component)

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        with self._told("write"):
            return self._store.replace(home, stored, body)

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        with self._told("write"):
            return self._store.create(home, uid, component, body)

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        with self._told("write"):
            return self._store.restore(home, href, body)

    def remove(self, home: Home, stored: Stored) -> None:
        with self._told("write"):
            self._store.remove(home, stored)

    @contextmanager
    def _told(self, operation: str) -> Iterator[None]:
        begun = self._seconds()
        try:
            yield
        except StoreError as error:
            self._metrics.failed(next((kind for known, kind in KINDS if isinstance(error, known)), "other"))
            raise
        finally:
            self._metrics.calendar(operation, self._seconds() - begun)
