"""The public key of a signer in the DNS (RFC 6376 §3.6)."""

from collections.abc import Mapping

from . import Ask
from .alignment import in_ascii
from .letter import RefusedError, Tags, tags, text

LONGEST = 2**10
"""Bytes of a record: room for 4096 bits (RFC 8301 §3.2); a longer number costs the verifier what a stranger likes."""


def key_of(said: Mapping[bytes, bytes], ask: Ask) -> bytes:
    """Return the record of the key that a signature names.

    Raises RefusedError where there is none that may be used, UnansweredError where nobody answers.
    """
    selector, domain = text(said.get(b"s", b"")), in_ascii(text(said[b"d"]))
    records = [
        (record, found) for record in key_records(f"{selector}._domainkey.{domain}", ask) if (found := tags(record))
    ]
    if len(records) != 1:
        raise RefusedError(f"no key {selector}" if not records else f"several keys {selector}")
    record, found = records[0]
    _check(found, said)
    return record


def key_records(name: str, ask: Ask) -> list[bytes]:
    """Return the records of a name that may be keys. Raises UnansweredError."""
    return [record for record in ask(name) if len(record) <= LONGEST and b"p" in (tags(record) or {})]


def _check(found: Tags, said: Mapping[bytes, bytes]) -> None:
    """Raise RefusedError where the owner says that this key shall not be used so."""
    if not found[b"p"]:
        raise RefusedError("its key is revoked")
    flags = _listed(found, b"t", b"")
    if b"y" in flags:
        raise RefusedError("its key is for tests (t=y)")
    signer = said.get(b"i", b"@" + said[b"d"]).rpartition(b"@")[2]
    if b"s" in flags and signer.lower() != said[b"d"].lower():
        raise RefusedError("its key is not for subdomains (t=s)")
    if not {b"*", b"email"} & _listed(found, b"s", b"*") or b"sha256" not in _listed(found, b"h", b"sha256"):
        raise RefusedError("its key is not for this (s=, h=)")


def _listed(found: Tags, name: bytes, otherwise: bytes) -> set[bytes]:
    return {each.strip().lower() for each in found.get(name, otherwise).split(b":")}
