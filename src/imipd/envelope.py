"""One mail as the MTA hands it over, and what the MTA is answered (RFC 5321, RFC 3463)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail with its addresses; `content` is the RFC 5322 mail as it was received."""

    reverse_path: str | None
    """MAIL FROM: ``""`` is the null reverse-path, None unknown (a pipe without ``-f``)."""
    recipients: tuple[str, ...]
    content: bytes
    oversize: bool = False
    """Over the limit of size (docs/rules.md, G9): `content` is only the beginning, never to be passed on alone."""
    beyond: BinaryIO | None = None
    """Of an oversize mail that goes on to a next hop: what follows `content`, to be read from its beginning."""
    smtputf8: bool = False
    """Whether the MTA said that header or addresses are UTF-8 (RFC 6531 §3.4)."""
    one_answer: bool = False
    """Whether the MTA hears one answer for all recipients: by SMTP, not by LMTP."""


@dataclass(frozen=True, slots=True)
class Status:
    """An SMTP answer with its enhanced code."""

    code: int
    enhanced: str
    text: str
    outcomes: tuple[str, ...] = ()
    """One ``X-Imipd-Outcome`` field value for each iTIP message of the mail, for filters."""

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"

    @property
    def done(self) -> bool:
        """Whether the MTA may forget the mail."""
        return 200 <= self.code < 300


DONE = Status(250, "2.0.0", "Ok")
UNKNOWN_RECIPIENT = Status(550, "5.1.1", "No such user here")
TRY_AGAIN = Status(451, "4.3.0", "Try again later")

Serves = Callable[[str], bool]
"""Whether mail for this address is taken at RCPT."""
Deliver = Callable[[Envelope], tuple[Status, ...]]
"""Processes a mail and returns one `Status` for each recipient, in their order; never raises."""
AtOnce = Callable[[Envelope], tuple[Status, ...] | None]
"""Answers a mail like `Deliver` where that needs no waiting, not even for a disk; None where it would."""
