"""The ledger in a database: SQLite for one node, PostgreSQL for several.

The rule here: each call that writes is one transaction, and what is safe when several nodes do it at once is left to
the database (one upsert, never read-then-write).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, select, update

from imipd.index import Index
from imipd.memory import Memory

from . import MEMORY_DAYS, Entry, Ledger, Query, Recorded, Standing, statements
from .database import Database, open_database
from .index import SqlIndex
from .memory import MemoryLedger
from .rows import Row, remembered, to_memory, to_recorded, to_row
from .schema import bring_up_to_date, is_made
from .tables import COLLECTION, ENTRY, POSTPONED, REVISION, TOMBSTONE


def open_ledger(url: str, *, keep_days: int = 30) -> Ledger:
    """Return the ledger at `url` with its tables up to date; raise LedgerError where that cannot be."""
    database = open_database(url)
    try:
        bring_up_to_date(database)
    except BaseException:
        database.engine.dispose()
        raise
    return SqlLedger(database, keep_days)


def open_as_it_is(url: str, *, keep_days: int = 30) -> Ledger:
    """Return the ledger at `url` without changing its tables: a daemon of the version before may be using them.

    Where there are none yet it is empty. Raises `OutdatedError` where they are older, `LedgerError` as `open_ledger`.
    """
    database = open_database(url)
    try:
        if not is_made(database):
            database.engine.dispose()
            return MemoryLedger(keep_days=keep_days)
    except BaseException:
        database.engine.dispose()
        raise
    return SqlLedger(database, keep_days)


class SqlLedger:
    """A `Ledger` in a database that is held open; any thread may use it."""

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep = timedelta(days=keep_days)
        self.index: Index = SqlIndex(database, lambda: datetime.now(UTC))

    def recall(self, account: str, uid: str) -> Memory:
        with self._database.reading() as connection:
            rows = connection.execute(statements.remembered(), {"account": account, "uid": uid}).all()
        return to_memory(rows)

    def find(self, digest: str, recipient: str) -> Recorded | None:
        return self._one(statements.with_key(), {"key_digest": digest, "key_recipient": recipient})

    def numbered(self, number: int) -> Recorded | None:
        # No database has a number beyond 63 bits, and SQLite's driver would raise over one.
        return self._one(select(ENTRY).where(ENTRY.c.number == number), {}) if number < 2**63 else None

    def _one(self, statement: Select[Any], named: Row) -> Recorded | None:
        with self._database.reading() as connection:
            row = connection.execute(statement, named).mappings().one_or_none()
        return None if row is None else to_recorded(row)

    def standing(self, digest: str, account: str, originator: str, since: datetime) -> Standing:
        whose = {"account": account, "originator": originator, "since": since}
        with self._database.reading() as connection:
            applied = connection.execute(statements.applied(), whose).scalar_one()
            undone = any(connection.scalars(statements.undone(), {"digest": digest, "account": account}))
        return Standing(undone, applied)

    def intend(self, entry: Entry) -> None:
        with self._database.writing() as connection:
            _put(connection, ENTRY, [to_row(entry, completed=False)])

    def complete(self, entry: Entry, *, as_intended: bool = False) -> None:
        with self._database.writing() as connection:
            if not (as_intended and _is_completed(connection, entry)):
                _put(connection, ENTRY, [to_row(entry, completed=True)])
            if entry.undoes is not None:
                _take_back(connection, entry, entry.undoes)
            _put(connection, REVISION, remembered(entry.revisions, entry))
            _put(connection, TOMBSTONE, remembered(entry.tombstones, entry))
            connection.execute(
                statements.no_more_postponed(), {"key_digest": entry.digest, "key_recipient": entry.recipient}
            )

    def postpone(self, digest: str, recipient: str, now: datetime, why: str) -> datetime:
        row = {"digest": digest, "recipient": recipient, "first_time": now, "last_time": now, "why": why}
        with self._database.writing() as connection:
            note = statements.insert(connection.dialect.name, POSTPONED).values(**row, attempts=1)
            again = {"last_time": now, "why": why, "attempts": POSTPONED.c.attempts + 1}
            upsert = note.on_conflict_do_update(index_elements=["digest", "recipient"], set_=again)
            first: datetime = connection.execute(upsert.returning(POSTPONED.c.first_time)).scalar_one()
        return first

    def log(self, query: Query) -> tuple[Recorded, ...]:
        # Without the objects: a thousand of them may be a gigabyte.
        columns = [column for column in ENTRY.c if column.name not in ("former", "written")]
        newest_first = (ENTRY.c.time.desc(), ENTRY.c.number.desc())
        statement = select(*columns).where(*_matching(query)).order_by(*newest_first).limit(query.limit)
        with self._database.reading() as connection:
            return tuple(to_recorded(row) for row in connection.execute(statement).mappings())

    def prune(self, now: datetime) -> int:
        activity, memory = now - self._keep, now - timedelta(days=MEMORY_DAYS)
        with self._database.writing() as connection:
            went = connection.execute(delete(ENTRY).where(ENTRY.c.time < activity))
            # Not first_time: a mail that still comes again must not start its patience anew.
            connection.execute(delete(POSTPONED).where(POSTPONED.c.last_time < activity))
            connection.execute(delete(REVISION).where(REVISION.c.time < memory))
            connection.execute(delete(TOMBSTONE).where(TOMBSTONE.c.time < memory))
            connection.execute(delete(COLLECTION).where(COLLECTION.c.time < memory))
        return went.rowcount

    def close(self) -> None:
        self._database.engine.dispose()


def _take_back(connection: Connection, entry: Entry, number: int) -> None:
    """Forget what `entry` displaces, and mark whom it takes back; an undo that is undone counts no more."""
    for table, values in ((REVISION, entry.displaced.revisions), (TOMBSTONE, entry.displaced.tombstones)):
        for row in remembered(values, entry):
            connection.execute(delete(table).where(*(column == row[column.name] for column in table.primary_key)))
    target: int | None = number
    undone = True
    while target is not None:
        connection.execute(update(ENTRY).where(ENTRY.c.number == target).values(undone=undone))
        target, undone = connection.scalar(select(ENTRY.c.undoes).where(ENTRY.c.number == target)), not undone


def _is_completed(connection: Connection, entry: Entry) -> bool:
    """Complete what was intended at this time, and return whether that is still there.

    The objects in it, which are most of it, need not be written a second time.
    """
    key = {"key_digest": entry.digest, "key_recipient": entry.recipient, "key_time": entry.time}
    done = {"completed": True, "href": entry.href, "etag": entry.etag, "duration": entry.duration}
    return connection.execute(statements.completed(), key | done).rowcount == 1


def _put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Write rows; one with the same key is replaced, but nothing remembered by what is older."""
    if rows:
        connection.execute(statements.upsert(connection.dialect.name, table), rows)


def _matching(query: Query) -> list[ColumnElement[bool]]:
    wanted = []
    if query.recipient is not None:
        wanted.append(ENTRY.c.recipient == query.recipient)
    if query.uid is not None:
        wanted.append(ENTRY.c.uid == query.uid)
    if query.since is not None:
        wanted.append(ENTRY.c.time >= query.since)
    return wanted
