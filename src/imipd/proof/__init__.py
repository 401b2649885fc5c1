"""The door of proof: does the mail come from whom its From names? By its border's word, by DKIM, by ARC."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Method = Literal["dkim", "dmarc"]
"""What is asked for: an aligned signature (RFC 6376), or that DMARC passes (RFC 7489)."""
Ask = Callable[[str], tuple[bytes, ...]]
"""Returns the TXT records of a name, none where there is no such name. Raises UnansweredError."""


class UnansweredError(Exception):
    """The resolver gave no answer; another time it may."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail that says of itself whom it is from."""

    originator: str
    """Comparable."""
    results: tuple[tuple[str, ...], ...]
    """Its Authentication-Results, the topmost first; those between two Received are together."""
    content: bytes
    time: datetime
    """When it is judged: a signature may have expired by then."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the originator is proven."""

    proven: bool
    detail: str
    """By what, or why not: one line."""


class Proof(Protocol):
    """Judges whom a mail comes from."""

    def of(self, method: Method, claim: Claim) -> Verdict:
        """Return whether the originator is proven, and why. Raises UnansweredError."""
