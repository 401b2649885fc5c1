"""What the store must know of a body: that an iCalendar is whole, its UIDs (RFC 5545 §3); the addresses in a vCard.

Nothing is interpreted beyond that: the bytes that were found are the bytes that are handed on.
"""

import re
from collections.abc import Iterable

from imipd.address import comparable

HOLDERS = frozenset({"VEVENT", "VTODO", "VJOURNAL"})
"""Components whose UID names the object; an alarm has a UID of its own (RFC 9074 §4)."""
MARKS = re.compile(r'^(BEGIN|END|UID)(?:;(?:"[^"\n]*"|[^":\n])*)?:(.*)$', re.IGNORECASE | re.MULTILINE)
"""The content lines that matter; a quoted parameter value may hold a colon."""
EMAILS = re.compile(r'^(?:[A-Z0-9-]+\.)?EMAIL(?:;(?:"[^"\n]*"|[^":\n])*)?:(.*)$', re.IGNORECASE | re.MULTILINE)
"""The same of a vCard, where a property may be in a group (RFC 6350 §3.3)."""


def is_calendar(body: bytes) -> bool:
    """Return whether the body begins and ends as a VCALENDAR: no HTML page, and nothing was cut off."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip().upper()
    return text.startswith(b"BEGIN:VCALENDAR") and text.endswith(b"END:VCALENDAR")


def uids(body: bytes, kinds: frozenset[str] = HOLDERS) -> frozenset[str]:
    """Return the UIDs of the calendar components of these types, as written and with TEXT escapes resolved."""
    found: set[str] = set()
    inside: list[str] = []
    for name, value in MARKS.findall(_unfolded(body)):
        match name.upper():
            case "BEGIN":
                inside.append(value.strip().upper())
            case "END" if inside:
                inside.pop()
            case "UID" if len(inside) == 2 and inside[1] in kinds:
                found |= {value.strip(), _unescaped(value.strip())}
    return frozenset(found)


def has_address(body: bytes, addresses: Iterable[str]) -> bool:
    """Return whether one of these comparable addresses stands in the body, whole, in any case and across folds."""
    unfolded = _unfolded(body).lower()
    found = (address for address in addresses if address in unfolded)  # quick, where it stands nowhere
    return any(re.search(rf"(?<![\w.+-]){re.escape(address)}(?![\w.-])", unfolded) for address in found)


def addresses(card: bytes) -> frozenset[str]:
    """Return the comparable addresses of a vCard (RFC 6350 §6.4.2)."""
    return frozenset(comparable(_unescaped(value)) for value in EMAILS.findall(_unfolded(card)))


def _unfolded(body: bytes) -> str:
    """Return the content lines, unfolded as bytes: a fold may cut a character in two (RFC 5545 §3.1)."""
    return re.sub(rb"\r?\n[ \t]", b"", body).decode("utf-8", "replace")


def _unescaped(value: str) -> str:
    r"""Return a TEXT value without its escapes: ``\\ \; \, \n`` (RFC 5545 §3.3.11)."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value)


def escaped(value: str) -> str:
    """Return a text as a TEXT value (RFC 5545 §3.3.11)."""
    return re.sub(r"([\\;,])", r"\\\1", value).replace("\n", "\\n")
