"""Calendars in memory behind the same door: for tests, `explain --stored` and the demo's dry runs.

It refuses what a server refuses: an ETag that is not the latest, a UID that its collection holds already
under another name, collections that belong to somebody else.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from imipd.address import spellings

from . import ConflictError, Home, NoCalendarError, NoPlaceError, RefusedError, Stored, StoreError, Written
from .body import has_address, uids
from .naming import name_of


@dataclass(slots=True)
class Shelf:
    """One collection that is held, with its objects by href."""

    href: str
    name: str
    owner: str
    readers: frozenset[str] = frozenset()
    """Users to whom the owner shares it."""
    components: frozenset[str] = frozenset({"VEVENT", "VTODO"})
    writable: bool = True
    objects: dict[str, Stored] = field(default_factory=dict)


class MemoryStore:
    """A `Store` without a server. A Home's username says whose calendars are meant."""

    def __init__(self) -> None:
        self.failures: deque[StoreError] = deque()
        """Raised by the next calls of the door, one each: what a server out of reach looks like."""
        self._shelves: list[Shelf] = []
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._contacts: dict[str, frozenset[str]] = {}
        self._answering: set[str] = set()
        self._version = 0
        self._lock = threading.Lock()

    def add_addresses(self, user: str, *addresses: str) -> None:
        """Let `user` have these comparable addresses."""
        self._addresses[user] = addresses

    def add_contacts(self, user: str, *addresses: str) -> None:
        """Let `user` have an address book with these comparable addresses."""
        self._contacts[user] = frozenset(addresses)

    def let_answer(self, user: str) -> None:
        """Let the server answer new invitations to `user` by itself, as SOGo does."""
        self._answering.add(user)

    def answers_invitations(self, home: Home) -> bool:
        """See `Store.answers_invitations`."""
        return home.username in self._answering

    def add_collection(
        self,
        owner: str,
        name: str,
        *,
        components: tuple[str, ...] = ("VEVENT", "VTODO"),
        shared_with: tuple[str, ...] = (),
        writable: bool = True,
    ) -> str:
        """Make a collection and return its href."""
        href = f"/{owner}/{quote(name)}/"
        shelf = Shelf(href, name, owner, frozenset(shared_with), frozenset(components), writable)
        self._shelves.append(shelf)
        return href

    def put(self, collection: str, name: str, body: bytes) -> Stored:
        """Write unconditionally, as the user's own client does, and return what is stored then."""
        with self._lock:
            return self._keep(self._shelf(collection), f"{collection}{quote(name)}", body)

    def drop(self, href: str) -> None:
        """Delete unconditionally, as the user's own client does."""
        with self._lock:
            self._holder(href).objects.pop(href)

    def objects(self, collection: str) -> tuple[Stored, ...]:
        """Return everything in a collection, whoever owns it."""
        with self._lock:
            return tuple(self._shelf(collection).objects.values())

    def addresses(self, home: Home) -> tuple[str, ...]:
        """See `Store.addresses`."""
        self._fail()
        return self._addresses.get(home.username, ())

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        """See `Store.find`."""
        self._fail()
        with self._lock:
            held = [stored for shelf in self._own(home) for stored in shelf.objects.values()]
        seen = (stored for stored in held if component == "VJOURNAL" or b"BEGIN:VJOURNAL" not in stored.body)
        return tuple(stored for stored in seen if uid.strip() in uids(stored.body))

    def mentions(self, home: Home, address: str) -> Iterator[bytes]:
        """See `Store.mentions`."""
        self._fail()
        with self._lock:
            held = [stored.body for shelf in self._own(home) for stored in shelf.objects.values()]
        return (body for body in held if has_address(body, spellings(address)))

    def address_books(self, home: Home) -> tuple[str, ...]:
        """See `Store.address_books`."""
        self._fail()
        return (f"/{home.username}/contacts/",) if home.username in self._contacts else ()

    def has_contact(self, home: Home, address: str) -> bool:
        """See `Store.has_contact`."""
        self._fail()
        return address in self._contacts.get(home.username, ())

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        """See `Store.replace`."""
        self._fail()
        with self._lock:
            shelf = self._unchanged(home, stored)
            self._check_uid(shelf, stored.href, body)
            return Written(stored.href, self._keep(shelf, stored.href, body).etag)

    def destination(self, home: Home, component: str) -> str:
        """See `Store.destination`."""
        self._fail()
        with self._lock:
            return self._target(home, component).href

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        """See `Store.create`."""
        self._fail()
        with self._lock:
            shelf = self._target(home, component)
            return self._put_new(shelf, f"{shelf.href}{quote(name_of(uid))}", body)

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        """See `Store.restore`."""
        self._fail()
        with self._lock:
            for shelf in self._own(home):
                if href.startswith(shelf.href):
                    return self._put_new(shelf, href, body)
            raise NoCalendarError(f"{href} is in no calendar of {home.username}'s")

    def remove(self, home: Home, stored: Stored) -> None:
        """See `Store.remove`."""
        self._fail()
        with self._lock:
            del self._unchanged(home, stored).objects[stored.href]

    def close(self) -> None:
        """Hold nothing open."""

    def _fail(self) -> None:
        """Raise the failure whose turn it is."""
        with self._lock:
            failure = self.failures.popleft() if self.failures else None
        if failure:
            raise failure

    def _own(self, home: Home) -> list[Shelf]:
        """Return the writable collections that the account owns (rule A7)."""
        own = [shelf for shelf in self._shelves if shelf.owner == home.username and shelf.writable]
        if not own:
            raise NoCalendarError(f"{home.username} has no calendar")
        return own

    def _target(self, home: Home, component: str) -> Shelf:
        """Return where a new object goes (rule S1)."""
        own = self._own(home)
        configured = [shelf for shelf in own if home.calendar in (shelf.name, shelf.href)]
        if home.calendar and not configured:
            raise NoCalendarError(f'{home.username} owns no calendar "{home.calendar}"')
        for shelf in (*configured, *own):
            if component in shelf.components:
                return shelf
        raise NoPlaceError(f"{home.username} has no calendar that takes a {component}")

    def _unchanged(self, home: Home, stored: Stored) -> Shelf:
        """Return the collection of an object that is still the one that was found."""
        shelf = self._holder(stored.href)
        if shelf not in self._own(home):
            raise RefusedError(f"{stored.href} is not {home.username}'s")
        if shelf.objects[stored.href].etag != stored.etag:
            raise ConflictError(f"{stored.href} was changed")
        return shelf

    def _put_new(self, shelf: Shelf, href: str, body: bytes) -> Written:
        """Store a body where there is none."""
        if href in shelf.objects:
            raise ConflictError(f"{href} exists")
        self._check_uid(shelf, href, body)
        return Written(href, self._keep(shelf, href, body).etag)

    def _check_uid(self, shelf: Shelf, href: str, body: bytes) -> None:
        """Refuse a UID that the collection holds under another name (RFC 4791 §5.3.2.1)."""
        wanted = uids(body)
        if any(wanted & uids(other.body) for other in shelf.objects.values() if other.href != href):
            raise ConflictError(f"{href}: no-uid-conflict")

    def _keep(self, shelf: Shelf, href: str, body: bytes) -> Stored:
        """Store a body under an ETag that was never used before."""
        self._version += 1
        etag = f'"{self._version}-{hashlib.sha256(body).hexdigest()[:8]}"'
        shelf.objects[href] = Stored(href, etag, shelf.href, body)
        return shelf.objects[href]

    def _holder(self, href: str) -> Shelf:
        """Return the collection that holds this object."""
        for shelf in self._shelves:
            if href in shelf.objects:
                return shelf
        raise ConflictError(f"{href} is gone")

    def _shelf(self, collection: str) -> Shelf:
        """Return the collection of this href."""
        return next(shelf for shelf in self._shelves if shelf.href == collection)
