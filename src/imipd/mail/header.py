"""What the header of a mail says (RFC 5322 §3.6), read by the library apart from the body."""

import itertools
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.errors import MultipartInvariantViolationDefect
from email.message import Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from .field import RESULTS, TextPolicy
from .library import readable
from .mailbox import only_address

HEAD = 2**20
"""Bytes of a header that are read."""
_END = re.compile(rb"\n\r?\n")
_TRACES = 10
"""Fields for one delivery each that are read: a mail seldom has been delivered so often."""
_RESULTS = 50
"""Authentication-Results that are read."""


class Header:
    """The header of a mail; of its fields only those that are asked for are decoded."""

    def __init__(self, raw: bytes) -> None:
        """Read the header of `raw`, at most HEAD bytes of it."""
        found = _END.search(raw, 0, HEAD)
        head = raw[: found.start() + 1] if found else raw[:HEAD]
        self.overlong = len(head) == HEAD
        self._fields: Message = BytesParser(policy=TextPolicy()).parsebytes(head, headersonly=True)
        # A bare CR, or a line that is no field, is read by some as a second From, by others not (RFC 5322 §2.2, §2.3).
        # What CPython 3.11.2 says of each multipart whose body it is not given says nothing of the header.
        told = [item for item in self._fields.defects if not isinstance(item, MultipartInvariantViolationDefect)]
        self._ambiguous = bool(told) or head.count(b"\r") != head.count(b"\r\n")

    def line(self, name: str) -> str:
        """Return a field as one printable line, at most as long as a line may be (RFC 5322 §2.1.1)."""
        return "".join(c for c in self._fields.get(name, "")[:998] if c.isprintable()).strip()

    def date(self) -> datetime | None:
        """Return the time of the mail in UTC, None where it cannot be read."""
        return readable(None, _in_utc, self.line("Date"))

    def only_address(self, name: str) -> str | None:
        """Return the address of a field that is there once and holds one address (RFC 5322 §3.6)."""
        values = self._fields.get_all(name, [])
        return only_address(values[0]) if len(values) == 1 and not self._ambiguous else None

    def recipients(self) -> tuple[str, ...]:
        """Return whose mail this is, as far as its header tells; an MTA puts the last delivery first."""
        values = [value for name in ("Delivered-To", "X-Original-To") for value in self._fields.get_all(name, [])]
        found = [only_address(value) for value in values[:_TRACES]] or [self.only_address("To")]
        return tuple(dict.fromkeys(address for address in found if address))

    def results(self) -> tuple[tuple[str, ...], ...]:
        """Return the Authentication-Results (RFC 8601), the topmost first; those between two Received are together."""
        values = iter(self._fields.get_all(RESULTS, [])[:_RESULTS])
        hops: list[list[str]] = [[]]
        for name, _ in self._fields.raw_items():
            if name.lower() == "received":
                hops.append([])
            elif name.lower() == RESULTS:
                hops[-1] += itertools.islice(values, 1)
        return tuple(tuple(hop) for hop in hops if hop)

    def flagged(self, marks: Iterable[str]) -> str:
        """Return the first of `marks` (``Name: value``) that a field carries, or "" (rules.md G4).

        The field's value must begin with the mark's as a word: ``X-Spam-Status: Yes`` is met by ``Yes, score=9``.
        """
        for mark in marks:
            name, _, value = mark.partition(":")
            begins = re.compile(re.escape(value.strip()) + r"(?!\w)" if value else "", re.IGNORECASE)
            if any(begins.match(said) for said in self._fields.get_all(name.strip(), [])):
                return mark
        return ""


def _in_utc(value: str) -> datetime:
    read = parsedate_to_datetime(value)
    return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)
