"""What an Authentication-Results field says (RFC 8601 §2.2), and whose field it is.

The library reads one result at a time: authres 1.2.0 gives up the whole field over one that it does not know, such
as those of Microsoft. Any text gives a field, or None; a result that cannot be read says nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import authres

from .alignment import domain_of

LONGEST = 2**13
_TOKENS = re.compile(r'\\.|[();"]|[^\\();"]+', re.DOTALL)
_MOST = 50
"""Results of one field that are read."""
_DEEPEST = 10
"""Comments within each other; the library reads them by recursion."""
_IDENTITIES = {"dkim": ("header.d", "header.i"), "dmarc": ("header.from",)}
"""What names the domain of a result; header.i only where header.d is absent (Gmail)."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a method that proves something."""

    method: str
    said: str
    """pass, fail, none …"""
    domain: str
    """As of `domain_of`; empty where none is named, or several are."""

    def __str__(self) -> str:
        return f"{self.method}={self.said}" + (f" for {self.domain}" if self.domain else "")


@dataclass(frozen=True, slots=True)
class Field:
    """An Authentication-Results field."""

    authserv_id: str
    """Lower case."""
    results: tuple[Result, ...]


def read(value: str) -> Field | None:
    """Return what the field says, None where it cannot be told whose it is."""
    plain = value.replace("\t", " ")
    if len(plain) > LONGEST or not plain.isprintable():
        return None
    pieces = _pieces(plain)
    authserv_id = _whose(pieces[0]) if pieces else ""
    if not authserv_id:
        return None
    results = [result for piece in pieces[1 : _MOST + 1] if (result := _result(piece))]
    return Field(authserv_id, tuple(results))


def _pieces(value: str) -> list[str]:
    """Return the text between semicolons that stand in no comment and no quoted-string; none if one never ends."""
    pieces, depth, quoted = [""], 0, False
    for piece in _TOKENS.findall(value):
        if piece == '"' and not depth:
            quoted = not quoted
        elif piece in "()" and not quoted:
            depth += 1 if piece == "(" else -1
        if not 0 <= depth <= _DEEPEST:
            return []
        if piece == ";" and not depth and not quoted:
            pieces.append("")
        else:
            pieces[-1] += piece
    return [] if depth or quoted else pieces


def _whose(piece: str) -> str:
    """Return the authserv-id that stands before the first semicolon; behind a comment it is nobody's.

    No border writes that, and a border's filter that looks for its name at the beginning would let it pass.
    """
    header = None if piece.lstrip().startswith("(") else _parsed(f"{piece}; none")
    return header.authserv_id if header else ""


def _result(piece: str) -> Result | None:
    """Return one result, None where it cannot be read or proves nothing anyway."""
    header = _parsed(f"x; {piece}")
    found = header.results[0] if header and header.results else None
    if found is None or found.method not in _IDENTITIES or found.version not in (None, "1"):
        return None
    return Result(found.method, found.result, next(_domains(found), ""))


def _domains(found: authres.AuthenticationResult) -> Iterator[str]:
    """Name the domain that a result is about; "" where a property that names it is there twice."""
    for name in _IDENTITIES[found.method]:
        values = [each.value for each in found.properties if f"{each.type}.{each.name}" == name]
        if values:
            yield domain_of(values[0] or "") if len(values) == 1 else ""


def _parsed(text: str) -> authres.AuthenticationResultsHeader | None:
    try:
        return authres.parse_value(text)
    except Exception:  # noqa: BLE001  authres 1.2.0: SyntaxError of its own, AttributeError, RecursionError …
        return None
