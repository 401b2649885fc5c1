"""Bytes to text (rules.md G7): UTF-8 where it is valid, else as declared, else Latin-1."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from encodings import normalize_encoding
from encodings.aliases import aliases

_KNOWN = {*aliases, *aliases.values(), "koi8_u"}
"""The charsets of the library. It also has codecs that are none (punycode takes quadratic time), and keeps
every unknown name that it is asked for, which a stranger could make it do for ever."""
_FOLD = re.compile(rb"\r?\n[ \t]")
_NOT_UTF8 = re.compile(rb"[\0\x1b]")
"""UTF-16 and ISO-2022-JP may be valid UTF-8 byte for byte; these, which no iCalendar text holds, tell."""


def utf8(body: bytes, charset: str) -> bytes:
    """Return a calendar as UTF-8; what is UTF-8 already stays as it is, without its byte order mark."""
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        charset = "utf-16"
    body = body.removeprefix(BOM_UTF8)
    # Validity is judged unfolded: a fold may cut a character in two (RFC 5545 §3.1).
    if not _NOT_UTF8.search(body) and _is_utf8(_FOLD.sub(b"", body)):
        return body
    return decoded(body, charset).encode("utf-8")


def decoded(text: bytes, charset: str = "") -> str:
    """Return `text` by its declared charset if that is one, else as UTF-8, else as Latin-1."""
    name = normalize_encoding(charset.strip()).lower()
    for codec in (name if name in _KNOWN else "utf-8", "utf-8"):
        try:
            return text.decode(codec)
        except (LookupError, ValueError):
            continue
    return text.decode("latin-1")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
