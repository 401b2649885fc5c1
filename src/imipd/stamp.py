"""The ``X-Imipd-Outcome`` fields of a mail that passes through: ours on top, those from outside removed.

Bytes in, bytes out: every other byte of the mail stays as it is, whatever its line ends and character set.
"""

import re
from collections.abc import Sequence

FIELD = b"X-Imipd-Outcome"

# Some readers take a bare CR for a line end, so a field may hide behind one.
_EOL = rb"(?:\r\n|\r|\n)"
_FOREIGN = re.compile(
    # With its continuation lines (RFC 5322 §2.2.3); space before the colon is obsolete syntax (§4.5.8).
    rb"(?:(?<=[\r\n])|\A)" + FIELD + rb"[ \t]*:[^\r\n]*(?:" + _EOL + rb"[ \t][^\r\n]*)*(?:" + _EOL + rb"|\Z)",
    re.IGNORECASE,
)
_BODY = re.compile(rb"(?:\A|\n)\r?\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def stamped(mail: bytes, outcomes: Sequence[str]) -> bytes:
    """Return the mail with one field for each outcome on top and none from outside."""
    blank = _BODY.search(mail)
    header = mail[: blank.end()] if blank else mail
    eol = b"\r\n" if header.partition(b"\n")[0].endswith(b"\r") else b"\n"
    ours = b"".join(FIELD + b": " + _value(outcome) + eol for outcome in outcomes)
    return b"".join((ours, _FOREIGN.sub(b"", header), memoryview(mail)[len(header) :]))


def without_from_line(mail: bytes) -> tuple[bytes, bytes]:
    """Return the mbox "From " line, which procmail and Postfix write on top (RFC 4155), and the mail."""
    if not mail.startswith(b"From "):
        return b"", mail
    end = mail.find(b"\n") + 1
    return mail[:end], mail[end:]


def _value(outcome: str) -> bytes:
    """Return an outcome as one line."""
    return _CONTROL.sub(" ", outcome).encode(errors="replace")
