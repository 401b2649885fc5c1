"""imipd log: the ledger, newest first, for people or for programs."""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from imipd import config
from imipd.address import comparable
from imipd.ledger import LedgerError, Query, Recorded

from . import assembly

_BACK = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_OURS = frozenset({"former", "written", "etag", "revisions", "tombstones", "displaced"})
_HEAD = ("ENTRY", "TIME", "RECIPIENT", "METHOD", "OUTCOME", "REASON", "FROM", "UID", "DETAIL")


def run(arguments: argparse.Namespace) -> int:
    """Print the entries that were asked for and return the exit code."""
    settings = config.load(arguments.config, os.environ)
    try:
        since = _since(arguments.since) if arguments.since else None
    except (ValueError, OverflowError):
        print(f"imipd log: --since {arguments.since}: write 2027-01-31, 2027-01-31T12:00, 3h or 2d", file=sys.stderr)
        return os.EX_USAGE
    try:
        ledger = assembly.ledger_as_it_is(settings)
        recipient = comparable(arguments.recipient) if arguments.recipient else None
        found = ledger.log(Query(recipient, arguments.uid, since))
        ledger.close()
    except LedgerError as error:
        print(f"imipd log: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL
    rows = (json.dumps(_fields(item)) for item in found) if arguments.json else _table(found)
    for row in rows if found or arguments.json else ():
        print(row)
    if not found:
        print("imipd log: no entries", file=sys.stderr)
    return os.EX_OK


def _since(text: str) -> datetime:
    back = _BACK.fullmatch(text)
    if back:
        return assembly.now() - timedelta(**{_UNITS[back[2]]: int(back[1])})
    return datetime.fromisoformat(text).astimezone()


def _fields(recorded: Recorded) -> dict[str, Any]:
    """Return what a program may rely on; the objects and the memory of order are ours."""
    entry = {name: value for name, value in asdict(recorded.entry).items() if name not in _OURS}
    entry["time"] = recorded.entry.time.isoformat()
    return {"entry": recorded.number, "completed": recorded.completed, "undone": recorded.undone, **entry}


def _table(found: Iterable[Recorded]) -> list[str]:
    rows = [_HEAD, *map(_row, found)]
    widths = [min(max(len(row[column]) for row in rows), 40) for column in range(len(_HEAD) - 1)]
    lines = [
        "  ".join([*(_cut(text, width) for text, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    if not sys.stdout.isatty():
        return [line.rstrip() for line in lines]
    return [line.rstrip()[: shutil.get_terminal_size().columns] for line in lines]


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _row(recorded: Recorded) -> tuple[str, ...]:
    entry = recorded.entry
    texts = (
        str(recorded.number),
        f"{entry.time.astimezone():%Y-%m-%d %H:%M:%S}",
        entry.recipient,
        entry.method or "-",
        entry.outcome if recorded.completed else f"({entry.outcome})",
        entry.reason,
        entry.originator or "-",
        entry.uid or "-",
        " ".join([*(["(taken back)"] if recorded.undone else []), *entry.recurrence_ids, entry.detail]),
    )
    return tuple("".join(char if char.isprintable() else " " for char in text) for text in texts)
