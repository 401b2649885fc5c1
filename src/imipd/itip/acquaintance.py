"""Whom the recipient knows already: the policy ``invitations = "known"`` (rule Q2).

Nothing makes a stranger known that he can do himself: not his invitation, not his answer, not who else invites him.
"""

from imipd.address import is_listed

from . import authority, revision
from .instance import Party
from .message import CalendarObject, Context, ItipMessage

_WILLING = ("ACCEPTED", "TENTATIVE")


def unwanted(message: ItipMessage, context: Context) -> str:
    """Return why the policy does not add a new event, empty where it does."""
    policy, address = context.policy, inviter(message, context)
    if policy.invitations == "ignore":
        return "policy invitations = ignore"
    if policy.invitations == "add" or context.known or context.is_me(address):
        return ""
    return "" if is_listed(address, policy.known_senders) else f"{address} is not known, policy invitations = known"


def inviter(message: ItipMessage, context: Context) -> str:
    """Return the address that has to be known: From where it speaks for itself, else the ORGANIZER (A1, A2)."""
    organizer, originator = message.content.organizer, context.originator or ""
    if organizer is None or authority.speaks_for_himself(message, context):
        return originator
    return organizer.address


def shows(stored: CalendarObject, address: str, context: Context) -> bool:
    """Return whether a stored event shows that I know an address: I invited him, or I accepted his invitation."""
    organizer = stored.organizer
    if organizer is None:
        return False
    if organizer.address == address:
        return any(context.is_me(party.address) and party.partstat in _WILLING for party in stored.attendees)
    is_mine = context.is_me(organizer.address) and not revision.is_written(organizer)
    return is_mine and any(party.address == address and _is_invited(party) for party in stored.attendees)


def _is_invited(party: Party) -> bool:
    """Return whether the Organizer himself put him on the list, not an answer (R5, R9)."""
    return not party.line.parameter(revision.JOINED) and not party.addresses("DELEGATED-FROM")
