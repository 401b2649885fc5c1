"""How much of a mail is looked at (rules.md G9)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a mail may cost; beyond any of these it is ``too-large``."""

    mail: int = 25 * 2**20
    """Bytes of the whole mail."""
    part: int = 2**20
    """Bytes of one calendar part, decoded."""
    mime_parts: int = 200
    """MIME entities, multiparts included."""
    mime_depth: int = 30
    """Multiparts and attached mails within each other."""


LIMITS = Limits()


class TooLargeError(Exception):
    """The mail exceeds a limit; the text says which."""
