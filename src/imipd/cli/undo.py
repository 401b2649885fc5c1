"""imipd undo: one entry of the ledger taken back, or what stands in the way."""

import argparse
import json
import os
import sys

from imipd import config, scenario
from imipd.config import Config
from imipd.gateway import Doors
from imipd.gateway.undo import Hindrance, Undoing, undo, undoing
from imipd.ledger import LedgerError
from imipd.store import StoreError

from . import assembly


def run(arguments: argparse.Namespace) -> int:
    """Take the entry back, print what that changed, and return the exit code."""
    settings = config.load(arguments.config, os.environ)
    try:
        found = _found(settings, arguments)
    except (StoreError, LedgerError) as error:
        print(f"imipd undo: try again later: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL
    if arguments.json:
        print(json.dumps(_fields(arguments.entry, found)))
    elif isinstance(found, Undoing):
        print("\n".join(_told(found)))
    if isinstance(found, Undoing):
        return os.EX_OK
    why = scenario.printable(f"imipd undo: entry {arguments.entry}: {found.why}")
    print("\n".join([why, *_changes(found)]), file=sys.stderr)
    return os.EX_DATAERR if found.known else os.EX_NOINPUT


def _found(settings: Config, arguments: argparse.Namespace) -> Undoing | Hindrance:
    """Look, and unless that is all that was asked for, take the entry back."""
    directory, ledger = assembly.directory(settings, os.environ), assembly.ledger_as_it_is(settings)
    store = assembly.calendars(settings, ledger.index)
    try:
        doors = Doors(directory, store, ledger, assembly.now)
        return (undoing if arguments.dry_run else undo)(doors, arguments.entry)
    finally:
        store.close()
        ledger.close()


def _told(found: Undoing) -> list[str]:
    told = found.recorded.entry
    what = f"entry {found.recorded.number}, {told.outcome}: {told.reason}, for {told.recipient}"
    done = f"undone: {what}; this is entry {found.number}" if found.number else f"would be undone: {what}"
    return [scenario.printable(done), "== changes", *_changes(found)]


def _fields(number: int, found: Undoing | Hindrance) -> dict[str, object]:
    """Return what a program may rely on."""
    done = isinstance(found, Undoing)
    return {
        "entry": number,
        "possible": done,
        "undone_by": found.number if isinstance(found, Undoing) else None,
        "why": "" if isinstance(found, Undoing) else found.why,
        "changes": list(_changes(found)),
    }


def _changes(found: Undoing | Hindrance) -> tuple[str, ...]:
    """Return what the undo changes, or what somebody else has changed."""
    if isinstance(found, Undoing):
        return scenario.changes(found.entry.former, found.entry.written)
    return scenario.changes(found.left, found.found)
