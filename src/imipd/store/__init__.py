"""The door to the calendars: what is stored, and what one can do with it (RFC 4791, rules A7, S1, S2).

The door says what is found, not how it is looked for. Writes are conditional on the ETag that the decision
was made on; nothing is ever written over a change that we have not seen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Home:
    """Where the calendars of one account are reached, and with which credentials."""

    url: str
    """Where discovery starts: the root of the CalDAV server or anything below it, or `BY_DNS` and a domain."""
    username: str
    password: str = field(repr=False)
    timeout: float = 10.0
    """Seconds for one request."""
    calendar: str | None = None
    """Where new objects go: a collection's display name or URL; None leaves the choice to the server."""
    ca_file: str | None = None
    """PEM of the authorities that may vouch for the server; None: those of the system."""
    lookup: str = "auto"
    """How a UID is found that is not where it most likely is: what suits the server, or `sync`, `ctag`, `query`."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A calendar object resource as it was found (RFC 4791 §4.1)."""

    href: str
    etag: str
    collection: str
    """Href of the calendar collection that holds it."""
    body: bytes
    """iCalendar, byte for byte as the server sent it."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where an object was written, and the version that it has since."""

    href: str
    etag: str
    """As in `Stored`; empty where the server does not name it (Cyrus never does), and the next `find` tells."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a domain's calendars are served over TLS (RFC 6764 §3, §4)."""

    host: str
    port: int
    path: str


Locate = Callable[[str], tuple[Place, ...]]
"""Return the places of a domain, the first to be tried first; none where it names none. Raises `StoreError`."""
BY_DNS = "dns:"
"""How a `Home.url` begins that names a domain instead of a server: ``dns:example.org``."""


class Store(Protocol):
    """A calendar server. Every method may raise each `StoreError`."""

    def addresses(self, home: Home) -> tuple[str, ...]:
        """Return the ``mailto:`` addresses of calendar-user-address-set (RFC 6638 §2.4.1), comparable."""

    def answers_invitations(self, home: Home) -> bool:
        """Return whether the server answers a new invitation by itself, unless my line says SCHEDULE-AGENT=CLIENT."""

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        """Return every object with this UID in the collections that the account owns (rules A7, S1).

        `component` is the type that the message speaks of: a VJOURNAL is looked for on its behalf alone.
        """

    def mentions(self, home: Home, address: str) -> Iterator[bytes]:
        """Return the bodies of objects with this comparable address as ORGANIZER or ATTENDEE, of any line ends.

        Looked for while they are read, in the collections that the account owns; some may name it elsewhere.
        """

    def address_books(self, home: Home) -> tuple[str, ...]:
        """Return the hrefs of the account's own address books; none where the server has no CardDAV (RFC 6352)."""

    def has_contact(self, home: Home, address: str) -> bool:
        """Return whether a contact in `address_books` has this comparable address; remembered for some minutes."""

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        """Write `body` in the place of `stored`, if it is unchanged since it was found (rule S2)."""

    def destination(self, home: Home, component: str) -> str:
        """Return the href of the collection where `create` puts a new object of this type (rule S1)."""

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        """Write a new object into the account's calendar for `component` (rules S1, S2)."""

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        """Write a deleted object anew where it was, in a collection that the account owns, if nothing is there."""

    def remove(self, home: Home, stored: Stored) -> None:
        """Delete `stored`, if it is unchanged since it was found."""


class StoreError(Exception):
    """The calendar could not be read or written. The text names the URL and what happened, never a secret."""


class UnreachableError(StoreError):
    """Temporary: no connection, a timeout, an answer that broke off, 423, 429, 5xx, or no CalDAV answer."""


class RefusedError(StoreError):
    """The server answered and will not: 401, 403, 404 of the calendar home, a redirect, other 4xx."""


class NoCalendarError(RefusedError):
    """The server knows no calendar for this account that could be looked at or written to."""


class NoPlaceError(NoCalendarError):
    """The account has calendars, and none of them takes objects of this type."""


class ConflictError(StoreError):
    """The object is no longer what was found (412, 404 and 409 to a write): find and decide again."""
