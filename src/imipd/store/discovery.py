"""Which calendars are the account's own: from any URL of its server to them (RFC 6764 §6, rule A7).

Own means: DAV:owner is the account's principal or, where the server tells no owner, the collection lies in
the principal's calendar-home-set. Left out: scheduling boxes, read-only collections, those shared by others.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from imipd.address import comparable

from . import NoCalendarError, RefusedError, UnreachableError
from .manners import RADICALE_ALONE, Manners, Signs, recognized
from .multistatus import CALDAV, CARDDAV, DAV, MalformedXMLError, Resource, propfind, resources
from .transport import Wire
from .verdict import Answer, verdict

WELL_KNOWN = "/.well-known/caldav"
ELSEWHERE = frozenset({200, 207, 403, 404, 405, 501})
"""What a web server's root answers to PROPFIND where CalDAV lives below it."""
PRINCIPAL = DAV + "current-user-principal"
HOME_SET = CALDAV + "calendar-home-set"
ADDRESSES = CALDAV + "calendar-user-address-set"
INBOX = CALDAV + "schedule-inbox-URL"
DEFAULT = CALDAV + "schedule-default-calendar-URL"
OWNER = DAV + "owner"
TYPE = DAV + "resourcetype"
NAME = DAV + "displayname"
PRIVILEGES = DAV + "current-user-privilege-set"
CONTACTS = CARDDAV + "addressbook-home-set"
OF_PRINCIPAL = propfind((PRINCIPAL, HOME_SET, ADDRESSES, INBOX, TYPE, OWNER, CONTACTS))
OF_COLLECTION = (TYPE, OWNER, NAME, PRIVILEGES, CALDAV + "supported-calendar-component-set")
OF_INBOX = propfind((DEFAULT,))

CALENDAR = CALDAV + "calendar"
A_PRINCIPAL = DAV + "principal"
NOT_OURS = frozenset(
    {
        CALDAV + "schedule-inbox",  # an outbox is no calendar, and SOGo 5.8 calls the default calendar one, too
        "{http://calendarserver.org/ns/}shared",  # by somebody else, to this account
        "{http://calendarserver.org/ns/}subscribed",
        "{http://nextcloud.com/ns}deleted-calendar",
    }
)
WRITABLE = frozenset({DAV + "all", DAV + "write", DAV + "write-content"})  # RFC 3744 §3


@dataclass(frozen=True, slots=True)
class Collection:
    """A calendar collection of the account, writable."""

    href: str
    """Absolute path, with its trailing slash."""
    name: str
    components: frozenset[str]
    """Component types that it takes; empty: all."""
    state: str = ""
    """What tells whether anything in it has changed; empty where that was not asked, or not told."""
    state_is: str = ""
    """The name of that property."""

    def takes(self, component: str) -> bool:
        """Return whether objects of this component type may be stored here."""
        return not self.components or component in self.components


@dataclass(frozen=True, slots=True)
class Principal:
    """What the server tells about one account."""

    addresses: tuple[str, ...]
    """Comparable."""
    collections: tuple[Collection, ...]
    """By href: two nodes choose the same first one. Never empty."""
    default: str | None
    """Path of schedule-default-calendar-URL; None where the server names none."""
    manners: Manners
    roots: tuple[tuple[str, int], ...]
    """Where its collections are listed: paths, and at which Depth."""
    owners: tuple[str, ...]
    """Paths of the principals whose collections count; empty: all that are listed do."""
    href: str = ""
    """Its path; empty where the calendars are not those of whoever logs in."""
    contacts: tuple[str, ...] = ()
    """Paths of addressbook-home-set (RFC 6352 §7.1.1), those on this host."""


