"""What a calendar server is known to do in its own way, and how it is recognized: by what it says of itself.

The tested rows were seen with the version named (docs/calendar has a page for each); what is not known is an ordinary
server. Behind a proxy `Server` may be the proxy's, so the names in its XML count too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

SYNC = "{DAV:}sync-token"
"""RFC 6578 §4: it changes with whatever the collection holds, and the server tells what has changed since."""
CTAG = "{http://calendarserver.org/ns/}getctag"
"""The same for what is older than that RFC; what has changed is found by a list of all ETags."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How far a server keeps to RFC 4791 and RFC 6638 when imipd writes."""

    checks_etag: bool = True
    """Whether If-Match and If-None-Match are obeyed for every write (RFC 4791 §5.3.4)."""
    checks_uid: bool = True
    """Whether a second object with a UID is refused in the same calendar (RFC 4791 §5.3.2.1)."""
    answers_invitations: bool = False
    """Whether it answers a new invitation, unless the Attendee's line says SCHEDULE-AGENT=CLIENT (rule S5)."""
    remark: str = ""
    """What `imipd check` warns of: the mail that imipd cannot keep it from sending."""
    state: str = SYNC
    """The property that tells of a change in a collection; empty where a query is quick, or it tells too little."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What a server says of itself."""

    headers: Mapping[str, str]
    """Of an answer to OPTIONS; looked up in any case."""
    names: frozenset[str]
    """Of the resource types and privileges of its collections, and of the properties that they have."""


ORDINARY = Manners()
RADICALE = Manners(state=CTAG)
"""Radicale 3.9: who asks for its sync-token makes every later PUT ten times slower."""
SOGO = Manners(
    checks_etag=False,
    answers_invitations=True,
    remark="SOGo, if SOGoAppointmentSendEMailNotifications = YES: it mails the Organizer when imipd sets an answer back"
    " after a reschedule, and when it deletes (cancelled = delete). See docs/calendar/sogo.md",
    state="",
)
"""SOGo 5.8 obeys the If-Match of a PUT for what is there; it overwrites despite If-None-Match, makes anew what was
deleted, and deletes whatever is there.

Its sync-token is a time in seconds: of two changes in one second it tells one. Its query is quick.
"""
DAVICAL = Manners(checks_uid=False, state="")
"""DAViCal 1.1.12 takes an object with a UID that the calendar holds under another name. Its query is quick."""
STRANGER = Manners(
    remark="a server that schedules by itself (calendar-auto-schedule) and that imipd does not know: it may mail, or"
    " refuse, what imipd writes. See docs/calendar",
)

RADICALE_ALONE = "{http://radicale.org/ns/}displayname"
"""A property that nobody else has."""
SOGOS = frozenset({"{http://groupdav.org/}vevent-collection", "{http://groupdav.org/}vtodo-collection"})
CYRUS = "{http://cyrusimap.org/ns/}"
KNOWN: tuple[tuple[Callable[[Signs], bool], Manners], ...] = (
    (lambda signs: RADICALE_ALONE in signs.names, RADICALE),
    (lambda signs: bool(signs.names & SOGOS), SOGO),
    (lambda signs: bool(signs.headers.get("X-DAViCal-Version")), DAVICAL),
    (lambda signs: any(name.startswith(CYRUS) for name in signs.names), ORDINARY),
    # sabre/dav and what is built on it, by the header and, in Nextcloud, by its own token (from their source).
    (lambda signs: bool(signs.headers.get("X-Sabre-Version")) or "nc-calendar-search" in _classes(signs), ORDINARY),
    (lambda signs: "calendar-auto-schedule" in _classes(signs), STRANGER),
)


def recognized(signs: Signs) -> Manners:
    """Return the manners of the first known server that the signs fit."""
    return next((manners for fits, manners in KNOWN if fits(signs)), ORDINARY)


def _classes(signs: Signs) -> frozenset[str]:
    """Return the compliance classes of the DAV header (RFC 4918 §10.1)."""
    return frozenset(token.strip().lower() for token in (signs.headers.get("DAV") or "").split(","))
