"""What each message asks of the database, built once: SQLAlchemy takes longer to build a statement than to run it.

What a statement asks for is bound by name when it is executed.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Delete,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import sqlite

from . import WRITTEN
from .tables import COLLECTION, ENTRY, POSTPONED, REVISION, SEEN, TOMBSTONE

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    Insert = sqlite.Insert | postgresql.Insert


@cache
def remembered() -> CompoundSelect[Any]:
    """Select what is remembered of ``account`` and ``uid``, oldest first; of tombstones ``is_buried`` is 1."""
    names = [column.name for column in REVISION.c if column.name not in ("account", "uid")]
    revisions = select(literal_column("0").label("is_buried"), *(REVISION.c[name] for name in names))
    said = (TOMBSTONE.c[name] if name in TOMBSTONE.c else null().label(name) for name in names)
    tombstones = select(literal_column("1").label("is_buried"), *said)
    both = (each.where(*_of_uid(table)) for each, table in ((revisions, REVISION), (tombstones, TOMBSTONE)))
    return union_all(*both).order_by("time", "is_buried", *names)


def _of_uid(table: Table) -> tuple[ColumnElement[bool], ...]:
    return table.c.account == bindparam("account"), table.c.uid == bindparam("uid")


@cache
def with_key() -> Select[Any]:
    """Select the entry of ``key_digest`` and ``key_recipient``."""
    return select(ENTRY).where(*_key(ENTRY))


@cache
def undone() -> Select[bool]:
    """Select for each entry of ``digest`` whether it is of ``account`` and was, or is being, taken back."""
    other = ENTRY.alias()  # by UID: that has an index
    begun = other.c.uid == ENTRY.c.uid, other.c.undoes == ENTRY.c.number, ~other.c.completed
    is_undone = (ENTRY.c.account == bindparam("account")) & (ENTRY.c.undone | exists().where(*begun))
    # Not the account in the WHERE: SQLite would look through all of his entries instead of those of the digest.
    return select(is_undone).where(ENTRY.c.digest == bindparam("digest"))


@cache
def applied() -> Select[int]:
    """Count what ``originator`` has changed of ``account`` after ``since``."""
    whose = (ENTRY.c[name] == bindparam(name) for name in ("account", "originator"))
    changes = ENTRY.c.completed, ENTRY.c.outcome.in_(WRITTEN), ENTRY.c.undoes.is_(None)
    return select(func.count()).select_from(ENTRY).where(*whose, ENTRY.c.time > bindparam("since"), *changes)


@cache
def known() -> Select[Any]:
    """Select the state of the collection ``name``, with each path at which ``uid`` was seen there."""
    here = (SEEN.c.collection == COLLECTION.c.number) & (SEEN.c.uid == bindparam("uid"))
    named = COLLECTION.c.name == bindparam("name")
    return select(COLLECTION.c.state, SEEN.c.path).outerjoin(SEEN, here).where(named)


@cache
def versions() -> Select[Any]:
    """Select the state of the collection ``name``, with path and ETag of each object that was seen there."""
    here = SEEN.c.collection == COLLECTION.c.number
    named = COLLECTION.c.name == bindparam("name")
    return select(COLLECTION.c.state, SEEN.c.path, SEEN.c.etag).outerjoin(SEEN, here).where(named)


@cache
def completed() -> Update:
    """Update the entry of ``key_digest`` and ``key_recipient``, if its time is ``key_time``."""
    return update(ENTRY).where(*_key(ENTRY), ENTRY.c.time == bindparam("key_time"))


@cache
def no_more_postponed() -> Delete:
    """Delete the postponement of ``key_digest`` and ``key_recipient``."""
    return delete(POSTPONED).where(*_key(POSTPONED))


@cache
def upsert(dialect: str, table: Table) -> "Insert":
    """Write rows; one with the same key is replaced, but nothing remembered by what is older."""
    statement = insert(dialect, table)
    key = ["digest", "recipient"] if table is ENTRY else [column.name for column in table.primary_key]
    kept = {*key, "number", "undone"}
    rest = {column.name: statement.excluded[column.name] for column in table.c if column.name not in kept}
    newer = None if table is ENTRY else statement.excluded.time >= table.c.time
    return statement.on_conflict_do_update(index_elements=key, set_=rest, where=newer)


def insert(dialect: str, table: Table) -> "Insert":
    """Return the INSERT of this database, which knows ON CONFLICT."""
    if dialect != "postgresql":
        return sqlite.insert(table)
    # All of this dialect takes a fifth as long as the rest of SQLAlchemy, and a pipe with SQLite has no use for it.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)


def _key(table: Table) -> tuple[ColumnElement[bool], ...]:
    return table.c.digest == bindparam("key_digest"), table.c.recipient == bindparam("key_recipient")