def discover(wire: Wire) -> Principal:
    """Find the account's principal and its own calendars. Raises each `StoreError` but ConflictError."""
    start, here, closed = _start(wire)
    path, principal = _principal(wire, start, here)
    homes = [wire.path_of(href, path) for href in principal.hrefs(HOME_SET)]
    if closed and not _leads_to((wire.start,), (path, *homes)):
        raise RefusedError(
            f"{closed}, and the calendars of who logs in are elsewhere ({path}). Correct caldav.url, or grant access"
        )
    if not homes or not _leads_to((wire.start, start), (path, *homes)):
        # One login for several people: what the URL names counts, never what belongs to the login.
        return _pointed_at(wire, start, here)
    roots = tuple((home, 1) for home in homes)
    listed = _listed(wire, roots, (path,), (*OF_COLLECTION, RADICALE_ALONE))
    addresses = (comparable(href) for href in principal.hrefs(ADDRESSES) if href[:7].lower() == "mailto:")
    default = _default(wire, path, principal)
    manners = _manners(wire, homes[0], listed)
    collections, contacts = _some(_usable(listed), start), _contacts(wire, path, principal)
    return Principal(tuple(dict.fromkeys(addresses)), collections, default, manners, roots, (path,), path, contacts)


def collections(wire: Wire, principal: Principal, state_is: str) -> tuple[Collection, ...]:
    """Return the account's calendars as they are now: one request for each home set. Raises as above.

    `state_is` names the property that their states are taken from; empty: none are asked for.
    """
    listed = _listed(wire, principal.roots, principal.owners, (*OF_COLLECTION, *filter(None, (state_is,))))
    return _some(_usable(listed, state_is), principal.roots[0][0])


def _contacts(wire: Wire, path: str, principal: Resource) -> tuple[str, ...]:
    """Return where the address books are; calendars do not depend on it."""
    found = []
    for href in principal.hrefs(CONTACTS):
        with suppress(RefusedError):  # another host: the credentials do not go there
            found.append(_slashed(wire.path_of(href, path)))
    return tuple(found)


def _start(wire: Wire) -> tuple[str, Resource, Answer | None]:
    """Return what caldav.url leads to: a root naming the principal, or a principal, home set, calendar.

    The third is how caldav.url itself answered, where it took the well-known URI: that leads to whoever logs in.
    """
    path, answer = wire.propfind(wire.start, 0, OF_PRINCIPAL)
    if answer.status not in ELSEWHERE:
        raise verdict(answer)
    here = _single(answer) if answer.status == 207 else None
    if here and (here.hrefs(HOME_SET) or here.hrefs(PRINCIPAL) or CALENDAR in here.names(TYPE)):
        return path, here, None
    if known := _well_known(wire):
        return *known, answer
    if here is None:
        raise verdict(answer)
    return path, here, None


def _well_known(wire: Wire) -> tuple[str, Resource] | None:
    """Return the context path of the service (RFC 6764 §5), None where the server names none."""
    try:
        path, answer = wire.propfind(WELL_KNOWN, 0, OF_PRINCIPAL)
    except RefusedError:
        return None
    here = _single(answer) if answer.status == 207 else None
    return (path, here) if here and (here.hrefs(HOME_SET) or here.hrefs(PRINCIPAL)) else None


def _principal(wire: Wire, path: str, here: Resource) -> tuple[str, Resource]:
    """Return the principal: the resource itself where it is one with a home set, else the one that it names."""
    named = here.hrefs(PRINCIPAL)
    # DAViCal 1.1 tells a home set at its root and at every calendar, too: of whoever logs in.
    if not named or (here.hrefs(HOME_SET) and A_PRINCIPAL in here.names(TYPE)):
        return path, here
    path, answer = wire.propfind(wire.path_of(named[0], path), 0, OF_PRINCIPAL)
    return path, _single(answer)


def _pointed_at(wire: Wire, path: str, here: Resource) -> Principal:
    """Return the calendars at a URL outside the home set of whoever logs in: it was named on purpose."""
    roots = ((path, 0 if CALENDAR in here.names(TYPE) else 1),)
    owners = tuple(wire.path_of(href, path) for href in here.hrefs(OWNER))
    listed = _listed(wire, roots, owners, (*OF_COLLECTION, RADICALE_ALONE))
    return Principal((), _some(_usable(listed), path), None, _manners(wire, path, listed), roots, owners)


def _listed(
    wire: Wire, roots: Iterable[tuple[str, int]], owners: tuple[str, ...], names: tuple[str, ...]
) -> list[tuple[str, Resource]]:
    """Return the collections there that belong to the owners, with their paths and these properties."""
    found = [item for root in roots for item in _members(wire, root, names)]
    return [item for item in found if not owners or is_own(item[1], owners)]


