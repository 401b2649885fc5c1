"""Which way a UID is looked for: where it most likely is, then by the index, and as the last resort by a query.

"Nothing" is said of a collection only if it is in the very state in which all of it was read, or if a query says so.
The index is a hint: what it names is read, and where that holds another UID the collection has changed meanwhile.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from imipd.index import Index, Known

from . import Home, RefusedError, Stored, StoreError
from .body import uids
from .discovery import Collection, Principal
from .homes import LANES, Account, Homes
from .inventory import MovingError, change
from .lookup import COMPONENTS, fetch, guess, look_up
from .manners import CTAG, SYNC
from .naming import name_of
from .transport import Wire
from .verdict import GoneError

TRIES = 4
"""Looks by the index, where somebody writes between them."""
STATES = {"sync": SYNC, "ctag": CTAG, "query": ""}
"""Which property an operator may choose instead of what imipd knows of the server (`caldav.lookup`)."""
NOTHING = Known()
PLACES = 10_000
"""Objects whose places are remembered."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for."""

    uid: str
    component: str

    def places(self, principal: Principal) -> Sequence[Collection]:
        """Return the collections that may hold it."""
        return [one for one in principal.collections if any(one.takes(kind) for kind in self._kinds)]

    def of(self, stored: Stored) -> tuple[Stored, ...]:
        """Return an object with this UID if it is of a type that is looked for."""
        return (stored,) if self.uid.strip() in uids(stored.body, self._kinds) else ()

    @property
    def _kinds(self) -> frozenset[str]:
        return frozenset((*COMPONENTS, self.component))


class Elsewhere:
    """Where objects were found that do not bear their UID as a name: it spares a question to the index, and a GET."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, collection: str, uid: str) -> str | None:
        """Return the path at which it was found last."""
        with self._lock:
            return self._kept.get((collection, uid))

    def keep(self, collection: str, uid: str, path: str) -> None:
        """Remember the path."""
        with self._lock:
            self._kept[collection, uid] = path
            self._kept.move_to_end((collection, uid))
            if len(self._kept) > PLACES:
                self._kept.popitem(last=False)


class Finder:
    """Finds objects; what it has learned of collections on the way it leaves in the index."""

    def __init__(self, homes: Homes, index: Index | None) -> None:
        """Without an index what is not where it most likely is costs queries."""
        self._homes = homes
        self._index = index
        self._lanes = [threading.Lock() for _ in range(LANES)]
        self._elsewhere = Elsewhere()

    def find(self, home: Home, sought: Sought) -> tuple[Stored, ...]:
        """See `Store.find`."""
        begun = time.monotonic()
        known = self._homes.recalled(home)
        account = known or self._homes.account(home)
        state_is = STATES.get(home.lookup, account.principal.manners.state)
        # What XML cannot carry no index has, and of that a query says so.
        index = self._index if state_is and sought.uid.isprintable() else None
        places = sought.places(account.principal)
        alone = places[0] if len(places) == 1 and account.principal.manners.checks_uid else None
        if alone and (stored := self._in_one(index, account, alone, sought)):
            return sought.of(stored)
        try:
            if index is None:
                found = self._by_query(home, account, sought, begun if known else None)
            else:
                found = self._by_index(
                    home, Look(index, self._lanes, sought, alone.href if alone else ""), state_is, begun
                )
        except GoneError:
            found = self._once_more(home, sought)
        if alone and len(found) == 1:
            self._elsewhere.keep(account.wire.identity(alone.href), sought.uid, found[0].href)
        return found

    def _in_one(self, index: Index | None, account: Account, place: Collection, sought: Sought) -> Stored | None:
        """Return the object from where it most likely is, which is all of it where one calendar holds a UID once."""
        wire, name = account.wire, account.wire.identity(place.href)
        path = self._elsewhere.recall(name, sought.uid) or place.href + quote(name_of(sought.uid))
        if stored := guess(wire, path, place.href, sought.uid):
            return stored
        (seen,) = _known(index, account, [place], sought)
        for other in seen.paths:
            if other != path and (stored := guess(wire, other, place.href, sought.uid)):
                self._elsewhere.keep(name, sought.uid, other)
                return stored
        return None

    def _by_index(self, home: Home, look: "Look", state_is: str, since: float) -> tuple[Stored, ...]:
        """Ask which collections have changed, and only those what they hold; by a query, where that does not end."""
        for _ in range(TRIES):
            account = self._homes.listed(home, state_is, since)
            try:
                return look.at(account)
            except (MovingError, GoneError):
                since = time.monotonic()
        return _asked(account.wire, account.principal.collections, look.sought)

    def _by_query(self, home: Home, account: Account, sought: Sought, since: float | None) -> tuple[Stored, ...]:
        """Ask all collections, also those that came since discovery: an answer to a new calendar's event counts."""
        found = _asked(account.wire, account.principal.collections, sought)
        if found or since is None:
            return found
        known = {collection.href for collection in account.principal.collections}
        now = self._homes.listed(home, "", since)
        return _asked(now.wire, [one for one in now.principal.collections if one.href not in known], sought)

    def _once_more(self, home: Home, sought: Sought) -> tuple[Stored, ...]:
        """Look in freshly discovered collections, after something was deleted or moved under our eyes."""
        account = self._homes.discovered(home)
        try:
            return _asked(account.wire, account.principal.collections, sought)
        except GoneError as error:
            raise RefusedError(f"{error}; discovered anew, it is the same") from error


