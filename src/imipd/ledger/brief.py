"""The ledger of a process that delivers one mail: a SQLite file, by Python's own driver.

SQLAlchemy takes longer to import than such a mail takes. What is told to the database is what `sql` tells it, in the
same transactions (`texts`). Everything else, and every other database, is left to `sql`.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from imipd.index import Change, Index, Known, Versions
from imipd.memory import Memory, Revision, Tombstone

from . import Entry, Ledger, LedgerError, Query, Recorded, file, texts
from .forms import in_utc, short, writable
from .rows import Row, remembered, to_known, to_recorded, to_row

SQLITE = "sqlite:///"


def open_ledger(url: str, *, keep_days: int = 30) -> Ledger:
    """Return the ledger at `url` with its tables up to date; raise LedgerError where that cannot be."""
    path = url.removeprefix(SQLITE)
    # What a URL may spell in several ways is read by one reader only.
    plain = url.startswith(SQLITE) and not {"?", "%", "#"}.intersection(path)
    connection = _opened(path) if plain else None
    return _whole(url, keep_days) if connection is None else BriefLedger(connection, path, keep_days)


def _whole(url: str, keep_days: int) -> Ledger:
    from .sql import open_ledger  # noqa: PLC0415  it is what this module is there to avoid

    return open_ledger(url, keep_days=keep_days)


def _opened(path: str) -> sqlite3.Connection | None:
    """Return a connection to a file whose tables are up to date, None where `sql` has to make, mend or refuse it."""
    try:
        connection = sqlite3.connect(
            f"file:{path}?mode=rw",  # and never made: sql knows with which permissions
            uri=True,
            timeout=file.BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error:
        return None
    try:
        file.prepare(connection)
        if connection.execute(texts.STAMP).fetchone() == (texts.HEAD,):
            return connection
    except sqlite3.Error:
        pass
    connection.close()
    return None


class BriefLedger:
    """A `Ledger`, and its `Index`, on one connection; threads take turns."""

    def __init__(self, connection: sqlite3.Connection, path: str, keep_days: int) -> None:
        self._connection = connection
        self._path = path
        self._keep_days = keep_days
        self._lock = threading.RLock()
        self.index: Index = self

    @cached_property
    def _rest(self) -> Ledger:
        return _whole(f"{SQLITE}{self._path}", self._keep_days)

    def recall(self, account: str, uid: str) -> Memory:
        place = {"account": account, "uid": uid}
        with self._transaction("BEGIN"):
            revisions, tombstones = self._rows(texts.REVISIONS, place), self._rows(texts.TOMBSTONES, place)
        return Memory(
            tuple(Revision(**row) for row in revisions),
            tuple(Tombstone(**row) for row in tombstones),
        )

    def find(self, digest: str, recipient: str) -> Recorded | None:
        with self._transaction("BEGIN"):
            rows = self._rows(texts.FIND, {"key_digest": digest, "key_recipient": recipient})
        return to_recorded(rows[0]) if rows else None

    def is_undone(self, digest: str, account: str) -> bool:
        with self._transaction("BEGIN"):
            rows = self._rows(texts.UNDONE, {"digest": digest, "account": account})
        return any(value for row in rows for value in row.values())

    def applied(self, account: str, originator: str, since: datetime) -> int:
        whose = {"account": account, "originator": originator, "since": since}
        with self._transaction("BEGIN"):
            ((count,),) = (row.values() for row in self._rows(texts.APPLIED, whose))
        return int(count)

    def intend(self, entry: Entry) -> None:
        with self._transaction("BEGIN IMMEDIATE"):
            self._put(texts.PUT_ENTRY, [to_row(entry, completed=False)])

    def complete(self, entry: Entry) -> None:
        if entry.undoes is not None:
            self._rest.complete(entry)
            return
        with self._transaction("BEGIN IMMEDIATE"):
            self._put(texts.PUT_ENTRY, [to_row(entry, completed=True)])
            self._put(texts.PUT_REVISION, remembered(entry.revisions, entry))
            self._put(texts.PUT_TOMBSTONE, remembered(entry.tombstones, entry))
            self._rows(texts.NO_MORE_POSTPONED, {"key_digest": entry.digest, "key_recipient": entry.recipient})

    def postpone(self, digest: str, recipient: str, now: datetime, why: str) -> datetime:
        return self._rest.postpone(digest, recipient, now, why)

    def numbered(self, number: int) -> Recorded | None:
        return self._rest.numbered(number)

    def log(self, query: Query) -> tuple[Recorded, ...]:
        return self._rest.log(query)

    def prune(self, now: datetime) -> int:
        return self._rest.prune(now)

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        """See `Index.known`."""
        with self._transaction("BEGIN"):
            found = {name: self._rows(texts.KNOWN, {"name": name, "uid": uid}) for name in collections}
        return to_known({name: [tuple(row.values()) for row in rows] for name, rows in found.items()})

    def versions(self, collection: str) -> Versions:
        """See `Index.versions`."""
        return self._rest.index.versions(collection)

    def learn(self, collection: str, change: Change) -> None:
        """See `Index.learn`."""
        self._rest.index.learn(collection, change)

    def close(self) -> None:
        with self._lock:
            self._connection.close()
        if "_rest" in self.__dict__:
            self._rest.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        """Hold a transaction that is committed at the end, or on an error leaves nothing behind."""
        with self._lock, self._worded():
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(f"ledger {self._path}: {file.words(error)}") from error

    def _rows(self, text: str, named: Row) -> list[Row]:
        cursor = self._connection.execute(text, _bound(named))
        names = [column[0] for column in cursor.description or ()]
        return [{name: _read(name, value) for name, value in zip(names, row, strict=True)} for row in cursor]

    def _put(self, text: str, rows: Sequence[Row]) -> None:
        self._connection.executemany(text, [_bound(row) for row in rows])


def _bound(named: Mapping[str, Any]) -> Row:
    """Return values as `columns` writes them."""
    return {name: _written(name.removeprefix("key_"), value) for name, value in named.items()}


def _written(name: str, value: object) -> object:
    if isinstance(value, datetime):
        # As SQLAlchemy has it in SQLite, so that times can be compared as texts.
        return in_utc(value).replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, str):
        return short(writable(value)) if name in texts.NAMES else writable(value)
    return value


def _read(name: str, value: Any) -> Any:
    if name in texts.MOMENTS and value is not None:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return bool(value) if name in texts.FLAGS else value
