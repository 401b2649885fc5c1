"""A mail's MIME tree as the library reads it (RFC 2045, 2046), within bounds (rules.md G9).

The parser asks every line about every open multipart: 25 MiB of empty lines, thirty multiparts deep, take it
minutes. So its work is counted while it reads: what a mail would cost cannot be told from its bytes before
(boundaries may be cut in pieces, RFC 2231 §3), but the parser tells of each part that it opens.
"""

from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import Policy
from typing import Any

from .field import TextPolicy
from .library import readable
from .limits import Limits, TooLargeError

FORWARDED = "forwarded-as-attachment"
BOUNCE = "bounce"

_WORK = 2_000_000
"""Lines that are read, each once and once more for each level that it is deep; 25 MiB of base64 have 350,000."""
_OPENING = 60
"""What opening a part costs, in lines."""
_CHUNK = 2**13


class Entity(Message):
    """A MIME part; `inside` is "" for a part of this mail, else what it is hidden in: FORWARDED or BOUNCE.

    `holder` is the content type of what it stands in.
    """

    def __init__(self, policy: Policy, reading: "_Reading") -> None:
        """Stand alone; `attach` says where."""
        super().__init__(policy)
        self.inside, self.holder, self.depth, self._reading = "", "", 0, reading

    def attach(self, payload: Any) -> None:
        """Take a part in, if there may be one more."""
        attached_mail = self.get_content_maintype() == "message"
        bounce = self.get_content_type() == "multipart/report"
        payload.inside = self.inside or (FORWARDED if attached_mail else BOUNCE if bounce else "")
        payload.holder, payload.depth = self.get_content_type(), self.depth + 1
        self._reading.opened(payload.depth, counts=not attached_mail)
        super().attach(payload)

    def get_param(self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True) -> Any:
        """Return a parameter as text, `failobj` where none can be read."""
        said = readable(failobj, super().get_param, param, failobj, header, unquote)
        # The charset of an extended one (RFC 2231 §4) is a stranger's, and what we ask for is ASCII.
        return said[2] if isinstance(said, tuple) else said

    def parameter(self, name: str) -> str:
        """Return a parameter of Content-Type, or ""."""
        return str(self.get_param(name, "")).strip()

    def filename(self) -> str:
        """Return the file name in lower case; encoded-words, which do not belong there, decoded."""
        said = self.get_filename("")
        return readable(said, _without_encoded_words, said).strip().lower()


def _without_encoded_words(said: str) -> str:
    return "".join(piece if isinstance(piece, str) else piece.decode("latin-1") for piece, _ in decode_header(said))


class _Reading:
    """What reading a mail has cost so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._parts, self._depth, self._left = limits, 1, 0, _WORK

    def entity(self, policy: Policy) -> Entity:
        """Return the part that the parser fills next."""
        self._spend(_OPENING)
        return Entity(policy, self)

    def opened(self, depth: int, *, counts: bool) -> None:
        """Note a part that is `depth` levels deep; raise TooLargeError beyond the limits."""
        self._depth = depth
        self._parts += counts
        if depth > self._limits.mime_depth:
            raise TooLargeError(f"MIME parts more than {self._limits.mime_depth} deep")
        if self._parts > self._limits.mime_parts:
            raise TooLargeError(f"more than {self._limits.mime_parts} MIME parts")

    def lines(self, chunk: bytes) -> None:
        """Note the lines that the parser is about to read; raise TooLargeError beyond what it may cost."""
        self._spend(max(chunk.count(b"\n"), chunk.count(b"\r")) * (1 + self._depth))

    def _spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise TooLargeError("more lines in MIME parts than can be read")


def leaves(raw: bytes, limits: Limits) -> Iterator[Entity]:
    """Yield the parts of `raw` that hold no others, in their order; raise TooLargeError beyond `limits`."""
    reading = _Reading(limits)
    parser = BytesFeedParser(policy=TextPolicy(message_factory=reading.entity))
    for start in range(0, len(raw), _CHUNK):
        chunk = raw[start : start + _CHUNK]
        reading.lines(chunk)
        parser.feed(chunk)
    return (part for part in parser.close().walk() if isinstance(part, Entity) and not part.is_multipart())