@dataclass(frozen=True, slots=True)
class Look:
    """One look by the index, at collections whose states are known."""

    index: Index
    lanes: Sequence[threading.Lock]
    """One for each collection, by hash: who looks through it lets the others wait, and take what he has learned."""
    sought: Sought
    tried: str
    """The collection in which it is not where it most likely was; empty: that was not looked at."""

    def at(self, account: Account) -> tuple[Stored, ...]:
        """Return what all collections hold. Raises MovingError and GoneError, where somebody writes meanwhile."""
        places = self.sought.places(account.principal)
        known = _known(self.index, account, places, self.sought)
        held = [self._in(account, place, seen) for place, seen in zip(places, known, strict=True)]
        found = tuple(stored for each, _ in held for stored in each)
        if not found and not all(at_once for _, at_once in held):
            # It may have moved from what was looked at late to what was looked at early.
            raise MovingError("nothing was found, and not at one moment")
        return found

    def _in(self, account: Account, place: Collection, known: Known) -> tuple[tuple[Stored, ...], bool]:
        """Return what one collection holds, and whether that is so at the moment of the listing."""
        if not place.state:
            return _asked(account.wire, (place,), self.sought), True
        if place.state == known.state:
            return self._read(account.wire, place, known.paths), True
        if place.href != self.tried and (stored := _likely(account, place, self.sought, known)):
            return self.sought.of(stored), False
        try:
            paths = self._learned(account, place)
        except MovingError:
            raise
        except StoreError:  # the query tells whether that is the server, or what it was asked
            return _asked(account.wire, (place,), self.sought), True
        return self._read(account.wire, place, paths), False

    def _learned(self, account: Account, place: Collection) -> tuple[str, ...]:
        """Bring the index up to date and return where the UID is."""
        name, uid = account.wire.identity(place.href), self.sought.uid.strip()
        with self.lanes[hash(name) % len(self.lanes)]:
            (known,) = _known(self.index, account, [place], self.sought)
            if known.state == place.state:
                return known.paths  # somebody has, while we waited
            new = change(account.wire, place, known.state, lambda: self.index.versions(name))
            if new.before != known.state:
                raise MovingError(f"{place.href}: another node has read it meanwhile")
            self.index.learn(name, new)
        stay = [path for path in known.paths if path not in new.gone and path not in new.seen]
        return (*stay, *(path for path, one in new.seen.items() if uid in one.uids))

    def _read(self, wire: Wire, place: Collection, paths: Iterable[str]) -> tuple[Stored, ...]:
        """Return the objects at these paths. Raises GoneError, MovingError where one of them has another UID by now."""
        found = [fetch(wire, path, place.href) for path in paths]
        if any(self.sought.uid.strip() not in uids(stored.body) for stored in found):
            raise MovingError(f"{place.href}: changed while it was looked at")
        return tuple(stored for one in found for stored in self.sought.of(one))


def _known(index: Index | None, account: Account, places: Sequence[Collection], sought: Sought) -> list[Known]:
    """Return what the index says of the UID in each of these collections."""
    names = [account.wire.identity(place.href) for place in places]
    known = index.known(names, sought.uid.strip()) if index else {}
    return [known.get(name, NOTHING) for name in names]


def _likely(account: Account, place: Collection, sought: Sought, known: Known) -> Stored | None:
    """Return the object from where it was seen last, else from under the name that its UID gives.

    Where a calendar holds a UID once that is all of it, whatever has changed since.
    """
    if not account.principal.manners.checks_uid:
        return None
    paths = known.paths or (place.href + quote(name_of(sought.uid)),)
    return next(filter(None, (guess(account.wire, path, place.href, sought.uid) for path in paths)), None)


def _asked(wire: Wire, collections: Iterable[Collection], sought: Sought) -> tuple[Stored, ...]:
    """Return what a query finds."""
    return look_up(wire, collections, sought.uid, sought.component)
