#!/usr/bin/python3 -IS
"""imipc: hands one mail from stdin to a running `imipd serve`, over its LMTP socket (RFC 2033).

It starts once for each mail, so it imports next to nothing, and nothing of ours: this file alone, copied to
anywhere, is the program. Whatever is not done ends in 75, so that the caller keeps the mail; never another code
for a failure, because an MTA bounces over a code that it does not know.
"""

import posix
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket

TYPE_CHECKING = False  # as in typing, whose import takes as long as all of this
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

USAGE = "usage: imipc [-s SOCKET] -r RECIPIENT ... [-f REVERSE_PATH] < MAIL"
SOCKET = "/run/imipd/lmtp.sock"
EX_OK, EX_USAGE, EX_NOUSER, EX_TEMPFAIL = 0, 64, 67, 75  # sysexits.h; the module os costs a millisecond
NO_SUCH_USER = 550
SILENCE = 600.0
"""Seconds without a word from the daemon; it may take long over the end of a mail (RFC 5321 §4.5.3.2.6)."""

_BLOCK = 64 * 1024
_STDIN, _STDERR = 0, 2


class UsageError(Exception):
    """The call is wrong."""


class LmtpError(Exception):
    """The daemon said what was not to be expected."""


def main(arguments: list[str] | None = None) -> int:
    """Hand the mail over and return 0 done, 75 try again, 67 no recipient has an account, 64 wrong usage."""
    try:
        return _run(Errand(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        _say(f"{error}\n{USAGE}")
        return EX_USAGE
    except Exception as error:  # noqa: BLE001  the outermost edge: what is not caught is exit code 1, a bounce
        _say(f"try again: {error}")
        return EX_TEMPFAIL
    finally:
        _discard()


class Errand:
    """One call, as the command line has it."""

    def __init__(self, arguments: list[str]) -> None:
        """Read the arguments; raise UsageError."""
        self.socket = SOCKET
        self.recipients: list[bytes] = []
        # A reverse-path that is unknown has no word in LMTP; the null one is the nearest.
        self.reverse_path = b""
        words = iter(arguments)
        option = ""
        for word in words:
            if option == "-r" and self.recipients and not word.startswith("-"):
                self.recipients.append(_address(word))
                continue
            option = word
            # What follows an option is its value, however it begins: a stranger's address is never an option.
            self._set(option, next(words, None))
        if not self.recipients:
            raise UsageError("no recipient")

    def _set(self, option: str, value: str | None) -> None:
        if option not in ("-s", "-r", "-f"):
            raise UsageError(f"unknown argument {option}")
        if value is None:
            raise UsageError(f"{option} needs a value")
        if option == "-s":
            self.socket = value.removeprefix("unix:")
        elif option == "-r":
            self.recipients.append(_address(value))
        else:
            self.reverse_path = _address(value)


def _address(text: str) -> bytes:
    """Return an address as bytes; a line end in it would be a command of its own."""
    address = text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    if any(byte < 32 or byte == 127 for byte in address):
        raise UsageError("an address has control characters")
    return address


def _run(errand: Errand) -> int:
    dialog = Dialog(errand.socket)
    try:
        dialog.greet()
        dialog.expect(250, _mail_from(errand, dialog.extensions))
        codes = [dialog.say(b"RCPT TO:<%b>" % recipient) for recipient in errand.recipients]
        # A recipient whom the daemon wants later fails the call, but the others are served now.
        refusals = [code for code in codes if not _is_done(code)]
        answers: list[int] = []
        if taken := len(codes) - len(refusals):
            dialog.expect(354, b"DATA")
            dialog.send(wire(without_from_line(_stdin())))
            answers = [dialog.answer() for _ in range(taken)]
    finally:
        dialog.close()
    return _exit_code(refusals, answers)


def _exit_code(refusals: list[int], answers: list[int]) -> int:
    """Return the exit code: who has no account counts only where nobody has one."""
    if all(code == NO_SUCH_USER for code in (*refusals, *answers)):
        return EX_NOUSER
    later = any(code != NO_SUCH_USER for code in refusals) or not all(_is_done(code) for code in answers)
    return EX_TEMPFAIL if later else EX_OK


def _is_done(code: int) -> bool:
    return 200 <= code < 300


def _mail_from(errand: Errand, extensions: frozenset[bytes]) -> bytes:
    line = b"MAIL FROM:<%b>" % errand.reverse_path
    if b"8BITMIME" in extensions:
        line += b" BODY=8BITMIME"  # RFC 6152 §3 allows it for any mail, and what follows is not known yet
    if all(address.isascii() for address in (errand.reverse_path, *errand.recipients)):
        return line
    if b"SMTPUTF8" not in extensions:
        raise LmtpError("an address is not ASCII, and the daemon does not take it")
    return line + b" SMTPUTF8"


class Dialog:
    """A connection to the daemon; OSError and LmtpError mean that the mail is not done."""

    def __init__(self, path: str) -> None:
        """Connect."""
        self.extensions: frozenset[bytes] = frozenset()
        self._received = b""
        self._socket = socket(AF_UNIX, SOCK_STREAM)
        self._socket.settimeout(SILENCE)
        self._socket.connect(path)

    def greet(self) -> None:
        """Hear the greeting and say ours (RFC 2033 §4.1)."""
        if self.answer() != 220:
            raise LmtpError("the daemon does not greet")
        self._socket.sendall(b"LHLO localhost\r\n")
        code, *lines = self._lines()
        if code != b"250":
            raise LmtpError("the daemon refuses LHLO")
        self.extensions = frozenset(line.upper() for line in lines)

    def say(self, line: bytes) -> int:
        """Send a command and return the code of its answer."""
        self._socket.sendall(line + b"\r\n")
        return self.answer()

    def expect(self, code: int, line: bytes) -> None:
        """Send a command that has one right answer."""
        said = self.say(line)
        if said != code:
            raise LmtpError(f"{line[:4].decode()} was answered {said}")

    def send(self, blocks: "Iterable[bytes]") -> None:
        """Send content, block by block."""
        for block in blocks:
            self._socket.sendall(block)

    def answer(self) -> int:
        """Return the code of the next answer."""
        code, *_ = self._lines()
        return int(code)

    def close(self) -> None:
        """Leave, without QUIT: nobody would wait for its answer."""
        self._socket.close()

    def _lines(self) -> list[bytes]:
        """Return the code of the next answer and the text of each of its lines (RFC 5321 §4.2.1)."""
        texts = []
        while True:
            line = self._line()
            if not line[:3].isdigit():
                raise LmtpError("the daemon does not speak LMTP")
            texts.append(line[4:])
            if line[3:4] != b"-":
                return [line[:3], *texts]

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            block = self._socket.recv(_BLOCK)
            if not block or len(self._received) > _BLOCK:
                raise LmtpError("the daemon cut the connection")
            self._received += block
        line, _, self._received = self._received.partition(b"\n")
        return line.rstrip(b"\r")


def wire(blocks: "Iterable[bytes]") -> "Iterator[bytes]":
    """Yield content as it goes over the wire: LF as CRLF, dots stuffed, the end (RFC 5321 §4.5.2)."""
    held, begins = b"", True
    for block in blocks:
        text = held + block
        held = b"\r" if text.endswith(b"\r") else b""  # half of a CRLF, maybe
        text = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\n.", b"\n..")
        if text:
            yield (b"." if begins and text.startswith(b".") else b"") + text.replace(b"\n", b"\r\n")
            begins = text.endswith(b"\n")
    yield held + (b".\r\n" if begins and not held else b"\r\n.\r\n")


def without_from_line(blocks: "Iterator[bytes]") -> "Iterator[bytes]":
    """Yield a mail without the mbox "From " line, which procmail and Postfix write on top (RFC 4155)."""
    head = b""
    for block in blocks:
        head += block
        begins = head.startswith(b"From ") or b"From ".startswith(head)
        if not begins or b"\n" in head or len(head) > _BLOCK:
            break
    yield head[head.find(b"\n") + 1 :] if head.startswith(b"From ") else head
    yield from blocks


def _stdin() -> "Iterator[bytes]":
    return iter(lambda: posix.read(_STDIN, _BLOCK), b"")


def _discard() -> None:
    """Read to the end: a caller whose pipe breaks takes that for a failure."""
    try:
        for _ in _stdin():
            pass
    except OSError:
        return  # there is no stdin, and that has been said


def _say(text: str) -> None:
    try:
        posix.write(_STDERR, f"imipc: {text}\n".encode(errors="replace"))
    except OSError:
        return  # nobody listens


if __name__ == "__main__":
    posix._exit(main())  # nothing is left to put away, and an interpreter takes a millisecond over that
