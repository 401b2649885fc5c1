"""How calendars come to hold their events before anything is measured: by the shortest way that a server has.

Radicale takes a whole calendar in one PUT. Xandikos' calendars are git repositories: ten thousand PUTs would take half
an hour, one commit takes seconds; its own environment makes it. The others take the events by PUT, on several
connections.
"""

import multiprocessing
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from servers import PROGRAMS

from . import letters
from .floor import Bare
from .jobs import Held

CONNECTIONS = 4
SCHEDULING = ("cyrus", "sogo", "davical")
"""Servers that would mail by themselves: the Attendees of events on them are marked as ours to tell."""
_COMMIT = """\
import sys
from pathlib import Path
from dulwich.repo import Repo
where = Path(sys.argv[1])
with Repo(str(where)) as repository:
    names = [path.name for path in where.glob("*.ics")]
    work = repository.get_worktree()
    work.stage(names)
    work.commit(message=b"Filled", author=b"bench <bench@example.org>", committer=b"bench <bench@example.org>")
"""
_FORK = multiprocessing.get_context("fork")


def fill(kind: str, held: Held, folder: Path) -> None:
    """Put its events into a calendar of a server of this kind; `folder` is where that keeps what it has."""
    if kind == "xandikos":
        _commit(held, folder / "collections" / held.account / "calendars" / "calendar")
    elif kind == "radicale":
        _put_whole(held)
        if held.renamed:
            _rename(held, folder / "collections" / "collection-root" / held.account / "work")
    else:
        _put_each(held, quiet=kind in SCHEDULING)


def make_calendar(held: Held) -> None:
    """Make the calendar itself (RFC 4791 §5.3.1)."""
    with closing(Bare(held)) as client:
        status, text = client.request(held, "MKCALENDAR", held.collection)
        if status != 201:
            raise RuntimeError(f"MKCALENDAR {held.collection}: {status} {text.decode(errors='replace')}")


def _put_whole(held: Held) -> None:
    with closing(Bare(held)) as client:
        events = (letters.event(held.account, number) for number in held.numbers)
        client.put(held, held.collection, letters.calendar(*events))


def _rename(held: Held, where: Path) -> None:
    """Give the files other names, and so those in which Radicale keeps what it has read of them."""
    named = replace(held, renamed=False)
    for number in held.numbers:
        old, new = (one.url(number).rpartition("/")[2] for one in (named, held))
        for place in (where, where / ".Radicale.cache" / "item"):
            (place / old).rename(place / new)


def _commit(held: Held, where: Path) -> None:
    for number in held.numbers:
        body = letters.calendar(letters.event(held.account, number))
        (where / held.url(number).rpartition("/")[2]).write_bytes(body)
    subprocess.run([PROGRAMS / "python", "-c", _COMMIT, where], check=True)


def _put_each(held: Held, *, quiet: bool) -> None:
    rows = [(held, held.numbers[first::CONNECTIONS], quiet) for first in range(CONNECTIONS)]
    with _FORK.Pool(CONNECTIONS) as pool:
        pool.starmap(_put_some, rows)
        # Leaving the block sends SIGTERM, which who has our handlers outlives, and waits for ever.
        pool.close()
        pool.join()


def _put_some(held: Held, numbers: Sequence[int], quiet: bool) -> None:
    with closing(Bare(held)) as client:
        for number in numbers:
            body = letters.calendar(letters.event(held.account, number, quiet=quiet))
            client.put(held, held.url(number), body)
