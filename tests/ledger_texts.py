"""Writes src/imipd/ledger/texts.py from the statements: ``PYTHONPATH=tests python -m ledger_texts > src/...``."""

import json
import sys
from collections.abc import Iterator, Sequence

from sqlalchemy import Boolean, ClauseElement, Table
from sqlalchemy.dialects import sqlite

from imipd.ledger import statements
from imipd.ledger.columns import Moment, Name
from imipd.ledger.rows import remembered, to_row
from imipd.ledger.tables import ENTRY, HEAD, METADATA, REVISION, TOMBSTONE, VERSION_TABLE
from ledgers import ENTRY as EXAMPLE

BEGINNING = '''\
"""The statements of `statements` as SQLite is told them, for who does without SQLAlchemy.

Written by `tests/ledger_texts.py`, and held against the statements by a test.
"""

'''


def page() -> str:
    """Return the module."""
    return BEGINNING + "".join(_constants())


def _constants() -> Iterator[str]:
    revisions, tombstones = remembered(EXAMPLE.revisions, EXAMPLE), remembered(EXAMPLE.tombstones, EXAMPLE)
    texts = {
        "STAMP": f"SELECT version_num FROM {VERSION_TABLE}",  # noqa: S608 - our constant
        "FIND": _text(statements.with_key()),
        "REVISIONS": _text(statements.remembered(REVISION)),
        "TOMBSTONES": _text(statements.remembered(TOMBSTONE)),
        "UNDONE": _text(statements.undone()),
        "APPLIED": _text(statements.applied()),
        "PUT_ENTRY": _upsert(ENTRY, list(to_row(EXAMPLE, completed=True))),
        "PUT_REVISION": _upsert(REVISION, list(revisions[0])),
        "PUT_TOMBSTONE": _upsert(TOMBSTONE, list(tombstones[0])),
        "KNOWN": _text(statements.known()),
        "NO_MORE_POSTPONED": _text(statements.no_more_postponed()),
    }
    yield f'HEAD = "{HEAD}"\n\n'
    for name, kind in (("NAMES", Name), ("MOMENTS", Moment), ("FLAGS", Boolean)):
        yield f"{name} = frozenset({{{', '.join(json.dumps(each) for each in _columns(kind))}}})\n"
    for name, text in texts.items():
        lines = [json.dumps(line) for line in _lines(text)]
        several = "(\n" + "".join(f"    {line}\n" for line in lines) + ")"
        yield f"\n{name} = {lines[0] if len(name + text) < 115 else several}\n"


def _columns(kind: type) -> list[str]:
    """Return the names of all columns of a type, under which no other type may hide."""
    columns = [column for table in METADATA.tables.values() for column in table.columns]
    names = {column.name for column in columns if isinstance(column.type, kind)}
    others = {column.name for column in columns if not isinstance(column.type, kind)}
    if names & others:
        raise ValueError(f"{names & others} have two types")
    return sorted(names)


def _upsert(table: Table, keys: Sequence[str]) -> str:
    return _text(statements.upsert("sqlite", table), keys)


def _text(statement: ClauseElement, keys: Sequence[str] | None = None) -> str:
    """Return what SQLite is told, with named parameters; lists have constants of ours."""
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"), column_keys=keys)
    text = " ".join(str(compiled).split())
    for name, values in compiled.params.items():
        if f"__[POSTCOMPILE_{name}]" in text:
            text = text.replace(f"(__[POSTCOMPILE_{name}])", str(tuple(values)))
    return text


def _lines(text: str) -> Iterator[str]:
    """Cut a text between words into lines that fit."""
    line = ""
    for word in text.split(" "):
        if len(line) + len(word) > 105:
            yield line
            line = ""
        line += word + " "
    yield line.rstrip()


if __name__ == "__main__":
    sys.stdout.write(page())
