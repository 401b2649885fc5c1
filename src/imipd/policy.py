"""What the operator allows a message to do: chosen in the configuration, obeyed by `itip` (docs/rules.md)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one account; the defaults are the careful ones."""

    invitations: Literal["ignore", "add"] = "ignore"
    """A REQUEST with an unknown UID (Q2)."""
    cancelled: Literal["mark", "delete"] = "mark"
    """What a CANCEL leaves behind (C3, C4)."""
    party_crashers: Literal["ignore", "add"] = "ignore"
    """An answer of somebody who was not invited (R5)."""
    published: Literal["ignore", "add"] = "ignore"
    """A PUBLISH."""
    sender: Literal["any", "from", "dkim", "dmarc"] = "from"
    """How far the originator must be proven (A2, G11)."""
    changes_per_hour: int = 60
    """How often one originator may change the account's calendars in an hour; 0 sets no limit (S8)."""


DEFAULTS = Policy()
