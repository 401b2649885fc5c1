"""What a collection holds: which of its objects have changed since a state, and their UIDs (RFC 6578, RFC 4791 §7.9).

What is said here is taken for complete, so all of it has to fit together: an answer that was cut raises, and so do
objects that change while they are read. An ETag is believed to tell one version of an object from all others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

from imipd.index import Change, Seen, Versions

from . import UnreachableError
from .body import is_calendar, uids
from .discovery import Collection
from .lookup import ETAG, QUERY_HEADERS, VANISHED, complete
from .manners import CTAG
from .multistatus import CALDAV, MalformedXMLError, Resource, multiget, propfind, sync_query, synchronized
from .transport import Wire
from .verdict import Answer, verdict

AT_ONCE = 200
"""Objects that are read with one request."""
MOST_ROUNDS = 1000
"""Requests in which a server must have told what has changed: it may cut each answer (RFC 6578 §3.6)."""
LONGEST_PATH = 1000
"""Characters of a path that can be kept: PostgreSQL takes no index row over 2704 bytes."""
SYNC_HEADERS = QUERY_HEADERS | {"Depth": "0"}  # RFC 6578 §3.2; how deep stands in the body
CUT = 507


class MovingError(UnreachableError):
    """Somebody writes there while we read."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a server says of a collection."""

    state: str
    etags: Mapping[str, str]
    """By path."""
    gone: frozenset[str] = frozenset()
    is_whole: bool = True
    """Whether this is all that it holds, or only what has changed."""


def change(wire: Wire, collection: Collection, state: str, versions: Callable[[], Versions]) -> Change:
    """Return what has become of a collection since a state; empty: since there was nothing. Raises `StoreError`.

    `versions` tells what is known of it, where the server does not tell changes alone.
    """
    told = _listed(wire, collection) if collection.state_is == CTAG else _synchronized(wire, collection, state)
    if told.is_whole:
        known = versions()
        gone = frozenset(known.etags.keys() - told.etags.keys())
        changed = {path: etag for path, etag in told.etags.items() if not etag or known.etags.get(path) != etag}
        told, state = _Told(told.state, changed, gone), known.state
    if any(len(path) > LONGEST_PATH for path in told.etags):
        raise UnreachableError(f"{collection.href}: it holds names of more than {LONGEST_PATH} characters")
    return Change(state, told.state, told.gone, dict(_read(wire, collection, told.etags)))


def _listed(wire: Wire, collection: Collection) -> _Told:
    """Return all ETags and the state in which they are: with one answer, so that nothing happens in between."""
    _, answer = wire.propfind(collection.href, 1, propfind((CTAG, ETAG)))
    if answer.status != 207:
        raise verdict(answer)
    found = complete(answer)
    state = next((one.text(CTAG) for one in found if one.text(CTAG)), "")
    if not state:
        raise UnreachableError(f"{answer}, which does not tell the state of the collection")
    return _Told(state, {path: one.text(ETAG) for path, one in _objects(wire, collection, found)})


def _synchronized(wire: Wire, collection: Collection, state: str) -> _Told:
    """Return what has changed since a state; all, where the server does not know that state any more."""
    etags: dict[str, str] = {}
    gone: set[str] = set()
    token = state
    for _ in range(MOST_ROUNDS):
        answer = wire.request("REPORT", collection.href, SYNC_HEADERS, sync_query(token))
        if answer.status != 207 and state and token == state:
            return _synchronized(wire, collection, "")
        before, (found, token) = token, _understood(answer)
        for path, one in _objects(wire, collection, found):
            etags.pop(path, None)
            gone.discard(path)
            if one.status in VANISHED:
                gone.add(path)
            else:
                etags[path] = one.text(ETAG)
        if all(one.status != CUT for one in found):
            return _Told(token, etags, frozenset(gone), is_whole=not state)
        if token == before:
            break
    raise UnreachableError(f"{collection.href}: the server does not come to an end with what has changed")


def _understood(answer: Answer) -> tuple[tuple[Resource, ...], str]:
    """Return the responses and the token of a sync-collection; 507 says that there is more (RFC 6578 §3.6)."""
    if answer.status != 207:
        raise verdict(answer)
    try:
        found, token = synchronized(answer.body)
    except MalformedXMLError as error:
        raise UnreachableError(f"{answer}, but {error}") from error
    if any(one.status >= 300 and one.status not in VANISHED | {CUT} for one in found):
        raise UnreachableError(f"{answer}, but the server could not answer for every object")
    return found, token


def _objects(wire: Wire, collection: Collection, found: Iterable[Resource]) -> Iterator[tuple[str, Resource]]:
    """Return the responses that speak of objects, with their paths."""
    for one in found:
        path = wire.path_of(one.href, collection.href)
        if not path.endswith("/") and unquote(path) + "/" != unquote(collection.href):
            yield path, one


def _read(wire: Wire, collection: Collection, etags: Mapping[str, str]) -> Iterator[tuple[str, Seen]]:
    """Return these objects, if they still are of these versions."""
    paths = iter(etags)
    while some := tuple(islice(paths, AT_ONCE)):
        answer = wire.request("REPORT", collection.href, QUERY_HEADERS, multiget(some))
        if answer.status != 207:
            raise verdict(answer)
        # A server may quote otherwise than it did in its list.
        found = {unquote(path): one for path, one in _objects(wire, collection, complete(answer))}
        for path in some:
            one = found.get(unquote(path))
            if one is None or one.status in VANISHED or one.text(ETAG) != etags[path]:
                raise MovingError(f"{path}: changed while its calendar was read")
            body = one.text(CALDAV + "calendar-data").encode()
            if not is_calendar(body):
                raise UnreachableError(f"{answer}, but what came for {path} is no whole iCalendar object")
            yield path, Seen(etags[path], uids(body))
