"""Where an object is: how a UID is looked for, and how what was found is read (rules A7, S1).

"Nothing" ends the mail's journey, so it is answered only where every collection said so; whatever is
unclear raises. The body is that of a GET: calendar-data in XML loses its line ends (RFC 4791 §9.6).
"""

import itertools
from collections.abc import Iterable, Iterator

from imipd.address import spellings

from . import RefusedError, Stored, UnreachableError
from .body import escaped, has_address, is_calendar, uids
from .discovery import Collection
from .multistatus import CALDAV, DAV, MalformedXMLError, Resource, party_query, propfind, resources, uid_query
from .transport import Wire
from .verdict import Answer, GoneError, verdict

COMPONENTS = ("VEVENT", "VTODO")
"""What nearly all iTIP messages speak of; each type costs a query, so a VJOURNAL is looked for only by its own."""
PARTIES = ("ORGANIZER", "ATTENDEE")
MANY = 20
"""More candidates than this, and the server is asked for their contents at once instead of one by one."""
ETAG = DAV + "getetag"
QUERY_HEADERS = {"Depth": "1", "Content-Type": "application/xml; charset=utf-8"}
VANISHED = frozenset({404, 410})


def look_up(wire: Wire, collections: Iterable[Collection], uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
    """Return the objects with this UID. Raises `GoneError` where something vanished meanwhile."""
    return tuple(
        stored
        for collection in collections
        for path in _candidates(wire, collection, uid, component)
        if uid.strip() in uids((stored := fetch(wire, path, collection.href)).body)
    )


def mentions(wire: Wire, collections: Iterable[Collection], address: str) -> Iterator[bytes]:
    """Return the objects with this printable address as ORGANIZER or ATTENDEE. Raises `GoneError` as above."""
    for collection, name, text in itertools.product(collections, PARTIES, spellings(address)):
        for component in filter(collection.takes, COMPONENTS):
            for found in reported(wire, collection.href, party_query(component, name, text)):
                body = found.text(CALDAV + "calendar-data").encode()
                body = body or _get(wire, wire.path_of(found.href, collection.href)).body
                # SOGo 5.8 finds every event, and every server those of jacob@ for cob@ (RFC 4791 §9.7.5).
                if has_address(body, spellings(address)):
                    yield body


def fetch(wire: Wire, path: str, collection: str) -> Stored:
    """Return one object as it is stored. Raises `GoneError` where there is nothing."""
    return _stored(wire, path, collection, _get(wire, path))


def guess(wire: Wire, path: str, collection: str, uid: str) -> Stored | None:
    """Return the object at a path if it has this UID; None where there is none, or another.

    That a server refuses it, or answers nonsense, says nothing: it was not asked for what it holds.
    """
    answer = wire.request("GET", path)
    if answer.status != 200 or not is_calendar(answer.body) or uid.strip() not in uids(answer.body):
        return None
    return _stored(wire, path, collection, answer)


def _stored(wire: Wire, path: str, collection: str, answer: Answer) -> Stored:
    """Return what was read, with an ETag that is never newer than the body."""
    etag = answer.headers.get("ETag", "")
    if not etag:
        # The ETag first, then the body again: a change between the two makes the later If-Match fail.
        etag = _asked_etag(wire, path)
        answer = _get(wire, path)
    return Stored(path, strong(etag), collection, answer.body)


def _candidates(wire: Wire, collection: Collection, uid: str, component: str) -> list[str]:
    """Return the paths of what may have this UID: text-match finds substrings (RFC 4791 §9.7.5)."""
    # Xandikos 0.4.10 compares with the UID as it is escaped in the file, others with its value.
    texts = dict.fromkeys((uid, escaped(uid)))
    types = [name for name in dict.fromkeys((*COMPONENTS, component)) if collection.takes(name)]
    found = [
        path for name, text in itertools.product(types, texts) for path in _matches(wire, collection.href, name, text)
    ]
    return list(dict.fromkeys(found))


def _matches(wire: Wire, href: str, component: str, uid: str) -> list[str]:
    """Return the paths that a calendar-query names."""
    found = _query(wire, href, component, uid, content=False)
    if len(found) > MANY:
        # A UID like "a" is inside every other: somebody's mail must not cost a GET for each event.
        found = [one for one in _query(wire, href, component, uid, content=True) if _may_hold(one, uid)]
    return [wire.path_of(one.href, href) for one in found]


def _query(wire: Wire, href: str, component: str, uid: str, *, content: bool) -> list[Resource]:
    """Send one calendar-query and return the responses that name an object."""
    try:
        body = uid_query(component, uid, content=content)
    except ValueError as error:
        raise RefusedError(f"REPORT {href}: CalDAV cannot ask for the UID {uid!r}: {error}") from error
    return reported(wire, href, body)


def reported(wire: Wire, href: str, body: bytes) -> list[Resource]:
    """Send one REPORT to a collection and return the responses that name something in it."""
    answer = wire.request("REPORT", href, QUERY_HEADERS, body)
    if answer.status in VANISHED | {403}:
        raise GoneError(f"{answer}, the collection is not there any more")
    if answer.status != 207:
        raise verdict(answer)
    return [one for one in complete(answer) if one.status < 300]


def complete(answer: Answer) -> tuple[Resource, ...]:
    """Return the responses of a complete multistatus; a truncated one says 507 (RFC 6578 §3.6)."""
    try:
        found = resources(answer.body)
    except MalformedXMLError as error:
        raise UnreachableError(f"{answer}, but {error}") from error
    if any(one.status >= 300 and one.status not in VANISHED for one in found):
        raise UnreachableError(f"{answer}, but the server could not answer for every object")
    return found


def _may_hold(resource: Resource, uid: str) -> bool:
    """Return whether its calendar-data has this UID, or is missing."""
    text = resource.text(CALDAV + "calendar-data")
    return not text or uid.strip() in uids(text.encode())


def _get(wire: Wire, path: str) -> Answer:
    """Return a GET's answer if it is a whole calendar object."""
    answer = wire.request("GET", path)
    if answer.status in VANISHED:
        raise GoneError(f"{answer}, deleted or moved while it was looked for")
    if answer.status != 200:
        raise verdict(answer)
    if not is_calendar(answer.body):
        raise UnreachableError(f"{answer}, but what came is no whole iCalendar object")
    return answer


def _asked_etag(wire: Wire, path: str) -> str:
    """Return the ETag by PROPFIND, for servers that give none with a GET."""
    _, answer = wire.propfind(path, 0, propfind((ETAG,)))
    if answer.status in VANISHED:
        raise GoneError(f"{answer}, deleted or moved while it was looked for")
    if answer.status != 207:
        raise verdict(answer)
    for resource in complete(answer):
        if etag := resource.text(ETAG):
            return etag
    raise RefusedError(f"{answer}, the server gives no ETag: a write could not be kept from destroying a change")


def strong(etag: str) -> str:
    """Return the ETag without W/.

    If-Match compares strongly (RFC 9110 §13.1.1), so a weak one never matches. Mostly it is a strong one that
    a compressing proxy has weakened; where the server itself means it, the write fails with 412, unharmed.
    """
    return etag.removeprefix("W/")
