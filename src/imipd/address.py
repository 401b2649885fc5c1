"""Calendar user addresses in comparable form (RFC 6638 §2.4.1).

Two addresses are the same person's exactly when their comparable forms are equal; names (CN) never count.
"""

from collections.abc import Iterable


def comparable(address: str) -> str:
    """Return `address` without ``mailto:``, percent-decoded, trimmed, lower case; googlemail.com is gmail.com."""
    bare = address.strip()
    if bare[:7].lower() == "mailto:":
        # Imported here: `imipd pipe` compares addresses before it imports anything else, and they seldom have it.
        from urllib.parse import unquote  # noqa: PLC0415

        bare = unquote(bare[7:])
    bare = bare.strip().lower()
    local, at, domain = bare.rpartition("@")
    return f"{local}@gmail.com" if at and domain == "googlemail.com" else bare


def domain(address: str) -> str:
    """Return the domain of a comparable address, empty where it has none."""
    return address.rpartition("@")[2] if "@" in address else ""


def spellings(address: str) -> tuple[str, ...]:
    """Return how a comparable address may be written elsewhere, for who has to be asked for a text."""
    local, at, host = address.rpartition("@")
    return (address, f"{local}@googlemail.com") if at and host == "gmail.com" else (address,)


def is_listed(address: str | None, patterns: Iterable[str]) -> bool:
    """Return whether a comparable address is one of `patterns`: ``local@domain``, or ``*@domain`` for all there."""
    if not address or "@" not in address:
        return False
    return any(comparable(pattern) in (address, f"*@{domain(address)}") for pattern in patterns)


def without_detail(address: str) -> str:
    """Return a comparable address without its ``+detail`` (RFC 5233)."""
    local, at, host = address.rpartition("@")
    return f"{local.partition('+')[0]}@{host}" if at and not local.startswith("+") else address
