"""Reads a mail: its iMIP bodies (RFC 6047 §2.4), and what its header says that a decision needs.

Any bytes give a `Mail`, in bounded time: what cannot be read is absent, and why there is nothing to process
stands in `obstacle`. Auto-Submitted, Precedence and List-* are never looked at (rules.md G8).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from imipd.look import may_carry_calendar

from .charset import utf8
from .header import HEAD, Header
from .limits import LIMITS, Limits, TooLargeError
from .report import failed
from .tree import BOUNCE, FORWARDED, Entity, leaves

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
class Report:
    """What a delivery status notification says (RFC 3464)."""

    failed: tuple[str, ...] = ()
    """Comparable addresses that the mail never reached."""
    returned: tuple[Part, ...] = ()
    """The calendar parts of that mail."""


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
    results: tuple[tuple[str, ...], ...] = ()
    """Authentication-Results as they stand, the topmost first; those between two Received are together."""
    report: Report = Report()
    """What came back, where that is the obstacle."""


def read(raw: bytes, limits: Limits = LIMITS, spam_headers: Sequence[str] = SPAM_HEADERS) -> Mail:
    """Return what `raw` carries; never raises. `spam_headers` are ``Name: value`` (see `Header.flagged`)."""
    header = Header(raw)
    try:
        obstacle, detail, parts, report = _contents(raw, header, limits)
    except TooLargeError as error:
        obstacle, detail, parts, report = TOO_LARGE, str(error), (), Report()
    return Mail(
        message_id=header.line("Message-ID"),
        date=header.date(),
        originator=header.only_address("From"),
        recipients=header.recipients(),
        flagged=header.flagged(spam_headers),
        obstacle=obstacle,
        detail=detail,
        parts=parts,
        results=header.results() if parts else (),
        report=report,
    )


_CALENDARS = ("text/calendar", "application/ics", "text/x-vcalendar")
_FILES = ("application/octet-stream", "text/plain")
_OPAQUE = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")


def _contents(raw: bytes, header: Header, limits: Limits) -> tuple[str | None, str, tuple[Part, ...], Report]:
    """Return obstacle, detail and parts of a mail, and what came back with it."""
    if len(raw) > limits.mail:
        raise TooLargeError(f"a mail of more than {limits.mail} bytes")
    if not may_carry_calendar(raw):
        return NO_CALENDAR_PART, "", (), Report()
    if header.overlong:
        raise TooLargeError(f"a header of more than {HEAD} bytes")
    found = list(leaves(raw, limits, _is_calendar))
    calendars = [leaf for leaf in found if _is_calendar(leaf) and not leaf.inside]
    if not calendars:
        return _obstacle(found), "", (), _report(found, limits)
    return None, "", tuple(_part(leaf, limits) for leaf in calendars), Report()


def _report(found: Sequence[Entity], limits: Limits) -> Report:
    nobody_reached = failed(found)
    returned = [leaf for leaf in found if _is_calendar(leaf) and leaf.inside == BOUNCE] if nobody_reached else []
    return Report(nobody_reached, tuple(_part(leaf, limits) for leaf in returned))


def _part(leaf: Entity, limits: Limits) -> Part:
    """Return a leaf as a calendar part; raise TooLargeError beyond ``limits.part``."""
    body = bytes(leaf.get_payload(decode=True) or b"")
    if len(body) > limits.part:
        raise TooLargeError(f"a calendar part of more than {limits.part} bytes")
    return Part(
        leaf.get_content_type(), leaf.parameter("method").upper() or None, utf8(body, leaf.parameter("charset"))
    )


def _is_calendar(leaf: Entity) -> bool:
    content_type = leaf.get_content_type()
    return content_type in _CALENDARS or (content_type in _FILES and leaf.filename().endswith(".ics"))


def _obstacle(found: Iterable[Entity]) -> str:
    """Return why no leaf is a calendar of this mail, in the order of the gate (rules.md G1, G3)."""
    seen = {_hidden(leaf) for leaf in found}
    return next((reason for reason in (ENCRYPTED, TNEF, BOUNCE, FORWARDED) if reason in seen), NO_CALENDAR_PART)


def _hidden(leaf: Entity) -> str:
    """Return what keeps a calendar in this leaf from us."""
    if leaf.inside == BOUNCE:
        return BOUNCE
    kind, content_type, name = NO_CALENDAR_PART, leaf.get_content_type(), leaf.filename()
    if content_type in _OPAQUE or name.endswith(".p7m"):
        kind = ENCRYPTED if leaf.parameter("smime-type").lower() != "certs-only" else kind
    elif content_type in _TNEF or name == "winmail.dat":
        kind = TNEF
    elif _is_calendar(leaf):
        kind = FORWARDED
    return FORWARDED if leaf.inside and kind != NO_CALENDAR_PART else kind
