"""A mail as the DKIM library reads it: taken apart once for all signatures, in bounded time.

dkimpy 1.1.8 reads fields of any length and number, some of them in quadratic time, as it does white space that no
line ends; a stranger chooses both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value

LONGEST_HEAD = 2**17
"""Bytes of a header that is verified."""
MOST_FIELDS = 1000
"""Fields of a header that is verified."""
LONGEST = 3 * 2**10
"""Bytes of a signature."""
_END = re.compile(rb"(?:\A|\n)\r?\n")
_BLANKS = re.compile(rb"[\t ]+")

Tags = dict[bytes, bytes]
Signer = TypeVar("Signer", bound=dkim.DomainSigner)


class RefusedError(Exception):
    """A signature that does not count; the text says why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Header and body, with CRLF."""

    fields: Sequence[tuple[bytes, bytes]]
    """As they stand, names and values."""
    body: bytes
    relaxed: bytes
    """The body with each run of blanks as one, and none at the end of a line: to relaxed canonicalization the same
    (RFC 6376 §3.4.4)."""

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of the fields of this name (lower case), the topmost first."""
        return [value for key, value in self.fields if key.lower() == name]

    def given_to(self, signer: Signer, *, relaxed: bool) -> Signer:
        """Return a signer of the library that holds this mail."""
        signer.headers, signer.body = list(self.fields), self.relaxed if relaxed else self.body
        return signer


def opened(content: bytes) -> Letter:
    """Return the mail taken apart. Raises RefusedError."""
    end = _END.search(content, 0, LONGEST_HEAD)
    if end is None:
        raise RefusedError(f"a header of more than {LONGEST_HEAD} bytes")
    try:
        fields, _ = dkim.rfc822_parse(content[: end.end()])
    except (dkim.MessageFormatError, IndexError) as error:
        raise RefusedError("the header cannot be read") from error
    if len(fields) > MOST_FIELDS:
        raise RefusedError(f"a header of more than {MOST_FIELDS} fields")
    body = content[end.end() :].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    relaxed = _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n")
    return Letter([(name, value) for name, value in fields], _trimmed(body), _trimmed(relaxed))


def _trimmed(body: bytes) -> bytes:
    """Return the body with one line end at its end, as both canonicalizations have it (RFC 6376 §3.4.3)."""
    text = body.rstrip(b"\r\n")
    ends = body[len(text) :]
    return text + b"\r\n" if ends == b"\r\n" * (len(ends) // 2) and ends else body


def tags(value: bytes) -> Tags | None:
    """Return the tags of a signature or a record (RFC 6376 §3.2), None where it cannot be read."""
    try:
        return parse_tag_value(value) if len(value) <= LONGEST else None
    except InvalidTagValueList:
        return None


def text(value: bytes) -> str:
    """Return what a tag says, as it can be shown."""
    return "".join(c for c in value.decode("utf-8", "replace")[:253] if c.isprintable())
