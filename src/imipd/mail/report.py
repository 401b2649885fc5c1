"""A delivery status notification: whom a mail never reached (RFC 3464), and what that mail carried (RFC 6522)."""

import re
from collections.abc import Iterable

from imipd.address import comparable

from .tree import BOUNCE, STATUS, Entity

_FOR_GOOD = re.compile(r"5\.\d{1,3}\.\d{1,3}\b")  # RFC 3463 §2: 4 may still succeed, and is told again
_MOST = 100
"""Recipients of one report that are looked at."""


def failed(leaves: Iterable[Entity]) -> tuple[str, ...]:
    """Return the comparable addresses that a mail failed to reach for good, of a report that is the whole mail."""
    blocks = (leaf for leaf in leaves if leaf.holder == STATUS and leaf.inside == BOUNCE and leaf.depth == 2)
    found = [address for block in blocks if _is_final(block) for address in _addresses(block)]
    return tuple(dict.fromkeys(found))[:_MOST]


def _is_final(block: Entity) -> bool:
    action, status = (str(block.get(name, "")).strip() for name in ("Action", "Status"))
    return action.lower() == "failed" and _FOR_GOOD.match(status) is not None


def _addresses(block: Entity) -> Iterable[str]:
    """Yield the recipient as he was written to, and as the mail was passed on (RFC 3464 §2.3.1, §2.3.2)."""
    for name in ("Original-Recipient", "Final-Recipient"):
        kind, _, address = str(block.get(name, "")).partition(";")
        if kind.strip().lower() == "rfc822" and "@" in address:
            yield comparable(address.strip().strip("<>"))
