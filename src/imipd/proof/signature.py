"""DKIM signatures (RFC 6376), verified more strictly than the library does by itself.

It verifies one signature, and would accept one that leaves out From, or signs a part of the body only (l=): what is
appended to such a mail still verifies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import dkim

from . import Ask
from .alignment import domain_of
from .key import key_of
from .letter import Letter, RefusedError, tags, text

MOST = 20
"""Signatures of a mail that are looked at."""
ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")
"""rsa-sha1 counts no longer (RFC 8301 §3.1)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature field that can be read."""

    number: int
    """Among the fields of this name, as the library counts them."""
    tags: Mapping[bytes, bytes]
    domain: str
    """Who signs, as of `domain_of`."""


def signatures(letter: Letter) -> list[Signature]:
    """Return the signatures of a mail, the topmost first."""
    fields = enumerate(letter.all(b"dkim-signature")[:MOST])
    found = [(number, said) for number, value in fields if (said := tags(value))]
    return [Signature(number, said, domain_of(text(said[b"d"]))) for number, said in found if said.get(b"d")]


def verify(signature: Signature, letter: Letter, ask: Ask, now: datetime) -> None:
    """Raise RefusedError where the signature does not count, UnansweredError where its key is out of reach."""
    said = signature.tags
    check_scope(said)
    if said.get(b"a") not in ALGORITHMS:
        raise RefusedError(f"signed with {text(said.get(b'a', b'nothing'))}")
    if b"x" in said and not _is_ahead(said[b"x"], now):
        raise RefusedError("expired")
    key = key_of(said, ask)
    relaxed = said.get(b"c", b"").endswith(b"/relaxed")
    if not _is_valid(letter.given_to(dkim.DKIM(), relaxed=relaxed), signature.number, key):
        raise RefusedError("does not verify")


def check_scope(said: Mapping[bytes, bytes]) -> None:
    """Raise RefusedError where From or the end of the body is not signed."""
    if b"l" in said:
        raise RefusedError("signs a part of the body only (l=)")
    if b"from" not in [name.strip().lower() for name in said.get(b"h", b"").split(b":")]:
        raise RefusedError("does not sign From")


def _is_ahead(value: bytes, now: datetime) -> bool:
    return value.isdigit() and int(value) > now.timestamp()


def _is_valid(verifier: dkim.DKIM, number: int, key: bytes) -> bool:
    try:
        return bool(verifier.verify(number, dnsfunc=lambda _name, timeout: key))  # noqa: ARG005  the library's
    except Exception:  # noqa: BLE001  dkimpy 1.1.8: DKIMException, IndexError (i= without @), what its keys raise …
        return False
