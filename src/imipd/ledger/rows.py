"""Entries as rows and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from imipd.index import Known
from imipd.memory import NOTHING, Memory, Revision, Tombstone

from . import Entry, Recorded
from .columns import in_utc

Row = dict[str, Any]
Kept = TypeVar("Kept", Revision, Tombstone)
LISTS = ("recurrence_ids", "revisions", "tombstones", "displaced")


def to_row(entry: Entry, *, completed: bool) -> Row:
    """Return the row of `entry` for the table `entry`."""
    row = _fields(entry)
    lists = {name: _dump(row[name]) for name in LISTS}
    return row | lists | {"completed": completed}


def to_recorded(row: Mapping[Any, Any]) -> Recorded:
    """Return the entry that `row` holds; the objects are None where the row was read without them."""
    columns = dict(row)
    number, completed, undone = (columns.pop(name) for name in ("number", "completed", "undone"))
    columns["recurrence_ids"] = tuple(json.loads(columns["recurrence_ids"]))
    columns["revisions"] = _all(Revision, _load(columns["revisions"]))
    columns["tombstones"] = _all(Tombstone, _load(columns["tombstones"]))
    columns["displaced"] = _memory(columns["displaced"])
    return Recorded(number, completed, Entry(**columns), undone)


def to_memory(rows: Sequence[Any]) -> Memory:
    """Return what rows of `statements.remembered` say."""
    return Memory(
        tuple(
            Revision(r.party, r.recurrence_id, r.sequence, r.dtstamp, r.date, r.first) for r in rows if not r.is_buried
        ),
        tuple(Tombstone(r.party, r.recurrence_id, r.sequence, r.dtstamp) for r in rows if r.is_buried),
    )


def remembered(values: Sequence[Revision] | Sequence[Tombstone], entry: Entry) -> list[Row]:
    """Return what `entry` leaves to remember as rows, in an order that keeps two writers from deadlock."""
    place = {"account": entry.account, "uid": entry.uid, "time": entry.time}
    rows = [place | _fields(value) for value in values]
    return sorted(rows, key=lambda row: (row["party"], row["recurrence_id"]))


def to_known(found: Mapping[str, Sequence[Any]]) -> Mapping[str, Known]:
    """Return what rows of state and path say of each collection; one without rows is not known."""
    return {
        name: Known(rows[0][0], tuple(path for _, path in rows if path is not None))
        for name, rows in found.items()
        if rows
    }


def _memory(text: str) -> Memory:
    if not text:  # of a version that did not know it
        return NOTHING
    kept = _load(text)
    return Memory(_all(Revision, kept["revisions"]), _all(Tombstone, kept["tombstones"]))


def _all(kind: type[Kept], rows: Sequence[Row]) -> tuple[Kept, ...]:
    return tuple(kind(**each) for each in rows)


def _dump(values: object) -> str:
    return json.dumps(values, default=_dumped)


def _dumped(value: Any) -> object:
    return in_utc(value).isoformat() if isinstance(value, datetime) else _fields(value)


def _fields(value: Entry | Memory | Revision | Tombstone) -> Row:
    """Return the fields as they are; `asdict` copies all that is in them."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _load(text: str) -> Any:
    return json.loads(text, object_hook=_with_times)


def _with_times(fields: Row) -> Row:
    times = {name: datetime.fromisoformat(fields[name]) for name in ("dtstamp", "date") if fields.get(name)}
    return fields | times
