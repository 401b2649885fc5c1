"""The DMARC record of a domain (RFC 7489 §6.3, §6.6.3), as far as it says when a signature is aligned."""

from . import Ask
from .alignment import organization
from .letter import Tags, tags


def record_of(author: str, ask: Ask) -> Tags | None:
    """Return the one record of a domain or else of its organization, None without. Raises UnansweredError."""
    for name in dict.fromkeys((author, organization(author))):
        found = [said for record in ask(f"_dmarc.{name}") if (said := _record(record))]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def is_strict(record: Tags) -> bool:
    """Return whether the signer must be the From domain itself (adkim)."""
    return record.get(b"adkim", b"r").lower() == b"s"


def _record(record: bytes) -> Tags | None:
    said = tags(record)
    if not said or next(iter(said)) != b"v" or said[b"v"] != b"DMARC1":
        return None
    return said if b"p" in said or b"rua" in said else None
