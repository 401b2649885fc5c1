"""The servers that are measured, each with its accounts and their filled calendars.

The servers are those of the tests (`tests/servers.py` and its neighbours), private and gone at the end.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cyrus import cyrus
from daemons import free_place
from davical import davical
from servers import PROGRAMS, Server, radicale, xandikos
from sogo import sogo

from .filling import fill, make_calendar
from .jobs import Held
from .progress import said

PASSWORD = "wonderland"  # noqa: S105 - of private servers that are gone at the end
NEEDED: Mapping[str, tuple[str, ...]] = {
    "radicale": (str(PROGRAMS / "radicale"),),
    "xandikos": (str(PROGRAMS / "xandikos"),),
    "cyrus": ("/usr/lib/cyrus/bin/master", "/usr/lib/cyrus/bin/httpd", "/usr/sbin/saslpasswd2"),
    "sogo": ("/usr/sbin/sogod", "/usr/bin/memcached", "/usr/share/postgresql"),
    "davical": ("/usr/share/davical", "/usr/sbin/apache2", "/usr/share/postgresql"),
}
"""Where each server's programs are, by its name."""
PACKAGES = {"cyrus": "cyrus-caldav", "sogo": "sogo", "davical": "davical"}
"""Of Debian; the others come from PyPI."""
CALENDARS = {
    "radicale": "work",
    "xandikos": "calendar",
    "cyrus": "Default",
    "sogo": "personal",
    "davical": "calendar",
}
"""What the calendar of an account is called."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A running server, or several of one kind, with filled calendars."""

    kind: str
    held: Mapping[str, Held]
    """By account."""
    roots: Mapping[str, str]
    """The CalDAV root of each account."""
    peers: Mapping[str, str]
    """Where the server itself takes mail for an account by LMTP."""


def installed() -> list[str]:
    """Return the servers that are there; those of Debian have to be started by root."""
    here = [kind for kind, places in NEEDED.items() if all(Path(place).exists() for place in places)]
    return [kind for kind in here if kind not in PACKAGES or os.geteuid() == 0]


@contextmanager
def standing(kind: str, sizes: Mapping[str, int], folder: Path) -> Iterator[Stand]:
    """Run a server whose accounts hold so many events; ``renamed`` and ``three`` are accounts of their own kind."""
    with ExitStack() as stack:
        said(f"{kind}: starting, and filling {', '.join(f'{account} with {size}' for account, size in sizes.items())}")
        begin = _several if kind == "xandikos" else _one
        yield begin(kind, sizes, folder, stack)


def _one(kind: str, sizes: Mapping[str, int], folder: Path, stack: ExitStack) -> Stand:
    """Run one server for all accounts."""
    place = free_place() if kind == "cyrus" else ""
    users = dict.fromkeys(sizes, PASSWORD)
    server = stack.enter_context(_run(kind, folder, users, place))
    held = {}
    for account, size in sizes.items():
        home = server.origin + server.home.format(user=account)
        held[account] = Held(account, PASSWORD, f"{home}{CALENDARS[kind]}/", size, account == "renamed")
        fill(kind, held[account], folder)
        if account == "three":
            _add_two(kind, held[account], home, folder)
    return Stand(kind, held, dict.fromkeys(sizes, server.url), dict.fromkeys(sizes, place) if place else {})


def _run(kind: str, folder: Path, users: Mapping[str, str], place: str) -> AbstractContextManager[Server]:
    if kind == "radicale":
        return radicale(folder, users)
    if kind == "cyrus":
        return cyrus(users=users, lmtp=place)
    return sogo(users=users) if kind == "sogo" else davical(users=users)


def _add_two(kind: str, held: Held, home: str, folder: Path) -> None:
    """Give the account two calendars more, with as many events of their own."""
    for name, first in (("aside", held.size), ("zero", 2 * held.size)):
        other = replace(held, collection=f"{home}{name}/", first=first)
        make_calendar(other)
        fill(kind, other, folder)


def _several(kind: str, sizes: Mapping[str, int], folder: Path, stack: ExitStack) -> Stand:
    """Run a Xandikos for each account: it knows one user, and takes mail for him alone."""
    held, roots, peers = {}, {}, {}
    for account, size in sizes.items():
        own = folder / account
        own.mkdir()
        peers[account] = free_place()
        server = stack.enter_context(xandikos(own, account, lmtp=peers[account]))
        roots[account] = server.url
        home = server.origin + server.home.format(user=account)
        held[account] = Held(account, PASSWORD, f"{home}{CALENDARS[kind]}/", size)
        fill(kind, held[account], own)
    return Stand(kind, held, roots, peers)


def versions(kinds: Iterable[str]) -> dict[str, str]:
    """Return the versions of servers."""
    return {kind: _version(kind) for kind in kinds}


def _version(kind: str) -> str:
    if package := PACKAGES.get(kind):
        command: tuple[str | Path, ...] = ("dpkg-query", "-Wf", "${Version}", package)
    else:
        command = (PROGRAMS / "python", "-c", f"from importlib.metadata import version; print(version({kind!r}))")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
