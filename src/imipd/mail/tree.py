"""A mail's MIME tree as the library reads it (RFC 2045, 2046), within bounds (rules.md G9).

The parser asks every line about every open multipart: 25 MiB of empty lines, thirty multiparts deep, take it
minutes. So its work is counted while it reads: what a mail would cost cannot be told from its bytes before
(boundaries may be cut in pieces, RFC 2231 §3), but the parser tells of each part that it opens.

Of a part that is no calendar the parser needs the header and the end, so between them it is fed nothing but lines
that may be a boundary: an attachment costs neither time nor memory.
"""

from collections.abc import Callable, Iterator
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
STATUS = "message/delivery-status"

_WORK = 2_000_000
"""Lines that are read, each once and once more for each level that it is deep; 25 MiB of base64 have 350,000."""
_OPENING = 60
"""What opening a part costs, in lines."""
_CHUNK = 2**13
_ON_THE_WIRE = 4
"""How many times its size a part may have before it is decoded; quoted-printable makes three bytes of one."""


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


Wanted = Callable[[Entity], bool]
"""Whether the content of a part will be asked for."""


class _Reading:
    """What reading a mail has cost so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._parts, self._depth, self._left = limits, 1, 0, _WORK
        self._latest: Entity | None = None
        self._size = 0
        self._needed: bool | None = None

    def entity(self, policy: Policy) -> Entity:
        """Return the part that the parser fills next."""
        self._spend(_OPENING)
        self._latest, self._size, self._needed = Entity(policy, self), 0, None
        return self._latest

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
        self._size += len(chunk)
        self._spend(max(chunk.count(b"\n"), chunk.count(b"\r")) * (1 + self._depth))

    def needs(self, wanted: Wanted) -> bool:
        """Whether the parser needs what follows, and not only what may be a boundary; raise TooLargeError."""
        part = self._latest
        # Without a field in it, the header may not be over.
        if self._needed is None and part is not None and len(part):
            # A delivery status goes on in further parts (RFC 3464 §2.1).
            self._needed = part.holder == STATUS or wanted(part)
        if self._needed and self._size > _ON_THE_WIRE * self._limits.part:
            raise TooLargeError(f"a part of more than {_ON_THE_WIRE * self._limits.part} bytes to be read")
        return self._needed is not False

    def _spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise TooLargeError("more lines in MIME parts than can be read")


class _Chunks:
    """The bytes of a mail as the parser is fed with them."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._start, self._end = raw, 0, 0
        self._borders = dict.fromkeys((b"\n--", b"\r--"), 0)

    def take(self) -> bytes:
        """Return the next bytes, none at the end."""
        self._start, self._end = self._end, min(self._end + _CHUNK, len(self._raw))
        return self._raw[self._start : self._end]

    def skip(self) -> None:
        """Go on to the next line that begins as a boundary does (RFC 2046 §5.1.1), unless there was one just now."""
        # It takes the parser the next line to begin a part, and what ends in CR may go on.
        is_settled = any(self._raw.count(line_end, self._start, self._end) > 2 for line_end in (b"\r", b"\n"))
        if is_settled and self._border(self._start - 2) >= self._end - 2:
            self._end = max(self._end, self._border(self._end - 2))

    def _border(self, position: int) -> int:
        """Return where the line end before the first such line from `position` on is, or the end."""
        # What was found is kept, and that nothing was: else each call could look through the whole mail.
        for mark, found in self._borders.items():
            if found < position:
                at = self._raw.find(mark, position)
                self._borders[mark] = len(self._raw) if at < 0 else at
        return min(self._borders.values())


def leaves(raw: bytes, limits: Limits, wanted: Wanted) -> Iterator[Entity]:
    """Yield the parts of `raw` that hold no others, in their order, complete where they are `wanted`.

    Raise TooLargeError beyond `limits`.
    """
    reading, chunks = _Reading(limits), _Chunks(raw)
    parser = BytesFeedParser(policy=TextPolicy(message_factory=reading.entity))
    while chunk := chunks.take():
        reading.lines(chunk)
        parser.feed(chunk)
        if not reading.needs(wanted):
            chunks.skip()
    return (part for part in parser.close().walk() if isinstance(part, Entity) and not part.is_multipart())
