"""Reads a mail: its iMIP bodies (RFC 6047 §2.4), and what its header says that a decision needs.

Any bytes give a `Mail`, in bounded time: what cannot be read is absent, and why there is nothing to process
stands in `obstacle`. Auto-Submitted, Precedence and List-* are never looked at (rules.md G8).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import header
from .body import calendar_body
from .limits import LIMITS, Limits, TooLargeError
from .look import may_carry_calendar
from .mailbox import only_address
from .tree import BOUNCE, FORWARDED, Leaf, leaves

SPAM_HEADERS = ("X-Spam-Flag: YES", "X-Spam: Yes", "X-Spam-Status: Yes")
"""Whose presence says that a filter took the mail for spam (rules.md G4)."""

NO_CALENDAR_PART, ENCRYPTED, TNEF, TOO_LARGE = "no-calendar-part", "encrypted", "tnef", "too-large"


@dataclass(frozen=True, slots=True)
class Part:
    """A calendar part (rules.md G5)."""

    content_type: str
    """As declared, lower case, without parameters."""
    method: str | None
    """The ``method`` parameter, upper case."""
    body: bytes
    """The calendar, decoded, as UTF-8."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says that a decision needs."""

    message_id: str
    date: datetime | None
    """In UTC."""
    originator: str | None
    """Comparable address of From; None unless there is one From with one address, beyond doubt."""
    recipients: tuple[str, ...]
    """Comparable addresses of Delivered-To and X-Original-To, else the only one in To."""
    flagged: str
    """The spam header that was met, or ""."""
    obstacle: str | None
    """Why there is nothing to process, in the words of the reasons; then `parts` is empty."""
    detail: str
    parts: tuple[Part, ...]
    """In the order of the mail."""


def read(raw: bytes, limits: Limits = LIMITS, spam_headers: Sequence[str] = SPAM_HEADERS) -> Mail:
    """Return what `raw` carries; never raises. `spam_headers` are ``Name: value`` (see `header.flagged`)."""
    marks = {mark.partition(":")[0].strip() for mark in spam_headers}
    fields = header.fields(header.split(raw)[0], marks.union(_FIELDS))
    try:
        obstacle, detail, parts = _contents(raw, limits)
    except TooLargeError as error:
        obstacle, detail, parts = TOO_LARGE, str(error), ()
    return Mail(
        message_id=header.printable(_first(fields, "message-id")),
        date=header.date(_first(fields, "date")),
        originator=_only(fields, "from"),
        recipients=_recipients(fields),
        flagged=header.flagged(fields, spam_headers),
        obstacle=obstacle,
        detail=detail,
        parts=parts,
    )


_FIELDS = ("from", "to", "date", "message-id", "delivered-to", "x-original-to")
_CALENDARS = ("text/calendar", "application/ics", "text/x-vcalendar")
_FILES = ("application/octet-stream", "text/plain")
_OPAQUE = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")


def _contents(raw: bytes, limits: Limits) -> tuple[str | None, str, tuple[Part, ...]]:
    """Return obstacle, detail and parts of a mail."""
    if len(raw) > limits.mail:
        raise TooLargeError(f"a mail of more than {limits.mail} bytes")
    if not may_carry_calendar(raw):
        return NO_CALENDAR_PART, "", ()
    found = list(leaves(raw, limits))
    calendars = [leaf for leaf in found if _is_calendar(leaf) and not leaf.inside]
    if not calendars:
        return _obstacle(found), "", ()
    return None, "", tuple(_part(raw, leaf, limits) for leaf in calendars)


def _part(raw: bytes, leaf: Leaf, limits: Limits) -> Part:
    """Return a leaf as a calendar part; raise TooLargeError if it is."""
    method = leaf.parameters.get("method", "").strip().upper()
    body = calendar_body(raw[leaf.start : leaf.end], leaf.encoding, leaf.parameters.get("charset", ""), limits)
    return Part(leaf.content_type, method or None, body)


def _is_calendar(leaf: Leaf) -> bool:
    return leaf.content_type in _CALENDARS or (leaf.content_type in _FILES and leaf.name.endswith(".ics"))


def _obstacle(found: Iterable[Leaf]) -> str:
    """Return why no leaf is a calendar of this mail, in the order of the gate (rules.md G1, G3)."""
    seen = {_hidden(leaf) for leaf in found}
    return next((reason for reason in (ENCRYPTED, TNEF, BOUNCE, FORWARDED) if reason in seen), NO_CALENDAR_PART)


def _hidden(leaf: Leaf) -> str:
    """Return what keeps a calendar in this leaf from us."""
    if leaf.inside == BOUNCE:
        return BOUNCE
    kind = NO_CALENDAR_PART
    if leaf.content_type in _OPAQUE or leaf.name.endswith(".p7m"):
        kind = ENCRYPTED if leaf.parameters.get("smime-type") != "certs-only" else kind
    elif leaf.content_type in _TNEF or leaf.name == "winmail.dat":
        kind = TNEF
    elif _is_calendar(leaf):
        kind = FORWARDED
    return FORWARDED if leaf.inside and kind != NO_CALENDAR_PART else kind


def _first(fields: Iterable[tuple[str, bytes]], name: str) -> bytes:
    return next((value for field, value in fields if field == name), b"")


def _only(fields: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """Return the address of a field that is there once and holds one address (RFC 5322 §3.6)."""
    values = [value for field, value in fields if field == name]
    return only_address(header.text(values[0])) if len(values) == 1 else None


def _recipients(fields: Sequence[tuple[str, bytes]]) -> tuple[str, ...]:
    """Return whose mail this is, as far as its header tells; an MTA puts the last delivery first."""
    values = [value for name in ("delivered-to", "x-original-to") for field, value in fields if field == name]
    found = [only_address(header.text(value)) for value in values] or [_only(fields, "to")]
    return tuple(dict.fromkeys(address for address in found if address))
