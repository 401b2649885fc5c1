"""The next hop, by LMTP or SMTP: one connection for each mail, and its answers passed on as they are.

The rule here: a recipient's answer is 451 until the next hop has said something else after the end of the mail, so
that a connection that breaks at any moment leaves the mail with the MTA.
"""

import smtplib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from re import compile as pattern

import structlog

from imipd.client import wire
from imipd.envelope import TRY_AGAIN, Envelope, Status
from imipd.stamp import stamped

from . import NextHop

TIMEOUT = 300.0
"""Seconds without a word from the next hop; an MTA waits for us 600 (RFC 5321 §4.5.3.2.6)."""
UNIX = "unix:"

# RFC 6531 §3.5: what a next hop without SMTPUTF8 could never take.
NO_UTF8_SENDER = Status(550, "5.6.7", "The next hop takes no address beyond ASCII")
NO_UTF8_RECIPIENT = Status(553, "5.6.7", "The next hop takes no address beyond ASCII")

_BLOCK = 64 * 1024
_ENHANCED = pattern(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+(.*))?")

log = structlog.get_logger("imipd")


def lmtp(place: str, hostname: str) -> NextHop:
    """Return the next hop at ``host:port`` or ``unix:/path``; `hostname` is what we call ourselves."""
    if place.startswith(UNIX):
        return Hop(partial(smtplib.LMTP, place.removeprefix(UNIX), 0, hostname, timeout=TIMEOUT), place)
    return Hop(partial(smtplib.LMTP, *_host_and_port(place), hostname, timeout=TIMEOUT), place)


def smtp(place: str, hostname: str) -> NextHop:
    """Return the next hop at ``host:port``."""
    return Hop(partial(smtplib.SMTP, *_host_and_port(place), hostname, timeout=TIMEOUT), place)


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Hop:
    """A `NextHop`."""

    def __init__(self, connect: Callable[[], smtplib.SMTP], place: str) -> None:
        self._connect = connect
        self._place = place

    def pass_on(self, envelope: Envelope, outcomes: Sequence[str]) -> tuple[Status, ...]:
        """Hand a mail over; see the door."""
        answers = [TRY_AGAIN] * len(envelope.recipients)
        try:
            with closing(self._connect()) as peer:
                _Transaction(peer, envelope, answers).carry_out(outcomes)
                with suppress(OSError):  # what it says to that changes nothing
                    peer.quit()
        except (OSError, ValueError) as error:  # SMTPException is an OSError; ValueError: a line end in an address
            log.warning("next-hop", place=self._place, error=str(error))
        return tuple(answers)


class _Transaction:
    """One mail on one connection; `answers` are written where the next hop has had its last word."""

    def __init__(self, peer: smtplib.SMTP, envelope: Envelope, answers: list[Status]) -> None:
        self._peer = peer
        self._envelope = envelope
        self._answers = answers

    def carry_out(self, outcomes: Sequence[str]) -> None:
        """Say MAIL, RCPT and DATA. Raises OSError, ValueError."""
        self._peer.command_encoding = "utf-8"
        self._peer.ehlo_or_helo_if_needed()
        if not (sender := self._sender()).done:
            self._answers[:] = [sender] * len(self._answers)
            return
        taken = [index for index, recipient in enumerate(self._envelope.recipients) if self._takes(index, recipient)]
        if taken and not self._is_half_refused(taken):
            self._send(taken, outcomes)

    def _sender(self) -> Status:
        path = self._envelope.reverse_path or ""
        if not path.isascii() and not self._peer.has_extn("smtputf8"):
            return NO_UTF8_SENDER
        addresses = (path, *self._envelope.recipients)
        wants_utf8 = self._envelope.smtputf8 or not all(address.isascii() for address in addresses)
        parameters = {"8bitmime": " BODY=8BITMIME", **({"smtputf8": " SMTPUTF8"} if wants_utf8 else {})}
        said = "".join(text for extension, text in parameters.items() if self._peer.has_extn(extension))
        return _status(*self._peer.docmd("MAIL", f"FROM:<{path}>{said}"))

    def _takes(self, index: int, recipient: str) -> bool:
        """Name a recipient; a refusal is its answer, a consent not yet."""
        if recipient.isascii() or self._peer.has_extn("smtputf8"):
            status = _status(*self._peer.docmd("RCPT", f"TO:<{recipient}>"))
        else:
            status = NO_UTF8_RECIPIENT
        if not status.done:
            self._answers[index] = status
        return status.done

    def _is_half_refused(self, taken: Sequence[int]) -> bool:
        """Whether the one answer for all cannot be true for all; then it is the refusal, and nobody gets the mail."""
        refusals = [answer for index, answer in enumerate(self._answers) if index not in taken]
        if not refusals or not self._envelope.one_answer:
            return False
        temporary = any(refusal.code < 500 for refusal in refusals)
        self._answers[:] = [TRY_AGAIN if temporary else refusals[0]] * len(self._answers)
        return True

    def _send(self, taken: Sequence[int], outcomes: Sequence[str]) -> None:
        code, text = self._peer.docmd("DATA")
        if code != 354:
            for index in taken:
                self._answers[index] = _refusal(code, text)
            return
        for block in wire(_content(self._envelope, outcomes)):
            self._peer.send(block)
        # LMTP answers for each recipient that it has taken, SMTP for all at once (RFC 2033 §4.2).
        is_lmtp = isinstance(self._peer, smtplib.LMTP)
        status = TRY_AGAIN
        for count, index in enumerate(taken):
            status = _status(*self._peer.getreply()) if is_lmtp or count == 0 else status
            self._answers[index] = status


def _content(envelope: Envelope, outcomes: Sequence[str]) -> Iterator[bytes]:
    """Yield the whole mail in blocks, with its outcomes on top."""
    beginning = stamped(envelope.content, outcomes)
    yield from (beginning[at : at + _BLOCK] for at in range(0, len(beginning), _BLOCK))
    if envelope.beyond:
        envelope.beyond.seek(0)
        while block := envelope.beyond.read(_BLOCK):
            yield block


def _status(code: int, text: bytes) -> Status:
    """Return an answer of the next hop as ours; what is no final answer, or says goodbye, is 451."""
    said = " ".join(text.decode(errors="replace").split())
    found = _ENHANCED.match(said)
    enhanced, said = (found[1], found[2] or "") if found else (f"{code // 100}.0.0", said)
    if code // 100 in (2, 5) or (code // 100 == 4 and code != 421):
        return Status(code, enhanced, said or "Said the next hop")
    return TRY_AGAIN


def _refusal(code: int, text: bytes) -> Status:
    status = _status(code, text)
    return TRY_AGAIN if status.done else status
