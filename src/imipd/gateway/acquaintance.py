"""Whether the recipient knows who invites him: asked only where nothing else is against the invitation (Q2)."""

from itertools import islice

from imipd import itip
from imipd.itip import Context, Decision, MalformedError, Reason
from imipd.store import Home, Store

MOST = 1000
"""Events with one address that are looked at."""


def turns_on_it(decision: Decision, context: Context) -> bool:
    """Return whether the invitation would be added, if who invites were known."""
    return decision.reason is Reason.INVITATION_NOT_ADDED and context.policy.invitations == "known"


def is_known(address: str, context: Context, home: Home, store: Store) -> bool:
    """Return whether a contact or an event of the recipient tells of this address. Raises StoreError."""
    if "@" not in address or not address.isprintable():
        return False  # nobody mails from there
    if store.has_contact(home, address):
        return True
    return any(_shows(body, address, context) for body in islice(store.mentions(home, address), MOST))


def _shows(body: bytes, address: str, context: Context) -> bool:
    try:
        return itip.shows(itip.read(body), address, context)
    except MalformedError:
        return False
