"""Content-Type and Content-Disposition: a value with parameters (RFC 2045 §5.1, RFC 2231, RFC 2047 in names).

Read by ourselves: the library takes seconds for a long value, and looks charsets up by the names it is told.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from .charset import decoded

LONGEST = 2**14
"""Bytes of a field that are read."""

_VALUE = re.compile(r"[^\s;()]+")
_PARAMETER = re.compile(
    r""";\s*(?P<name>[^\s=;*"()]+)
    (?:\*(?P<order>\d{1,3}))? (?P<extended>\*)? \s*=\s*
    (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<bare>[^;]*) )""",
    re.VERBOSE | re.DOTALL,
)


def declared(field: bytes) -> tuple[str, dict[str, str]]:
    """Return the value in lower case, and its parameters by lower-case name; of a repeated one the first."""
    said = field[:LONGEST].decode("latin-1")
    value = _VALUE.match(said)
    pieces: dict[str, list[tuple[int, str, bool]]] = {}
    for found in _PARAMETER.finditer(said):
        piece = (int(found["order"] or 0), _said(found["quoted"], found["bare"]), bool(found["extended"]))
        pieces.setdefault(found["name"].lower(), []).append(piece)
    return value[0].lower() if value else "", {name: _whole(parts) for name, parts in pieces.items()}


def _said(quoted: str | None, bare: str) -> str:
    """Return a parameter's value without quotes, or without the comment that may follow it."""
    return bare.partition(" (")[0].strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)


def _whole(pieces: list[tuple[int, str, bool]]) -> str:
    """Return the value of a parameter that may be cut in pieces and percent-encoded (RFC 2231 §3, §4.1)."""
    in_order = {order: (text, extended) for order, text, extended in reversed(pieces)}
    charset, raw = "", b""
    for order, (text, extended) in sorted(in_order.items()):
        if extended and order == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)  # noqa: PLW2901
        raw += unquote_to_bytes(text) if extended else text.encode("latin-1", "replace")
    return decoded(raw, charset)


def name(parameters: dict[str, str]) -> str:
    """Return the file name in `parameters`, lower case; encoded-words, which do not belong there, decoded."""
    said = parameters.get("filename") or parameters.get("name") or ""
    if "=?" in said:
        try:
            said = "".join(
                decoded(piece, charset or "") if isinstance(piece, bytes) else piece
                for piece, charset in decode_header(said)
            )
        except (HeaderParseError, ValueError):
            return said.strip().lower()
    return said.strip().lower()
