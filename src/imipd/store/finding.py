"""Which way a UID is looked for: where it most likely is, then by the index, and as the last resort by a query.

"Nothing" is said of a collection only if it is in the very state in which all of it was read, or if a query says so.
The index is a hint: what it names is read, and where that holds another UID the collection has changed meanwhile.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imipd.index import Index, Known

from . import Home, RefusedError, Stored, StoreError
from .body import uids
from .discovery import Collection, Principal
from .homes import LANES, Account, Homes
from .inventory import MovingError, change
from .lookup import COMPONENTS, fetch, guess, look_up
from .manners import CTAG, SYNC
from .transport import Wire
from .verdict import GoneError

TRIES = 3
"""Looks by the index, where somebody writes between them."""
STATES = {"sync": SYNC, "ctag": CTAG, "query": ""}
"""Which property an operator may choose instead of what imipd knows of the server (`caldav.lookup`)."""
NOTHING = Known()


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


class Finder:
    """Finds objects; what it has learned of collections on the way it leaves in the index."""

    def __init__(self, homes: Homes, index: Index | None) -> None:
        """Without an index what is not where it most likely is costs queries."""
        self._homes = homes
        self._index = index
        self._lanes = [threading.Lock() for _ in range(LANES)]

    def find(self, home: Home, sought: Sought) -> tuple[Stored, ...]:
        """See `Store.find`."""
        begun = time.monotonic()
        known = self._homes.recalled(home)
        account = known or self._homes.account(home)
        places = sought.places(account.principal)
        if len(places) == 1 and (stored := _guessed(account, places[0], sought)):
            return sought.of(stored)
        try:
            state_is = STATES.get(home.lookup, account.principal.manners.state)
            # What XML cannot carry, no index has; a query says so.
            if self._index and state_is and sought.uid.isprintable():
                return self._by_index(self._index, home, sought, (state_is, begun))
            return self._by_query(home, account, sought, None if known is None else begun)
        except GoneError:
            return self._once_more(home, sought)

    def _by_query(self, home: Home, account: Account, sought: Sought, since: float | None) -> tuple[Stored, ...]:
        """Ask all collections, also those that came since discovery: an answer to a new calendar's event counts."""
        found = look_up(account.wire, account.principal.collections, sought.uid, sought.component)
        if found or since is None:
            return found
        known = {collection.href for collection in account.principal.collections}
        now = self._homes.listed(home, "", since)
        new = [collection for collection in now.principal.collections if collection.href not in known]
        return look_up(now.wire, new, sought.uid, sought.component)

    def _once_more(self, home: Home, sought: Sought) -> tuple[Stored, ...]:
        """Look in freshly discovered collections, after something was deleted or moved under our eyes."""
        account = self._homes.discovered(home)
        try:
            return look_up(account.wire, account.principal.collections, sought.uid, sought.component)
        except GoneError as error:
            raise RefusedError(f"{error}; discovered anew, it is the same") from error

    def _by_index(self, index: Index, home: Home, sought: Sought, asked: tuple[str, float]) -> tuple[Stored, ...]:
        """Ask which collections have changed, and only those what they hold."""
        state_is, since = asked
        for _ in range(TRIES):
            account = self._homes.listed(home, state_is, since)
            try:
                return self._answered(index, account, sought)
            except (MovingError, GoneError):
                since = time.monotonic()
        return look_up(account.wire, account.principal.collections, sought.uid, sought.component)

    def _answered(self, index: Index, account: Account, sought: Sought) -> tuple[Stored, ...]:
        """Return what all collections hold. Raises MovingError and GoneError, where somebody writes meanwhile."""
        names = {place: account.wire.identity(place.href) for place in sought.places(account.principal)}
        known = index.known(list(names.values()), sought.uid.strip())
        return tuple(
            stored
            for place, name in names.items()
            for stored in self._held(index, account, place, known.get(name, NOTHING), sought)
        )

    def _held(
        self, index: Index, account: Account, place: Collection, known: Known, sought: Sought
    ) -> tuple[Stored, ...]:
        """Return what one collection holds."""
        if place.state == known.state != "":
            return _read(account.wire, place, known.paths, sought)
        if stored := _guessed(account, place, sought):
            return sought.of(stored)
        try:
            paths = self._learned(index, account.wire, place, sought)
        except MovingError:
            raise
        except StoreError:  # the query says whether that is the server's, or only of such questions
            return look_up(account.wire, (place,), sought.uid, sought.component)
        return _read(account.wire, place, paths, sought)

    def _learned(self, index: Index, wire: Wire, place: Collection, sought: Sought) -> tuple[str, ...]:
        """Bring the index up to date and return where the UID is."""
        name, uid = wire.identity(place.href), sought.uid.strip()
        with self._lanes[hash(name) % LANES]:
            known = index.known((name,), uid).get(name, NOTHING)
            if known.state == place.state:
                return known.paths  # somebody else has, while we waited
            new = change(wire, place, known.state, lambda: index.versions(name))
            if new.before != known.state:
                raise MovingError(f"{place.href}: another node has read it meanwhile")
            index.learn(name, new)
        stay = [path for path in known.paths if path not in new.gone and path not in new.seen]
        return (*stay, *(path for path, one in new.seen.items() if uid in one.uids))


def _guessed(account: Account, place: Collection, sought: Sought) -> Stored | None:
    """Return the object under the name that its UID gives; that is all of it where a calendar holds a UID once."""
    if not account.principal.manners.checks_uid:
        return None
    return guess(account.wire, place.href, sought.uid)


def _read(wire: Wire, place: Collection, paths: Iterable[str], sought: Sought) -> tuple[Stored, ...]:
    """Return the objects at these paths. Raises GoneError, or MovingError where one of them has another UID by now."""
    found = [fetch(wire, path, place.href) for path in paths]
    if any(sought.uid.strip() not in uids(stored.body) for stored in found):
        raise MovingError(f"{place.href}: changed while it was looked at")
    return tuple(stored for one in found for stored in sought.of(one))