def _members(wire: Wire, root: tuple[str, int], names: tuple[str, ...]) -> list[tuple[str, Resource]]:
    """Return the collections in a home set, with their paths."""
    path, answer = wire.propfind(*root, propfind(names))
    found = []
    for resource in _multistatus(answer):
        if resource.status >= 500 or (resource.status < 300 and TYPE not in resource.properties):
            raise UnreachableError(f"{answer}, the server cannot say what {resource.href} is")
        if resource.status < 300:
            found.append((_slashed(wire.path_of(resource.href, path)), resource))
    return found


def _default(wire: Wire, path: str, principal: Resource) -> str | None:
    """Return where the server itself puts new objects (RFC 6638 §9.2): a property of the scheduling inbox."""
    for inbox in principal.hrefs(INBOX):
        path, answer = wire.propfind(wire.path_of(inbox, path), 0, OF_INBOX)
        named = _single(answer).hrefs(DEFAULT) if answer.status == 207 else ()
        if named:
            return _slashed(wire.path_of(named[0], path))
    return None


def _manners(wire: Wire, path: str, listed: Iterable[tuple[str, Resource]]) -> Manners:
    """Return what the server is known to do in its own way."""
    answer = wire.request("OPTIONS", path)
    names = (one.names(TYPE) | one.names(PRIVILEGES) | frozenset(one.properties) for _, one in listed)
    return recognized(Signs(answer.headers, frozenset[str]().union(*names)))


def _usable(found: Iterable[tuple[str, Resource]], state_is: str = "") -> list[Collection]:
    """Return the calendars that the account may write to; one without a privilege set counts as such."""
    usable = []
    for path, resource in found:
        types, privileges = resource.names(TYPE), resource.names(PRIVILEGES)
        if CALENDAR in types and not types & NOT_OURS and (not privileges or privileges & WRITABLE):
            name, components, state = resource.text(NAME), resource.components(), resource.text(state_is)
            usable.append(Collection(path, name, components, state, state_is))
    return usable


def _some(collections: Iterable[Collection], start: str) -> tuple[Collection, ...]:
    """Return the collections by href, each once; raise `NoCalendarError` where there is none."""
    by_href = {collection.href: collection for collection in collections}
    if not by_href:
        raise NoCalendarError(f"{start}: no calendar here that the account owns and may write to")
    return tuple(by_href[href] for href in sorted(by_href))


def is_own(resource: Resource, principals: Iterable[str]) -> bool:
    """Return whether DAV:owner is one of these principals, or not told (rule A7)."""
    owners = {_plain(href) for href in resource.hrefs(OWNER)}
    return not owners or bool(owners & {_plain(principal) for principal in principals})


def _single(answer: Answer) -> Resource:
    """Return the one resource of a PROPFIND with Depth 0."""
    found = _multistatus(answer)
    if len(found) != 1 or found[0].status >= 300:
        raise UnreachableError(f"{answer}, with {len(found)} responses to Depth 0")
    return found[0]


def _multistatus(answer: Answer) -> tuple[Resource, ...]:
    """Return the responses; raise the `StoreError` that anything but a multistatus means."""
    if answer.status != 207:
        raise verdict(answer)
    try:
        return resources(answer.body)
    except MalformedXMLError as error:
        raise UnreachableError(f"{answer}, but {error}") from error


def _leads_to(starts: Iterable[str], ends: Iterable[str]) -> bool:
    """Return whether a start is above or below one of the ends; the well-known URI is above all."""
    pairs = [(_plain(start) + "/", _plain(end) + "/") for start in starts for end in ends]
    return any(start == WELL_KNOWN + "/" or start.startswith(end) or end.startswith(start) for start, end in pairs)


def _plain(href: str) -> str:
    """Return the path of an href in the form in which two of them compare."""
    return unquote(urlsplit(href).path).rstrip("/")


def _slashed(path: str) -> str:
    """Return the path of a collection with its trailing slash; servers leave it away now and then."""
    return path if path.endswith("/") else path + "/"
