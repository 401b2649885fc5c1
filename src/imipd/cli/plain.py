"""imipd pipe for a mail without a calendar part: done before anything of the house is imported.

What is answered here is what the whole program answers, in its words. Whatever is not plain goes on to it: another
argument, somebody who may not be served, a mail that is too large or may carry a calendar.
"""

import os
import sys

from imipd import served
from imipd.look import may_carry_calendar

TYPE_CHECKING = False  # as in typing, whose import takes as long as all of this
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTCOME = "no_action; reason=no-calendar-part"
_BLOCK = 64 * 1024


class Call:
    """The arguments of a pipe, as argparse names them."""

    command = "pipe"
    config: str | None = None
    reverse_path: str | None = None
    passthrough = False

    def __init__(self) -> None:
        self.recipients: list[str] = []


class Begun:
    """What has been done of a call."""

    def __init__(self, call: Call | None = None, read: bytes = b"", *, remembered: bool = False) -> None:
        self.call = call
        """None: its arguments were not understood here."""
        self.read = read
        """What was read of stdin."""
        self.remembered = remembered
        """Whether it was known who is served."""
        self.code: int | None = None
        """Its exit code; None: it is for the whole program."""


def begin(words: "Sequence[str]", environ: "Mapping[str, str]") -> Begun:
    """Do what can be done without the house: all, where the mail is plain and it is known who is served."""
    call = parsed(words)
    config = served.found(call.config, environ) if call else None
    known = served.recall(config, environ) if config else None
    if call is None or known is None:
        return Begun(call)
    begun = Begun(call, remembered=True)
    if all(known.surely(recipient) for recipient in call.recipients):
        try:
            begun.read = _read(known.limit + 1)
            if len(begun.read) <= known.limit and not may_carry_calendar(begun.read):
                begun.code = _done(begun.read, call)
        except Exception as error:  # noqa: BLE001  the outermost edge: what is not caught is exit code 1, a bounce
            sys.stderr.write(f"imipd pipe: try again: {error}\n")
            begun.code = os.EX_TEMPFAIL
    return begun


def parsed(words: "Sequence[str]") -> Call | None:
    """Return a call that is written in the usual way, None for any other, which may be a wrong one."""
    call, option, needed = Call(), "", False
    for word in words:
        if word.startswith("-"):
            if needed or word not in ("-c", "-r", "-f", "--passthrough"):
                return None
            option, needed = word, word != "--passthrough"
            call.passthrough = call.passthrough or not needed
        elif option == "-r":
            call.recipients.append(word)
            needed = False
        elif needed:
            setattr(call, "config" if option == "-c" else "reverse_path", word)
            needed = False
        else:
            return None
    return call if call.recipients and not needed else None


def _read(limit: int) -> bytes:
    """Return at most `limit` bytes of stdin."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := sys.stdin.buffer.read(min(limit, _BLOCK))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _done(mail: bytes, call: Call) -> int:
    """Pass the mail on, if that is wanted, with an outcome for each recipient on top; return the exit code."""
    if call.passthrough:
        from imipd.stamp import stamped, without_from_line  # noqa: PLC0415  what it imports takes 3 ms

        from_line, content = without_from_line(mail)
        sys.stdout.buffer.write(from_line + stamped(content, [OUTCOME] * len(call.recipients)))
        sys.stdout.buffer.flush()
    return os.EX_OK
