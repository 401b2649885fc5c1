"""What an HTTP answer means to the caller: each status belongs to exactly one `StoreError`.

Success is decided where the request is made; whatever gets here did not succeed, 2xx included.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from . import ConflictError, RefusedError, StoreError, UnreachableError
from .multistatus import preconditions

UID_CONFLICTS = frozenset(
    {
        "{urn:ietf:params:xml:ns:caldav}no-uid-conflict",  # RFC 4791 §5.3.2.1
        "{urn:ietf:params:xml:ns:caldav}unique-scheduling-object-resource",  # RFC 6638 §3.2.4.1
    }
)
TEMPORARY = frozenset({408, 423, 425, 429})
"""Besides 5xx: timeout, locked (RFC 4918 §11.3; Xandikos says it to concurrent PUTs), too early, too many."""
GONE = frozenset({404, 409, 410})
"""To a write: the object or its collection is not there any more (409: RFC 4918 §9.7.1)."""
WRITES = frozenset({"PUT", "DELETE"})
XANDIKOS_FORBIDS = "{urn:ietf:params:xml:ns:caldav}attendee-allowed"
"""Xandikos 0.4.10 says so, with 412, where it knows its user's address and he is an Attendee."""
SOGO_KEEPS = b"sequences don't match"
"""SOGo 5.8 says so, with 409, where an Attendee's copy loses an instance whose SEQUENCE is above 0."""


class GoneError(ConflictError):
    """What discovery or the lookup had named has vanished: what is remembered of the home is stale."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    method: str
    url: str
    """What was asked, without credentials: for the error's text."""
    status: int
    headers: Mapping[str, str]
    """Looked up in any case."""
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.url}: {self.status}"


def verdict(answer: Answer) -> StoreError:
    """Return the error that this unsuccessful answer means."""
    if answer.status >= 500 or answer.status in TEMPORARY:
        return UnreachableError(f"{answer}, temporarily. The mail is tried again")
    if answer.status < 300:
        return UnreachableError(f"{answer} is no CalDAV answer. Does caldav.url lead past a login page?")
    if answer.status < 400:
        return RefusedError(f"{answer}, redirected to {_target(answer)}. Correct caldav.url")
    return _refusal(answer)


def _refusal(answer: Answer) -> StoreError:
    """Return what a 4xx means."""
    conditions = preconditions(answer.body)
    if XANDIKOS_FORBIDS in conditions:
        return RefusedError(f"{answer}, the server lets nobody but the Organizer change this {_named(conditions)}")
    # Radicale answers 409, Xandikos 412, Cyrus 403 where the UID is held under another name.
    if answer.status == 412 or conditions & UID_CONFLICTS:
        return ConflictError(f"{answer}, changed in between {_named(conditions)}".rstrip())
    if SOGO_KEEPS in answer.body:
        return RefusedError(f"{answer}, the server will not: it holds a later instance (sequences don't match)")
    if answer.method in WRITES and answer.status in GONE:
        return GoneError(f"{answer}, gone in between")
    if answer.status == 401:
        return RefusedError(f"{answer}, the server does not accept the account's username and password")
    return RefusedError(f"{answer}, the server will not {_named(conditions)}".rstrip())


def _named(conditions: frozenset[str]) -> str:
    """Return the preconditions of a DAV:error in brackets (RFC 4918 §16)."""
    names = sorted(condition.rpartition("}")[2] for condition in conditions)
    return f"({', '.join(names)})" if names else ""


def _target(answer: Answer) -> str:
    """Return where a redirect leads, without what may be a secret in it: query and credentials."""
    location = answer.headers.get("Location", "nowhere").partition("?")[0]
    scheme, slashes, rest = location.rpartition("//")
    host, slash, path = rest.partition("/")
    return scheme + slashes + host.rpartition("@")[2] + slash + path if slashes else location
