"""One write to a calendar server: under a condition, without a mail of the server's own, and believed only if told.

A write counts as done only when the server said so with 200, 201 or 204, and a 200 only when a second look agrees.
A server that does not keep the condition is asked right before the write (`Manners`).
"""

from . import ConflictError, RefusedError, Stored, StoreError, UnreachableError, Written
from .body import uids
from .discovery import Collection
from .lookup import fetch, look_up, strong
from .manners import Manners
from .transport import Wire
from .verdict import Answer, verdict

CONTENT = {"Content-Type": "text/calendar; charset=utf-8"}
QUIET = {"Schedule-Reply": "F", "Scheduling-Enabled": "F"}
"""Rule S5: whoever is concerned has sent the message or has it. The first is RFC 6638 §8.1, which sabre obeys for
PUT, too; the second is Cyrus' own. Others do not know them."""
SUCCESS = frozenset({200, 201, 204})


def put_new(wire: Wire, manners: Manners, blank: Stored, body: bytes) -> Written:
    """Write an object where there is none: to the href of `blank`, in its collection."""
    if not (manners.checks_etag and manners.checks_uid):
        _look_for(wire, blank.collection, uids(body))
    # RFC 9110 §13.1.2: two nodes that create the same object get one 201 and one 412.
    return _put(wire, blank, {"If-None-Match": "*"}, body)


def put_over(wire: Wire, manners: Manners, before: Stored, body: bytes) -> Written:
    """Write the body in the place of `before`."""
    if not manners.checks_etag:
        _look_at(wire, before)
    return _put(wire, before, {"If-Match": before.etag}, body)


def delete(wire: Wire, manners: Manners, before: Stored) -> None:
    """Delete what is still as it was found."""
    if not manners.checks_etag:
        _look_at(wire, before)
    answer = _settled(wire.request("DELETE", before.href, QUIET | {"If-Match": before.etag}))
    if answer.status == 200 and wire.request("GET", before.href).status not in (404, 410):
        raise UnreachableError(f"{answer}, yet the object is still there")


def _look_for(wire: Wire, collection: str, names: frozenset[str]) -> None:
    """Raise ConflictError where the collection holds one of these UIDs."""
    for uid in sorted(names):
        if found := look_up(wire, (Collection(collection, "", frozenset()),), uid):
            raise ConflictError(f"{found[0].href}: holds the UID already")


def _look_at(wire: Wire, before: Stored) -> None:
    """Raise ConflictError where the object has changed or is gone."""
    now = fetch(wire, before.href, before.collection)
    if now.etag != before.etag:
        raise ConflictError(f"{before.href}: changed in between")


def _put(wire: Wire, before: Stored, condition: dict[str, str], body: bytes) -> Written:
    """Write the body in the place of `before`, under a condition."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        # iCalendar here is UTF-8 (RFC 5545 §3.1.4), and caldav 3.6.0 decodes every body for its debug log.
        raise RefusedError(f"PUT {before.href}: the object is not UTF-8, nothing was written: {error}") from error
    answer = _settled(wire.request("PUT", before.href, CONTENT | QUIET | condition, body))
    now = _confirmed(wire, answer, before, body) if answer.status == 200 else answer.headers.get("ETag", "")
    return Written(before.href, strong(now))


def _settled(answer: Answer) -> Answer:
    """Return the answer to a write if it says that this succeeded; raise what it says instead."""
    if answer.status not in SUCCESS:
        raise verdict(answer)
    return answer


def _confirmed(wire: Wire, answer: Answer, before: Stored, body: bytes) -> str:
    """Return the ETag of what a PUT that was answered 200 has left: a login page says 200 to everything."""
    try:
        now = fetch(wire, before.href, before.collection)
    except StoreError as error:
        raise UnreachableError(f"{answer}, but reading it back: {error}") from error
    if now.etag == before.etag or uids(now.body) != uids(body):
        raise UnreachableError(f"{answer}, yet the object is as it was")
    return now.etag
