"""Entries as rows and back."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from imipd.memory import Revision, Tombstone

from . import Entry, Recorded
from .columns import in_utc

Row = dict[str, Any]


def to_row(entry: Entry, *, completed: bool) -> Row:
    """Return the row of `entry` for the table `entry`."""
    row: Row = asdict(entry)
    lists = {name: _dump(row[name]) for name in ("recurrence_ids", "revisions", "tombstones")}
    return row | lists | {"completed": completed}


def to_recorded(row: RowMapping) -> Recorded:
    """Return the entry that `row` holds; `former` is None where the row was read without it."""
    columns = dict(row)
    number, completed = columns.pop("number"), columns.pop("completed")
    columns["recurrence_ids"] = tuple(json.loads(columns["recurrence_ids"]))
    columns["revisions"] = tuple(Revision(**each) for each in _load(columns["revisions"]))
    columns["tombstones"] = tuple(Tombstone(**each) for each in _load(columns["tombstones"]))
    return Recorded(number, completed, Entry(**columns))


def remembered(values: Sequence[Revision] | Sequence[Tombstone], entry: Entry) -> list[Row]:
    """Return what `entry` leaves to remember as rows, in an order that keeps two writers from deadlock."""
    place = {"account": entry.account, "uid": entry.uid, "time": entry.time}
    rows = [place | asdict(value) for value in values]
    return sorted(rows, key=lambda row: (row["party"], row["recurrence_id"]))


def _dump(values: Sequence[object]) -> str:
    return json.dumps(values, default=lambda moment: in_utc(moment).isoformat())


def _load(text: str) -> list[Row]:
    return json.loads(text, object_hook=_with_times)  # type: ignore[no-any-return]


def _with_times(fields: Row) -> Row:
    times = {name: datetime.fromisoformat(fields[name]) for name in ("dtstamp", "date") if fields.get(name)}
    return fields | times
