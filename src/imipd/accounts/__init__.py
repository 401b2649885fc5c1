"""The door to the accounts: whose mail is this, and where is his calendar?"""

from dataclasses import dataclass
from typing import Protocol

from imipd.policy import Policy
from imipd.store import Home


@dataclass(frozen=True, slots=True)
class Account:
    """One person's, room's or role's calendars, and the addresses at which mail for them arrives."""

    name: str
    """Identifies the account in the ledger: its user, which is its first address where none is configured; of a
    whole domain's rule the address in that domain."""
    addresses: tuple[str, ...]
    """Comparable, the first of them the one that fills templates; at least one."""
    home: Home
    policy: Policy
    by_domain: bool = False
    """Served by a rule for its whole domain: whether the account exists, only the calendar server knows."""


class Accounts(Protocol):
    """Who is served."""

    def account_of(self, address: str) -> Account | None:
        """Return the account that mail to this address belongs to (any case, with or without +detail)."""
