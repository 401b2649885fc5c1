"""The leaves of a mail's MIME tree, found in one pass over its lines (RFC 2046 §5.1).

The library's parser asks every line about every open multipart: 25 MiB of empty lines, thirty multiparts
deep, take it a minute. Here a line counts only if it begins with ``--``, and one look-up says whose it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from . import header
from .limits import Limits, TooLargeError
from .parameter import declared, name

FORWARDED = "forwarded-as-attachment"
BOUNCE = "bounce"

_LINE = re.compile(rb"\n--([^\n]+)")
_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition")
_MAILS = ("message/rfc822", "message/global")  # RFC 2046 §5.2.1, RFC 6532 §3.7


@dataclass(frozen=True, slots=True)
class Leaf:
    """A MIME part that is no multipart; `start` and `end` say where in the mail its body is."""

    content_type: str
    parameters: dict[str, str]
    name: str
    """File name, lower case."""
    encoding: str
    """Content-Transfer-Encoding, lower case."""
    inside: str
    """"" for a part of this mail, else what it is hidden in: FORWARDED or BOUNCE."""
    start: int
    end: int = 0


@dataclass(frozen=True, slots=True)
class _Level:
    """An open multipart, or an attached mail, which has no boundary of its own."""

    boundary: bytes
    inside: str
    default: str = "text/plain"


@dataclass(slots=True)
class _Open:
    """What is open at the line being read."""

    levels: list[_Level] = field(default_factory=list)
    lines: dict[bytes, tuple[int, bool]] = field(default_factory=dict)
    """Boundary lines without their first hyphens: the depth they belong to, and whether they close it."""

    def push(self, level: _Level, limits: Limits) -> None:
        """Go one level down; raise TooLargeError beyond ``limits.mime_depth``."""
        self.levels.append(level)
        if len(self.levels) > limits.mime_depth:
            raise TooLargeError(f"MIME parts more than {limits.mime_depth} deep")
        self._expect(len(self.levels), level.boundary)

    def close(self, depth: int) -> None:
        """Leave every level deeper than `depth`: an outer boundary ends the inner ones as well."""
        del self.levels[depth:]
        self.lines.clear()
        for at, level in enumerate(self.levels, start=1):
            self._expect(at, level.boundary)

    def _expect(self, depth: int, boundary: bytes) -> None:
        if boundary:
            self.lines |= {boundary: (depth, False), boundary + b"--": (depth, True)}


def leaves(raw: bytes, limits: Limits) -> Iterator[Leaf]:
    """Yield the leaves of `raw` in their order; raise TooLargeError beyond `limits`."""
    opened = _Open()
    leaf = _enter(raw, 0, opened, limits)
    entities = 1
    for line in _LINE.finditer(raw):
        met = opened.lines.get(line[1].rstrip(b" \t\r"))
        if met:
            depth, last = met
            if leaf:
                yield replace(leaf, end=_before(raw, line.start()))
            opened.close(depth - 1 if last else depth)
            entities += not last
            if entities > limits.mime_parts:
                raise TooLargeError(f"more than {limits.mime_parts} MIME parts")
            leaf = None if last else _enter(raw, line.end() + 1, opened, limits)
        if not opened.lines:
            break
    if leaf:
        yield replace(leaf, end=len(raw))


def _before(raw: bytes, line_end: int) -> int:
    """Return where the body before a boundary ends: the line end is the boundary's (RFC 2046 §5.1.1)."""
    return line_end - 1 if raw[line_end - 1 : line_end] == b"\r" else line_end


def _enter(raw: bytes, start: int, opened: _Open, limits: Limits) -> Leaf | None:
    """Open the multipart or the attached mail whose header is at `start`; return the leaf if it is none."""
    while True:
        above = opened.levels[-1] if opened.levels else _Level(b"", "")
        leaf = _leaf(raw, start, above)
        if leaf.content_type in _MAILS:
            opened.push(_Level(b"", above.inside or FORWARDED), limits)
            start = leaf.start
            continue
        boundary = leaf.parameters.get("boundary", "").rstrip().encode("utf-8")
        if not (leaf.content_type.startswith("multipart/") and boundary):
            return leaf
        inside = BOUNCE if leaf.content_type == "multipart/report" else ""
        default = _MAILS[0] if leaf.content_type == "multipart/digest" else "text/plain"  # RFC 2046 §5.1.5
        opened.push(_Level(boundary, above.inside or inside, default), limits)
        return None


def _leaf(raw: bytes, start: int, above: _Level) -> Leaf:
    """Return what the header at `start` declares; the end of the body is not known yet."""
    head, body = header.split(raw, start)
    if len(head) == header.HEAD:
        raise TooLargeError(f"a header of more than {header.HEAD} bytes")
    found = dict(reversed(header.fields(head, _FIELDS)))
    content_type, parameters = declared(found.get("content-type", b""))
    return Leaf(
        content_type=content_type if "/" in content_type else above.default,
        parameters=parameters,
        name=name(declared(found.get("content-disposition", b""))[1]) or name(parameters),
        encoding=declared(found.get("content-transfer-encoding", b""))[0],
        inside=above.inside,
        start=body,
    )
