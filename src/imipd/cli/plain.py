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


class Begun:
    """What has been done of a call."""

    def __init__(self, code: int | None = None, read: bytes = b"", *, remembered: bool = False) -> None:
        self.code = code
        """Its exit code; None: it is for the whole program."""
        self.read = read
        """What was read of stdin."""
        self.remembered = remembered
        """Whether it was known who is served."""


class Call:
    """The arguments of a pipe."""

    def __init__(self, config: str | None, recipients: "Sequence[str]", *, passthrough: bool) -> None:
        self.config = config
        self.recipients = tuple(recipients)
        self.passthrough = passthrough


def begin(words: "Sequence[str]", environ: "Mapping[str, str]") -> Begun:
    """Do what can be done without the house: all, where the mail is plain and it is known who is served."""
    call = parsed(words)
    config = served.found(call.config, environ) if call else None
    known = served.recall(config, environ) if config else None
    if call is None or known is None:
        return Begun()
    if not all(known.surely(recipient) for recipient in call.recipients):
        return Begun(remembered=True)
    try:
        mail = _read(known.limit + 1)
        if len(mail) > known.limit or may_carry_calendar(mail):
            return Begun(None, mail, remembered=True)
        return Begun(_done(mail, call))
    except Exception as error:  # noqa: BLE001  the outermost edge: what is not caught is exit code 1, a bounce
        sys.stderr.write(f"imipd pipe: try again: {error}\n")
        return Begun(os.EX_TEMPFAIL)


def parsed(words: "Sequence[str]") -> Call | None:
    """Return a call that is written in the usual way, None for any other, which may be a wrong one."""
    config, passthrough, option, needed = None, False, "", False
    recipients: list[str] = []
    for word in words:
        if word.startswith("-"):
            if needed or word not in ("-c", "-r", "-f", "--passthrough"):
                return None
            option, needed = word, word != "--passthrough"
            passthrough = passthrough or not needed
        elif option == "-r":
            recipients.append(word)
            needed = False
        elif not needed:
            return None
        else:
            config = word if option == "-c" else config
            needed = False
    return Call(config, recipients, passthrough=passthrough) if recipients and not needed else None


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
