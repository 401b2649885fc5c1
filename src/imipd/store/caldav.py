"""The calendars of real servers, over CalDAV (RFC 4791, RFC 6638; rules S1, S2).

What a write needs is in `writing`. Methods may be called from any thread.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from . import (
    BY_DNS,
    Home,
    Locate,
    NoCalendarError,
    NoPlaceError,
    RefusedError,
    Stored,
    StoreError,
    UnreachableError,
    Written,
)
from .connections import Connections
from .contacts import Contacts, address_books, has_contact
from .discovery import Collection, Principal, collections, discover
from .lookup import look_up, mentions
from .naming import name_of
from .transport import Wire
from .verdict import GoneError
from .writing import delete, put_new, put_over

ACCOUNTS = 1000
"""Accounts whose discovery is remembered."""


@dataclass(frozen=True, slots=True)
class _Account:
    """What is remembered of one Home."""

    wire: Wire
    principal: Principal
    until: float


class CalDavStore:
    """A `Store` on CalDAV servers; holds connections, and for `remember` seconds what discovery found."""

    def __init__(self, *, locate: Locate = lambda _domain: (), remember: float = 300.0, connections: int = 20) -> None:
        self._connections = Connections(connections)
        self._locate = locate
        self._remember = remember
        self._accounts: OrderedDict[Home, _Account] = OrderedDict()
        self._contacts = Contacts(remember)
        self._lock = threading.Lock()

    def addresses(self, home: Home) -> tuple[str, ...]:
        """See `Store.addresses`."""
        return self._account(home).principal.addresses

    def answers_invitations(self, home: Home) -> bool:
        """See `Store.answers_invitations`."""
        return self._account(home).principal.manners.answers_invitations

    def remark(self, home: Home) -> str:
        """Return which mail the server may send when imipd writes, empty where it keeps quiet (rule S5)."""
        principal = self._account(home).principal
        # Who knows no address of his user cannot tell that he takes part (Xandikos without EMAIL).
        return principal.manners.remark if principal.addresses else ""

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        """See `Store.find`."""
        with self._watching(home):
            known = self._known(home)
            account = known or self._discovered(home)
            try:
                found = look_up(account.wire, account.principal.collections, uid, component)
            except GoneError:
                return self._look_again(home, uid, component)
            return found if found or not known else self._look_at_new(home, known, (uid, component))

    def mentions(self, home: Home, address: str) -> Iterator[bytes]:
        """See `Store.mentions`."""
        with self._watching(home):
            account = self._account(home)
            yield from mentions(account.wire, account.principal.collections, address)

    def address_books(self, home: Home) -> tuple[str, ...]:
        """See `Store.address_books`."""
        with self._watching(home):
            account = self._account(home)
            return address_books(account.wire, account.principal)

    def has_contact(self, home: Home, address: str) -> bool:
        """See `Store.has_contact`."""
        known = self._contacts.recall(home, address)
        if known is None:
            books = self.address_books(home)
            with self._watching(home):
                known = has_contact(self._account(home).wire, books, address)
            self._contacts.keep(home, address, known=known)
        return known

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        """See `Store.replace`."""
        with self._watching(home):
            account = self._account(home)
            return put_over(account.wire, account.principal.manners, stored, body)

    def destination(self, home: Home, component: str) -> str:
        """See `Store.destination`."""
        with self._watching(home):
            return _target(home, self._account(home).principal, component).href

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        """See `Store.create`; a configured calendar that does not take the component is passed over."""
        with self._watching(home):
            account = self._account(home)
            target = _target(home, account.principal, component)
            return _put_new(account, target.href + quote(name_of(uid)), target.href, body)

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        """See `Store.restore`."""
        with self._watching(home):
            account, place = self._account(home), unquote(href[: href.rfind("/") + 1])
            if place not in {unquote(collection.href) for collection in account.principal.collections}:
                raise NoCalendarError(f"{place}: {home.username} owns no such calendar any more")
            return _put_new(account, href, place, body)

    def remove(self, home: Home, stored: Stored) -> None:
        """See `Store.remove`."""
        with self._watching(home):
            account = self._account(home)
            delete(account.wire, account.principal.manners, stored)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _account(self, home: Home) -> _Account:
        """Return what is remembered of the home, or discover it."""
        return self._known(home) or self._discovered(home)

    def _known(self, home: Home) -> _Account | None:
        """Return what is remembered of the home, None where that is nothing or too old."""
        with self._lock:
            known = self._accounts.get(home)
        return known if known and time.monotonic() < known.until else None

    def _discovered(self, home: Home) -> _Account:
        """Ask the server where the account's calendars are, and remember it."""
        wire, principal = self._found_by_dns(home) if home.url.startswith(BY_DNS) else self._found(home)
        account = _Account(wire, principal, time.monotonic() + self._remember)
        with self._lock:
            self._accounts[home] = account
            self._accounts.move_to_end(home)
            if len(self._accounts) > ACCOUNTS:
                self._accounts.popitem(last=False)
        return account

    def _listed_anew(self, home: Home, known: _Account) -> _Account:
        """Ask which calendars there are now; all anew, where they are not where they were."""
        try:
            listed = collections(known.wire, known.principal)
        except RefusedError:
            return self._discovered(home)
        account = replace(known, principal=replace(known.principal, collections=listed))
        with self._lock:
            self._accounts[home] = account
        return account

    def _found(self, home: Home) -> tuple[Wire, Principal]:
        wire = Wire(home, self._connections)
        return wire, discover(wire)

    def _found_by_dns(self, home: Home) -> tuple[Wire, Principal]:
        """Ask the servers that the domain names, one after the other, until one is within reach (RFC 6764 §6)."""
        domain = home.url.removeprefix(BY_DNS)
        error: StoreError = RefusedError(f"{home.url}: the DNS names no calendar server for {domain}, over TLS")
        for place in self._locate(domain):
            try:
                return self._found(replace(home, url=f"https://{place.host}:{place.port}{place.path}"))
            except UnreachableError as away:
                error = away
        raise error

    @contextmanager
    def _watching(self, home: Home) -> Iterator[None]:
        """Forget what is remembered of the home when the server disagrees with it."""
        try:
            yield
        except (RefusedError, GoneError):
            with self._lock:
                self._accounts.pop(home, None)
            raise

    def _look_again(self, home: Home, uid: str, component: str) -> tuple[Stored, ...]:
        """Look in freshly discovered collections, after something was deleted or moved under our eyes."""
        account = self._discovered(home)
        try:
            return look_up(account.wire, account.principal.collections, uid, component)
        except GoneError as error:
            raise RefusedError(f"{error}; discovered anew, it is the same") from error

    def _look_at_new(self, home: Home, before: _Account, asked: tuple[str, str]) -> tuple[Stored, ...]:
        """Look in the collections that came since discovery: an answer to a new calendar's event counts."""
        now = self._listed_anew(home, before)
        known = {collection.href for collection in before.principal.collections}
        new = [collection for collection in now.principal.collections if collection.href not in known]
        return look_up(now.wire, new, *asked)


def _put_new(account: _Account, href: str, collection: str, body: bytes) -> Written:
    return put_new(account.wire, account.principal.manners, Stored(href, "", collection, b""), body)


def _target(home: Home, principal: Principal, component: str) -> Collection:
    """Return where a new object goes: configured, else the server's default, else the first (rule S1)."""
    configured = [one for one in principal.collections if home.calendar and _is_named(one, home.calendar)]
    if home.calendar and not configured:
        names = ", ".join(f'"{one.name or one.href}"' for one in principal.collections)
        raise NoCalendarError(
            f'calendar "{home.calendar}": {home.username} owns none of that name. Write one of {names}'
        )
    default = [one for one in principal.collections if one.href == principal.default]
    for collection in (*configured, *default, *principal.collections):
        if collection.takes(component):
            return collection
    raise NoPlaceError(f"{home.username} has no calendar that takes a {component}")


def _is_named(collection: Collection, wanted: str) -> bool:
    """Return whether a display name, or the URL, the path or the end of the path, means this collection."""
    path = unquote(collection.href).strip("/")
    given = unquote(wanted.partition("://")[2].partition("/")[2] or wanted).strip("/")
    return wanted == collection.name or given in (path, path.rpartition("/")[2])
