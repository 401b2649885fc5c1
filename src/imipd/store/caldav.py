"""The calendars of real servers, over CalDAV (RFC 4791, RFC 6638; rules S1, S2).

What a write needs is in `writing`. Methods may be called from any thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote

from imipd.index import Index

from . import Home, Locate, NoCalendarError, NoPlaceError, RefusedError, Stored, Written
from .contacts import Contacts, address_books, has_contact
from .discovery import Collection, Principal
from .finding import Finder, Sought
from .homes import Account, Homes
from .lookup import mentions
from .naming import name_of
from .turns import A_LITTLE, Turns, Waiting
from .verdict import GoneError
from .writing import delete, put_new, put_over


class CalDavStore:
    """A `Store` on CalDAV servers; holds connections, and for `remember` seconds what discovery found."""

    def __init__(
        self,
        *,
        locate: Locate = lambda _domain: (),
        remember: float = 300.0,
        connections: int = 20,
        waiting: Waiting = A_LITTLE,
        index: Index | None = None,
    ) -> None:
        self._homes = Homes(locate, remember, connections, Turns(waiting))
        self._finder = Finder(self._homes, index)
        self._contacts = Contacts(remember)

    def addresses(self, home: Home) -> tuple[str, ...]:
        """See `Store.addresses`."""
        return self._homes.account(home).principal.addresses

    def answers_invitations(self, home: Home) -> bool:
        """See `Store.answers_invitations`."""
        return self._homes.account(home).principal.manners.answers_invitations

    def remark(self, home: Home) -> str:
        """Return which mail the server may send when imipd writes, empty where it keeps quiet (rule S5)."""
        principal = self._homes.account(home).principal
        # Who knows no address of his user cannot tell that he takes part (Xandikos without EMAIL).
        return principal.manners.remark if principal.addresses else ""

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        """See `Store.find`."""
        with self._watching(home):
            return self._finder.find(home, Sought(uid, component))

    def mentions(self, home: Home, address: str) -> Iterator[bytes]:
        """See `Store.mentions`."""
        with self._watching(home):
            account = self._homes.account(home)
            yield from mentions(account.wire, account.principal.collections, address)

    def address_books(self, home: Home) -> tuple[str, ...]:
        """See `Store.address_books`."""
        with self._watching(home):
            account = self._homes.account(home)
            return address_books(account.wire, account.principal)

    def has_contact(self, home: Home, address: str) -> bool:
        """See `Store.has_contact`."""
        known = self._contacts.recall(home, address)
        if known is None:
            books = self.address_books(home)
            with self._watching(home):
                known = has_contact(self._homes.account(home).wire, books, address)
            self._contacts.keep(home, address, known=known)
        return known

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        """See `Store.replace`."""
        with self._watching(home):
            account = self._homes.account(home)
            return put_over(account.wire, account.principal.manners, stored, body)

    def destination(self, home: Home, component: str) -> str:
        """See `Store.destination`."""
        with self._watching(home):
            return _target(home, self._homes.account(home).principal, component).href

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        """See `Store.create`; a configured calendar that does not take the component is passed over."""
        with self._watching(home):
            account = self._homes.account(home)
            target = _target(home, account.principal, component)
            return _put_new(account, target.href + quote(name_of(uid)), target.href, body)

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        """See `Store.restore`."""
        with self._watching(home):
            account, place = self._homes.account(home), unquote(href[: href.rfind("/") + 1])
            held = [each.href for each in account.principal.collections if unquote(each.href) == place]
            if not held:
                raise NoCalendarError(f"{place}: {home.username} owns no such calendar any more")
            return _put_new(account, href, held[0], body)

    def remove(self, home: Home, stored: Stored) -> None:
        """See `Store.remove`."""
        with self._watching(home):
            account = self._homes.account(home)
            delete(account.wire, account.principal.manners, stored)

    def close(self) -> None:
        """Close all connections."""
        self._homes.close()

    @contextmanager
    def _watching(self, home: Home) -> Iterator[None]:
        """Forget what is remembered of the home when the server disagrees with it."""
        try:
            yield
        except (RefusedError, GoneError):
            self._homes.forget(home)
            raise


def _put_new(account: Account, href: str, collection: str, body: bytes) -> Written:
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
