"""Bytes to text (rules.md G7): UTF-8 where it is valid, else as declared, else Latin-1.

A declared charset comes from a stranger, and not every codec of Python is one: some unpack, some are slow.
"""

import re

_KNOWN = re.compile(
    r"(x-|cs)?(us-?ascii|ascii|utf-?8|utf-?16|utf-?32|iso-?|latin|windows-?|cp-?\d|koi8|gb|big5|shift|sjis|ms|euc"
    r"|hz|mac|tis|ks_c)[a-z0-9_.:-]{0,24}",
    re.IGNORECASE,
)
_FOLD = re.compile(rb"\r?\n[ \t]")
_STATEFUL = b"\x1b"
"""ISO-2022-JP is valid UTF-8 byte for byte; its escapes, which no iCalendar text may hold, give it away."""


def utf8(body: bytes, charset: str) -> bytes:
    """Return a calendar as UTF-8; what is UTF-8 already stays as it is, without its byte order mark."""
    wide = _utf16(body)
    if wide:
        return body.decode(wide, "replace").removeprefix("\ufeff").encode("utf-8")
    body = body.removeprefix(b"\xef\xbb\xbf")
    # Validity is judged unfolded: a fold may cut a character in two (RFC 5545 §3.1).
    if _STATEFUL not in body and _is_utf8(_FOLD.sub(b"", body)):
        return body
    return decoded(body, charset).encode("utf-8")


def decoded(text: bytes, charset: str) -> str:
    """Return `text` by its declared charset if that is one, else as UTF-8, else as Latin-1."""
    for name in (charset.strip() if _KNOWN.fullmatch(charset.strip()) else "utf-8", "utf-8"):
        try:
            return text.decode(name)
        except (LookupError, ValueError):
            continue
    return text.decode("latin-1")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _utf16(body: bytes) -> str:
    """Return the UTF-16 that `body` is in, by its mark or by the zeros of its first letter, or ""."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    little, big = body[:1].isalpha() and body[1:2] == b"\0", body[:1] == b"\0" and body[1:2].isalpha()
    return "utf-16-le" if little else "utf-16-be" if big else ""
