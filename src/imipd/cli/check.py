"""imipd check: the configuration read, and every door tried; one line each."""

import argparse
import contextlib
import grp
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from imipd import config, scenario
from imipd.accounts import Account
from imipd.config import Config, ConfigError
from imipd.ledger import LedgerError, OutdatedError
from imipd.ledger.sql import open_as_it_is
from imipd.store import StoreError
from imipd.store.caldav import CalDavStore

from . import assembly, listening, proving

PROBE = "imipd-check-no-such-event"
UNIX = "unix:"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

Address = str | tuple[str, int]
Result = TypeVar("Result")
Found = tuple[str, str]
"""What was tried, and what is wrong with it; empty where it is in order."""


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each door and return 1 if any is shut."""
    settings = config.load(arguments.config, os.environ)
    print(f"ok    configuration {settings.file}")
    for warning in config.warnings(settings):
        print(f"warn  {warning}")
    shut = 0
    for name, trouble in _tried(settings):
        print(scenario.printable(f"FAIL  {name}: {trouble}") if trouble else f"ok    {name}")
        shut += bool(trouble)
    return 1 if shut else os.EX_OK


def _tried(settings: Config) -> Iterator[Found]:
    yield "ledger", _ledger(settings)
    yield from _calendars(settings)
    if assembly.asks_for_proof(settings) and settings.proof.verify:
        yield "resolver", proving.silence(settings)
    for name, section in settings.listening.items():
        if section.tls_certificate:
            yield f"certificate of [{name}]", _certificate(settings, name)
        for place in section.listen:
            yield f"listen {place}", _socket(place, _greeting, section.socket_group)
    if settings.forward:
        place = settings.forward.lmtp or settings.forward.smtp or ""
        yield f"next hop {place}", _next_hop(place)
    if settings.web and settings.web.listen:
        yield f"listen {settings.web.listen}", _socket(settings.web.listen, _page)


def _ledger(settings: Config) -> str:
    """Write nothing, but as only who may write can; a file made by root now would shut the daemon out later."""
    file = settings.ledger.file
    if file and not file.exists():
        return _writable(file.parent)
    try:
        ledger = open_as_it_is(settings.ledger.url, keep_days=settings.ledger.keep_days)
        ledger.prune(LONG_AGO)
        ledger.close()
    except OutdatedError as error:
        print(f"note  {error}")
    except LedgerError as error:
        return str(error)
    return ""


def _calendars(settings: Config) -> Iterator[Found]:
    directory, store = assembly.directory(settings, os.environ), assembly.calendars(settings)
    try:
        for section in settings.account:
            account = directory.account_of(section.addresses[0])
            if account is not None:
                yield f"calendar of {account.addresses[0]} at {account.home.url}", _calendar(store, account)
                if account.policy.invitations == "known":
                    yield from _address_books(store, account)
        for domain in settings.domain:
            print(f"note  calendars of {domain.name}: each is tried when its first mail arrives")
    finally:
        store.close()


def _calendar(store: CalDavStore, account: Account) -> str:
    """Log in, find the calendars, look for an event in each, and ask where a new one would go."""
    try:
        store.find(account.home, PROBE)
        store.destination(account.home, "VEVENT")
        if remark := store.remark(account.home):
            print(f"warn  calendar of {account.addresses[0]}: {remark}")
    except StoreError as error:
        return str(error)
    return ""


def _address_books(store: CalDavStore, account: Account) -> Iterator[Found]:
    """Say where contacts are looked for (Q2); a server may have none."""
    name = f"address book of {account.addresses[0]}"
    try:
        books = store.address_books(account.home)
    except StoreError as error:
        yield name, str(error)
        return
    if books:
        yield f"{name}: {', '.join(books)}", ""
    else:
        print(f"note  {name}: the server has none. known_senders and events alone tell who is known")


def _certificate(settings: Config, name: str) -> str:
    try:
        listening.certificate(settings, name)
    except ConfigError as error:
        return error.problems[0].text
    return ""


def _socket(place: str, heard: Callable[[socket.socket, Address], bytes], group: str | None = None) -> str:
    """Return what keeps us from listening there; imipd itself may do so already."""
    try:
        ours = b" imipd" in _probed(place, heard)
    except OSError:
        return _bindable(place) or (_membership(group) if group and place.startswith(UNIX) else "")
    return "" if ours else "another program listens there. End it, or choose another address"


def _next_hop(place: str) -> str:
    """Return why no mail could go on there."""
    try:
        greeting = _probed(place, _greeting)
    except OSError as error:
        return f"{error.strerror or error}. Start it, or write another place into [forward]"
    return "" if greeting.startswith(b"220") else "it does not greet as a mail server does"


def _bindable(place: str) -> str:
    if place.startswith(UNIX):
        return _writable(Path(place.removeprefix(UNIX)).parent)
    try:
        _probed(place, lambda probe, address: probe.bind(address))
    except OSError as error:
        return f"{error.strerror}. Choose another address"
    return ""


def _membership(group: str) -> str:
    """Return what keeps us from giving a socket to a group (chown(2))."""
    try:
        wanted = grp.getgrnam(group).gr_gid
    except KeyError:
        return f"no group {group} on this machine. Correct socket_group"
    mine = os.geteuid() == 0 or wanted in (os.getegid(), *os.getgroups())
    return "" if mine else f"imipd's user is no member of the group {group}. Make it one: usermod -aG {group} USER"


def _writable(folder: Path) -> str:
    return "" if os.access(folder, os.W_OK) else f"{folder} is not there, or not writable. Create it"


def _greeting(probe: socket.socket, address: Address) -> bytes:
    probe.connect(address)
    with contextlib.suppress(TimeoutError, ConnectionError):
        return probe.recv(512)
    return b""


def _page(probe: socket.socket, address: Address) -> bytes:
    probe.connect(address)
    with contextlib.suppress(TimeoutError, ConnectionError):
        probe.sendall(b"HEAD /healthz HTTP/1.0\r\n\r\n")
        with probe.makefile("rb") as answer:
            return answer.read(2048)
    return b""


def _probed(place: str, use: Callable[[socket.socket, Address], Result]) -> Result:
    """Return what `use` makes of a socket and the address that `place` names. Raises OSError."""
    host, _, port = place.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    is_unix = place.startswith(UNIX)
    with socket.socket(socket.AF_UNIX if is_unix else family) as probe:
        probe.settimeout(2)
        if is_unix:
            return use(probe, place.removeprefix(UNIX))
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return use(probe, (host.strip("[]"), int(port)))
