"""Whether the recipient knows who invites him: asked only where nothing else is against the invitation (Q2)."""

from dataclasses import dataclass, replace
from itertools import islice

from imipd import itip
from imipd.itip import CalendarObject, Context, Decision, ItipMessage, MalformedError, Reason
from imipd.store import Home, Store

MOST = 1000
"""Events with one address that are looked at."""
LONGEST = 320
"""Characters of an address that is asked for (RFC 5321 §4.5.3.1): each answer is remembered, together with it."""


@dataclass(frozen=True, slots=True)
class People:
    """Where it stands whom one account knows."""

    home: Home
    store: Store


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context, people: People) -> Decision:
    """Return the decision; whether who invites is known is asked where it turns on that. Raises StoreError."""
    decision = itip.decide(message, stored, context)
    if decision.reason is not Reason.INVITATION_NOT_ADDED or context.policy.invitations != "known":
        return decision
    known = _is_known(itip.inviter(message, context), context, people)
    return itip.decide(message, stored, replace(context, known=known))


def _is_known(address: str, context: Context, people: People) -> bool:
    """Return whether a contact or an event of the recipient tells of this address."""
    if "@" not in address or not address.isprintable() or len(address) > LONGEST:
        return False  # nobody mails from there
    if people.store.has_contact(people.home, address):
        return True
    return any(_shows(body, address, context) for body in islice(people.store.mentions(people.home, address), MOST))


def _shows(body: bytes, address: str, context: Context) -> bool:
    try:
        return itip.shows(itip.read(body), address, context)
    except MalformedError:
        return False
