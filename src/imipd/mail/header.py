"""Header fields of a mail or of a MIME part, as bytes (RFC 5322 §2.2).

Only the fields that are asked for are looked at, in one pass over the header, so that neither a long field
nor a million short ones cost anything.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

HEAD = 2**20
"""Bytes of a header that are read."""
_EMPTY = re.compile(rb"\r?\n|(?=--)")
_END = re.compile(rb"\n\r*\n|\n--")


def split(raw: bytes, start: int = 0) -> tuple[bytes, int]:
    """Return the header that begins at `start`, at most HEAD bytes of it, and where its body begins.

    A header also ends where a boundary line stands, because a cut part has no empty line.
    """
    if found := _EMPTY.match(raw, start):
        return b"", found.end()
    found = _END.search(raw, start, start + HEAD)
    if not found:
        return raw[start : start + HEAD], min(start + HEAD, len(raw))
    return raw[start : found.start()], found.start() + 1 if found[0] == b"\n--" else found.end()


def fields(head: bytes, names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return the fields of `head` among `names` in their order: name in lower case, value unfolded.

    A bare CR ends a line here: some readers take it so, and a second From must not hide behind one.
    """
    lines = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = _field(tuple(sorted(names))).findall(lines)
    return [(name.decode("ascii").lower(), value.replace(b"\n", b"").strip()) for name, value in found]


@lru_cache(maxsize=32)
def _field(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return the expression for a field of one of these names, with its folded lines."""
    either = b"|".join(re.escape(name.encode("ascii", "replace")) for name in names)
    return re.compile(rb"(?im)^(" + either + rb")[ \t]*:(.*(?:\n[ \t].*)*)")


def text(value: bytes) -> str:
    """Return a field's value as text: UTF-8 (RFC 6532), else Latin-1, which is never wrong."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def printable(value: bytes) -> str:
    """Return a field's value as one printable line, at most as long as a line may be (RFC 5322 §2.1.1)."""
    return "".join(c for c in text(value[:998]) if c.isprintable())


def date(value: bytes) -> datetime | None:
    """Return the time of a Date field in UTC, None where it cannot be read."""
    try:
        read = parsedate_to_datetime(printable(value[:128]))
        return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def flagged(found: Iterable[tuple[str, bytes]], marks: Iterable[str]) -> str:
    """Return the first of `marks` (``Name: value``) that a field carries, or "" (rules.md G4).

    The field's value must begin with the mark's as a word: ``X-Spam-Status: Yes`` is met by ``Yes, score=9``.
    """
    seen = list(found)
    for mark in marks:
        name, _, value = mark.partition(":")
        begins = re.compile(re.escape(value.strip()) + r"(?!\w)" if value else "", re.IGNORECASE)
        if any(field == name.strip().lower() and begins.match(text(said)) for field, said in seen):
            return mark
    return ""
