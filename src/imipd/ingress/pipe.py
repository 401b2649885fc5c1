"""One mail on stdin, its fate as an exit code (sysexits.h): for procmail, Sieve and the pipes of MTAs.

Whatever is not done ends in 75, so that the caller keeps the mail; with `passthrough` nothing has been
written then. Never any other code for a failure of ours: an MTA bounces over a code that it does not know.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from shutil import copyfileobj
from typing import BinaryIO, Protocol

import structlog

from imipd.envelope import Deliver, Envelope, Serves, Status
from imipd.stamp import stamped, without_from_line

from . import SIZE_LIMIT

log = structlog.get_logger()

_BLOCK = 64 * 1024


class Readable(Protocol):
    """What a mail is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One call of the pipe."""

    stdin: Readable
    recipients: tuple[str, ...]
    reverse_path: str | None
    """``""`` is the null reverse-path, None unknown."""
    passthrough: BinaryIO | None = None
    """Where the mail goes on to (stdout), with its outcomes on top; None: nowhere."""
    limit: int = SIZE_LIMIT


def run(errand: Errand, serves: Serves, deliver: Deliver) -> int:
    """Deliver one mail and return 0 done, 75 try again, 67 no recipient is served (``EX_NOUSER``).

    Where some recipients are served and some are not, the mail is processed for those who are, and the exit
    code is theirs: 67 would have the caller bounce a mail that is done.
    """
    try:
        return _run(errand, serves, deliver)
    except Exception:  # the outermost edge: an uncaught exception is exit code 1, over which MTAs bounce
        log.exception("pipe-unexpected", recipients=errand.recipients)
        return os.EX_TEMPFAIL


def _run(errand: Errand, serves: Serves, deliver: Deliver) -> int:
    mail = _read(errand.stdin, errand.limit + 1)
    served = tuple(recipient for recipient in errand.recipients if serves(recipient))
    if unknown := set(errand.recipients) - set(served):
        log.warning("unknown-recipient", recipients=sorted(unknown))
    if not served:
        _discard(errand.stdin)
        return os.EX_NOUSER
    from_line, content = without_from_line(mail)
    oversize = len(mail) > errand.limit
    if oversize:
        log.warning("too-large", recipients=served)
    envelope = Envelope(errand.reverse_path, served, content[: errand.limit], oversize)
    statuses = deliver(envelope)
    return _finish(errand, statuses, from_line, content)


def _finish(errand: Errand, statuses: Sequence[Status], from_line: bytes, content: bytes) -> int:
    """Pass the mail on, if it is done, and return the exit code."""
    done = bool(statuses) and all(status.done for status in statuses)
    if done and errand.passthrough:
        outcomes = [outcome for status in statuses for outcome in status.outcomes]
        errand.passthrough.write(from_line + stamped(content, outcomes))
        # What is over the limit was not held in memory; it goes through all the same.
        copyfileobj(errand.stdin, errand.passthrough, _BLOCK)
        errand.passthrough.flush()
    _discard(errand.stdin)
    return os.EX_OK if done else os.EX_TEMPFAIL


def _read(stdin: Readable, limit: int) -> bytes:
    """Return at most `limit` bytes; a raw stream gives them piece by piece."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := stdin.read(min(limit, _BLOCK))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _discard(stdin: Readable) -> None:
    """Read to the end: a caller whose pipe breaks takes that for a failure."""
    while stdin.read(_BLOCK):
        pass
