"""What a calendar server is known to do in its own way, and how it is recognized: by what it says of itself.

Each row was seen with a real server of the version named; docs/calendar has a page for each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manners:
    """How far a server keeps to RFC 4791 and RFC 6638 when imipd writes."""

    checks_etag: bool = True
    """Whether If-Match and If-None-Match are obeyed for every write (RFC 4791 §5.3.4)."""
    checks_uid: bool = True
    """Whether a second object with a UID is refused in the same calendar (RFC 4791 §5.3.2.1)."""


ORDINARY = Manners()
SOGO = Manners(checks_etag=False)
"""SOGo 5.8 obeys If-Match for what is there, overwrites despite If-None-Match, and deletes whatever is there."""
DAVICAL = Manners(checks_uid=False)
"""DAViCal 1.1.12 takes an object with a UID that the calendar holds under another name."""

SOGOS_OWN = frozenset({"{http://groupdav.org/}vevent-collection", "{http://groupdav.org/}vtodo-collection"})


def recognized(headers: Mapping[str, str], types: Iterable[frozenset[str]]) -> Manners:
    """Return a server's manners by the headers of an answer and the resource types of its collections."""
    if any(names & SOGOS_OWN for names in types):
        return SOGO
    return DAVICAL if headers.get("X-DAViCal-Version") else ORDINARY
