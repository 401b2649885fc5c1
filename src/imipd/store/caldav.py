"""The calendars of real servers, over CalDAV (RFC 4791, RFC 6638; rules S1, S2).

A write counts as done only when the server said so with 200, 201 or 204, and a 200 only when a second look
agrees. Methods may be called from any thread.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote

from . import Home, NoCalendarError, RefusedError, Stored, StoreError, UnreachableError, Written
from .body import uids
from .discovery import Collection, Principal, discover
from .lookup import fetch, look_up, strong
from .naming import name_of
from .transport import Session, Wire
from .verdict import Answer, GoneError, verdict

CONTENT = {"Content-Type": "text/calendar; charset=utf-8"}
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

    def __init__(self, *, remember: float = 300.0, connections: int = 20) -> None:
        self._connections = connections
        self._session = Session(connections)
        self._trusting: dict[str, Session] = {}
        self._remember = remember
        self._accounts: OrderedDict[Home, _Account] = OrderedDict()
        self._lock = threading.Lock()

    def addresses(self, home: Home) -> tuple[str, ...]:
        """See `Store.addresses`."""
        return self._account(home).principal.addresses

    def find(self, home: Home, uid: str) -> tuple[Stored, ...]:
        """See `Store.find`."""
        with self._watching(home):
            known = self._known(home)
            account = known or self._discovered(home)
            try:
                found = look_up(account.wire, account.principal.collections, uid)
            except GoneError:
                return self._look_again(home, uid)
            return found if found or not known else self._look_at_new(home, known, uid)

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        """See `Store.replace`."""
        with self._watching(home):
            return _put(self._account(home).wire, stored, {"If-Match": stored.etag}, body)

    def destination(self, home: Home, component: str) -> str:
        """See `Store.destination`."""
        with self._watching(home):
            return _target(home, self._account(home).principal, component).href

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        """See `Store.create`; a configured calendar that does not take the component is passed over."""
        with self._watching(home):
            account = self._account(home)
            target = _target(home, account.principal, component)
            return _put_new(account.wire, target.href + quote(name_of(uid)), target.href, body)

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        """See `Store.restore`."""
        with self._watching(home):
            account, place = self._account(home), unquote(href[: href.rfind("/") + 1])
            if place not in {unquote(collection.href) for collection in account.principal.collections}:
                raise NoCalendarError(f"{place}: {home.username} owns no such calendar any more")
            return _put_new(account.wire, href, place, body)

    def remove(self, home: Home, stored: Stored) -> None:
        """See `Store.remove`."""
        # Schedule-Reply: F: the Organizer knows, it was his message (RFC 6638 §8.1).
        headers = {"If-Match": stored.etag, "Schedule-Reply": "F"}
        with self._watching(home):
            wire = self._account(home).wire
            answer = _settled(wire.request("DELETE", stored.href, headers))
            if answer.status == 200 and wire.request("GET", stored.href).status not in (404, 410):
                raise UnreachableError(f"{answer}, yet the object is still there")

    def close(self) -> None:
        """Close all connections."""
        for session in (self._session, *self._trusting.values()):
            session.close()

    def _session_for(self, home: Home) -> Session:
        """Return the connections that trust whom this home trusts.

        niquests 3.21 would use one again for a request that trusts others: it keeps connections by host alone.
        """
        if home.ca_file is None:
            return self._session
        with self._lock:
            return self._trusting.setdefault(home.ca_file, Session(self._connections))

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
        wire = Wire(home, self._session_for(home))
        account = _Account(wire, discover(wire), time.monotonic() + self._remember)
        with self._lock:
            self._accounts[home] = account
            self._accounts.move_to_end(home)
            if len(self._accounts) > ACCOUNTS:
                self._accounts.popitem(last=False)
        return account

    @contextmanager
    def _watching(self, home: Home) -> Iterator[None]:
        """Forget what is remembered of the home when the server disagrees with it."""
        try:
            yield
        except (RefusedError, GoneError):
            with self._lock:
                self._accounts.pop(home, None)
            raise

    def _look_again(self, home: Home, uid: str) -> tuple[Stored, ...]:
        """Look in freshly discovered collections, after something was deleted or moved under our eyes."""
        account = self._discovered(home)
        try:
            return look_up(account.wire, account.principal.collections, uid)
        except GoneError as error:
            raise RefusedError(f"{error}; discovered anew, it is the same") from error

    def _look_at_new(self, home: Home, before: _Account, uid: str) -> tuple[Stored, ...]:
        """Look in the collections that came since discovery: an answer to a new calendar's event counts."""
        now = self._discovered(home)
        known = {collection.href for collection in before.principal.collections}
        new = [collection for collection in now.principal.collections if collection.href not in known]
        return look_up(now.wire, new, uid)


def _put_new(wire: Wire, path: str, collection: str, body: bytes) -> Written:
    """Write an object where there is none."""
    # RFC 9110 §13.1.2: two nodes that create the same object get one 201 and one 412.
    return _put(wire, Stored(path, "", collection, b""), {"If-None-Match": "*"}, body)


def _put(wire: Wire, before: Stored, condition: dict[str, str], body: bytes) -> Written:
    """Write the body in the place of `before`, under a condition."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        # iCalendar here is UTF-8 (RFC 5545 §3.1.4), and caldav 3.6.0 decodes every body for its debug log.
        raise RefusedError(f"PUT {before.href}: the object is not UTF-8, nothing was written: {error}") from error
    answer = _settled(wire.request("PUT", before.href, CONTENT | condition, body))
    now = _confirmed(wire, answer, before, body) if answer.status == 200 else answer.headers.get("ETag", "")
    return Written(before.href, strong(now))


def _settled(answer: Answer) -> Answer:
    """Return the answer to a write if it says that this succeeded; raise what it says instead."""
    if answer.status not in (200, 201, 204):
        raise verdict(answer)
    return answer


def _confirmed(wire: Wire, answer: Answer, before: Stored, body: bytes) -> str:
    """Return the ETag of what a PUT that was answered 200 has left: a login page says 200 to everything."""
    try:
        now = fetch(wire, before.href, before.collection)
    except StoreError as error:
        raise UnreachableError(f"{answer}, but reading it back: {error}") from error
    if now.etag == before.etag or uids(now.body) != uids(body):
        raise UnreachableError(f"{answer}, yet the object is as it was")
    return now.etag


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
    raise NoCalendarError(f"{home.username} has no calendar that takes a {component}")


def _is_named(collection: Collection, wanted: str) -> bool:
    """Return whether a display name, or the URL or path of a collection, means this one."""
    path = unquote(collection.href).strip("/")
    given = unquote(wanted.partition("://")[2].partition("/")[2] or wanted).strip("/")
    return wanted in (collection.name, collection.href) or ("/" in wanted and given == path)
