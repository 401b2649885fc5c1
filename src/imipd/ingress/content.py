"""The content of one mail as it comes after DATA: its end, its dots, and how much is kept (RFC 5321 §4.5.2).

Sans-IO: blocks of bytes go in, however the network cut them. Only CRLF ends a line: a bare CR or LF neither
ends the content nor begins a line (RFC 5321 §2.3.8, §4.1.1.4), so a mail cannot smuggle a second one.
"""

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

END = b"\r\n.\r\n"
_STUFFED = b"\r\n."
_BEGINNINGS = tuple(END[:length] for length in range(len(END) - 1, 0, -1))


class Content:
    """Content that is still arriving; the first `limit` bytes are kept, the others counted, or put into a file."""

    def __init__(self, limit: int, open_file: Callable[[], BinaryIO] | None = None) -> None:
        self.size = 0
        """Bytes received so far, dots undone."""
        self.rest: bytes | None = None
        """What followed the end (pipelined commands, RFC 2920); None while the end has not come."""
        self.beyond: BinaryIO | None = None
        """What followed the first `limit` bytes, where it is kept and there is any."""
        self.given_up = False
        """Whether it was let go of before its end."""
        self._limit = limit
        self._open_file = open_file
        # In CPython it hands its own bytes out, where pieces that are joined would be held twice.
        self._kept = BytesIO()
        # The CRLF of the DATA line begins the content's first line, so an empty mail is ".CRLF"
        # (RFC 5321 §4.1.1.4); it is not part of the content and is taken off again in `_keep`.
        self._undecided = b"\r\n"
        self._begun = False

    @property
    def oversize(self) -> bool:
        """Whether more than the limit has come."""
        return self.size > self._limit and not self.given_up

    def kept_with(self, block: bytes) -> int:
        """Return how many bytes will be kept when a block was fed, or a few less."""
        return min(self.size + len(block), self._limit)

    def give_up(self) -> None:
        """Let go of everything and keep nothing more."""
        self.given_up, self._limit = True, 0
        self.take()
        self.close()
        self._open_file = self.beyond = None

    def feed(self, block: bytes) -> None:
        """Take the next bytes from the wire, in pieces of any length."""
        received = self._undecided + block
        end = received.find(END)
        if end >= 0:
            self._keep(received[: end + 2])
            self.rest = received[end + len(END) :]
            return
        # What may yet turn out to be the end, or a stuffed dot, waits for the next block.
        self._undecided = next((b for b in _BEGINNINGS if received.endswith(b)), b"")
        self._keep(received[: len(received) - len(self._undecided)])

    def take(self) -> bytes:
        """Return what was kept and let go of it, so that a mail is held once only."""
        kept, self._kept = self._kept, BytesIO()
        return kept.getvalue()

    def close(self) -> None:
        """Let go of the file."""
        if self.beyond:
            self.beyond.close()

    def _keep(self, received: bytes) -> None:
        if not received:
            return
        # The first dot of a line is never content (RFC 5321 §4.5.2).
        text = received.replace(_STUFFED, b"\r\n")
        if not self._begun:
            self._begun, text = True, text[2:]
        room = max(self._limit - self.size, 0)
        if room:
            self._kept.write(text[:room])
        if self._open_file and len(text) > room:
            self.beyond = self.beyond or self._open_file()
            self.beyond.write(text[room:])
        self.size += len(text)
