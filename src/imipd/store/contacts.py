"""Whether an address is among the account's contacts, over CardDAV (RFC 6352), with what discovery found.

A server without CardDAV has no address books, which is no error; one that has some and does not answer is.
"""

import threading
import time
from collections import OrderedDict

from imipd.address import spellings

from . import Home, UnreachableError
from .body import addresses
from .discovery import Principal, is_own
from .lookup import reported
from .multistatus import CARDDAV, DAV, MalformedXMLError, Resource, contact_query, propfind, resources
from .transport import Wire
from .verdict import verdict

ANSWERS = 10_000
"""Answers that are remembered."""
OF_BOOK = propfind((DAV + "resourcetype", DAV + "owner"))
ABSENT = frozenset({404, 405, 410, 501})
"""To a PROPFIND of addressbook-home-set: the server names a home and keeps none, or does not speak CardDAV there."""


class Contacts:
    """What servers said about addresses, for some seconds; used from any thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[tuple[Home, str], tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, home: Home, address: str) -> bool | None:
        """Return what was said, None where that is nothing or too old."""
        with self._lock:
            known, until = self._kept.get((home, address), (None, 0.0))
        return known if time.monotonic() < until else None

    def keep(self, home: Home, address: str, *, known: bool) -> None:
        """Remember what was said."""
        with self._lock:
            self._kept[home, address] = known, time.monotonic() + self._seconds
            self._kept.move_to_end((home, address))
            if len(self._kept) > ANSWERS:
                self._kept.popitem(last=False)


def address_books(wire: Wire, principal: Principal) -> tuple[str, ...]:
    """Return the paths of the address books that the account owns."""
    return tuple(dict.fromkeys(path for home in principal.contacts for path in _listed(wire, principal, home)))


def has_contact(wire: Wire, books: tuple[str, ...], address: str) -> bool:
    """Return whether a card in these address books has this printable address; a server may find parts of words."""
    return any(
        address in addresses(_card(wire, book, found))
        for book in books
        for text in spellings(address)
        for found in reported(wire, book, contact_query(text))
    )


def _card(wire: Wire, book: str, found: Resource) -> bytes:
    """Return a contact, read by itself where the server found it and does not show it."""
    if shown := found.text(CARDDAV + "address-data"):
        return shown.encode()
    answer = wire.request("GET", wire.path_of(found.href, book))
    if answer.status != 200:
        raise verdict(answer)
    return answer.body


def _listed(wire: Wire, principal: Principal, home: str) -> list[str]:
    path, answer = wire.propfind(home, 1, OF_BOOK)
    if answer.status in ABSENT:
        return []
    if answer.status != 207:
        raise verdict(answer)
    try:
        found = [one for one in resources(answer.body) if one.status < 300 and is_own(one, (principal.href,))]
    except MalformedXMLError as error:
        raise UnreachableError(f"{answer}, but {error}") from error
    books = (one for one in found if CARDDAV + "addressbook" in one.names(DAV + "resourcetype"))
    return [wire.path_of(one.href, path) for one in books]
