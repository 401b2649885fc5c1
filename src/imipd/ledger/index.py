"""The index of where objects were seen (`imipd.index`), in the ledger's database.

The rule here: a change is taken over in one transaction, and only onto the state that it was made from; of two nodes
that have read the same collection, one is first, and what the other has read is left.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, update

from imipd.index import Change, Known, Versions

from . import statements
from .columns import short, writable
from .database import Database
from .rows import Row, to_known
from .tables import COLLECTION, SEEN


class SqlIndex:
    """An `Index` in a database that is held open; its methods raise `LedgerError`."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        """See `Index.known`."""
        with self._database.reading() as connection:
            found = {
                name: connection.execute(statements.known(), {"name": name, "uid": uid}).all() for name in collections
            }
        return to_known(found)

    def versions(self, collection: str) -> Versions:
        """See `Index.versions`."""
        with self._database.reading() as connection:
            rows = connection.execute(statements.versions(), {"name": collection}).all()
        state = rows[0].state if rows else ""
        return Versions(state, {path: etag for _, path, etag in rows if path is not None})

    def learn(self, collection: str, change: Change) -> None:
        """See `Index.learn`."""
        with self._database.writing() as connection:
            number = self._taken(connection, collection, change)
            if number is None:
                return
            void = [{"of": number, "at": path} for path in sorted({*change.gone, *change.seen})]
            if void and change.before:
                at = SEEN.c.collection == bindparam("of"), SEEN.c.path == bindparam("at")
                connection.execute(delete(SEEN).where(*at), void)
            if rows := _rows(number, change):
                connection.execute(SEEN.insert(), rows)

    def _taken(self, connection: Connection, collection: str, change: Change) -> int | None:
        """Put the collection into its new state and return its number; None where it is not in the one before."""
        row = {"name": collection, "state": change.after, "time": self._now()}
        if change.before:
            is_before = COLLECTION.c.name == collection, COLLECTION.c.state == change.before
            moved = update(COLLECTION).where(*is_before).values(**row)
            return connection.execute(moved.returning(COLLECTION.c.number)).scalar_one_or_none()
        new = statements.insert(connection.dialect.name, COLLECTION).values(**row).on_conflict_do_nothing()
        return connection.execute(new.returning(COLLECTION.c.number)).scalar_one_or_none()


def _rows(number: int, change: Change) -> list[Row]:
    """Return a row for each UID of an object, one without for an object that has none."""
    return [
        {"collection": number, "path": path, "uid": uid, "etag": seen.etag}
        for path, seen in sorted(change.seen.items())
        for uid in sorted({short(writable(uid)) for uid in seen.uids} or {""})
    ]
