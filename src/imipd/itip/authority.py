"""Who may say what: judged against the stored object, never against the lists in the message alone (rules A).

Nothing that the message itself brings along proves anything (RFC 6047 §2.2.1).
"""

from collections.abc import Sequence

from .decision import Error, NoAction, Reason
from .instance import Party
from .message import CalendarObject, Context, ItipMessage
from .revision import FIRST


def choose(found: Sequence[CalendarObject], message: ItipMessage, context: Context) -> CalendarObject | Error | None:
    """Return the stored object that the message speaks of: the one in which my role fits (A7)."""
    if len(found) < 2:
        return found[0] if found else None
    fitting = [item for item in found if _role_fits(item, message, context)]
    if len(fitting) > 1:
        return Error(Reason.AMBIGUOUS_UID, f"{len(fitting)} calendars hold it")
    return fitting[0] if fitting else found[0]


def _role_fits(stored: CalendarObject, message: ItipMessage, context: Context) -> bool:
    organizer = stored.organizer
    mine = organizer is not None and context.is_me(organizer.address)
    if message.is_of_attendee:
        return mine
    return not mine and any(context.is_me(party.address) for party in stored.attendees)


def refuse(message: ItipMessage, stored: CalendarObject | None, context: Context) -> NoAction | Error | None:
    """Return why the originator may not say this of the stored object, None where he may."""
    if stored is None:
        return _wrong_sender(message, None, context) or _own_invitation(message, context)
    return (
        _not_the_organizer(message, stored.organizer, context)
        or _wrong_object(message, stored, context)
        or _wrong_role(message, stored, context)
        or _wrong_sender(message, stored, context)
    )


def _wrong_object(message: ItipMessage, stored: CalendarObject, context: Context) -> Error | None:
    said, organizer = message.content.organizer, stored.organizer
    if organizer is None:
        return Error(Reason.NOT_A_MEETING, "the stored object has no ORGANIZER")  # A3
    if said and said.address != organizer.address and not _both_mine(message, said, organizer, context):
        return Error(Reason.ORGANIZER_CHANGED, f"stored {organizer.address}, message {said.address}")  # A3
    if stored.kind != message.content.kind:
        return Error(Reason.COMPONENT_CHANGED, f"stored {stored.kind}, message {message.content.kind}")  # A5
    return None


def _own_invitation(message: ItipMessage, context: Context) -> NoAction | None:
    """Nobody invites himself: such a mail is a copy, or a stranger has my address in From (A6)."""
    organizer = message.content.organizer
    if message.is_of_attendee or organizer is None or not context.is_me(organizer.address):
        return None
    mine = {party.address for party in message.content.attendees if context.is_me(party.address)}
    if mine - {organizer.address}:
        return None  # two people of one account
    return NoAction(Reason.OWN_MESSAGE, "the ORGANIZER is the recipient")


def _both_mine(message: ItipMessage, said: Party, organizer: Party, context: Context) -> bool:
    """An answer may name any of my own addresses as its ORGANIZER."""
    return message.is_of_attendee and context.is_me(said.address) and context.is_me(organizer.address)


def _wrong_role(message: ItipMessage, stored: CalendarObject, context: Context) -> NoAction | Error | None:
    organizer = stored.organizer
    mine = organizer is not None and context.is_me(organizer.address)
    if message.is_of_attendee:
        return _wrong_answer(message, organizer, context)
    if mine:
        return NoAction(Reason.OWN_MESSAGE, "the stored ORGANIZER is the recipient")  # A6
    if not any(context.is_me(party.address) for party in stored.attendees):
        return NoAction(Reason.NOT_INVITED, "the stored object does not list the recipient")  # A7
    return None


def _not_the_organizer(message: ItipMessage, organizer: Party | None, context: Context) -> Error | None:
    """An answer to a meeting of somebody else's is not compared with it any further (A7, R2)."""
    if not message.is_of_attendee or organizer is None or context.is_me(organizer.address):
        return None
    return Error(Reason.NOT_THE_ORGANIZER, f"the stored ORGANIZER is {organizer.address}")


def _wrong_answer(message: ItipMessage, organizer: Party | None, context: Context) -> NoAction | None:
    said = answering(message, context)
    if said and organizer and said.address == organizer.address:
        return NoAction(Reason.OWN_MESSAGE, "the ATTENDEE who answers is the ORGANIZER")  # A6
    return None


def _wrong_sender(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Error | None:
    if context.policy.sender == "any":
        return None
    if message.is_of_attendee:
        return _wrong_attendee(message, stored, context)
    return None if _delegates_to_me(message, context) else not_from_the_organizer(message, stored, context)


def not_from_the_organizer(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Error | None:
    """Return why the originator does not speak for the Organizer, None where he does (A2)."""
    organizer = stored.organizer if stored else message.content.organizer
    if context.policy.sender == "any" or organizer is None:
        return None
    if _speaks_for(context.originator, organizer, is_stored=stored is not None):
        return None
    detail = f"From {context.originator or 'nobody in particular'}, ORGANIZER {organizer.address}"
    return Error(Reason.SENDER_IS_NOT_THE_ORGANIZER, detail)


def _speaks_for(originator: str | None, party: Party, *, is_stored: bool) -> bool:
    """From is the party itself, or what the *stored* line names: SENT-BY, EMAIL, who first brought the event (A2)."""
    if originator is None:
        return False
    named = (party.addresses(name) for name in ("SENT-BY", "EMAIL", FIRST))
    return originator == party.address or (is_stored and any(originator in addresses for addresses in named))


def _delegates_to_me(message: ItipMessage, context: Context) -> bool:
    """An Attendee who delegates to me may hand me the invitation; `request` sees that he changes nothing (A1)."""
    return message.method == "REQUEST" and any(
        context.originator in party.addresses("DELEGATED-FROM")
        for party in message.content.attendees
        if context.is_me(party.address)
    )


def _wrong_attendee(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Error | None:
    said = answering(message, context)
    if said is None:
        return None  # what it lacks, the method says
    if said.address == context.originator or (stored and _listed_instead(said, stored, context)):
        return None
    known = [party for party in stored.attendees if party.address == said.address] if stored else []
    if any(_speaks_for(context.originator, party, is_stored=True) for party in known):
        return None
    detail = f"From {context.originator or 'nobody in particular'}, ATTENDEE {said.address}"
    return Error(Reason.SENDER_IS_NOT_THE_ATTENDEE, detail)


def _listed_instead(said: Party, stored: CalendarObject, context: Context) -> bool:
    """Outlook answers from the primary address for an alias: From is on the list, the ATTENDEE is not (R5)."""
    listed = {party.address for party in stored.attendees}
    return said.address not in listed and context.originator in listed


def answering(message: ItipMessage, context: Context) -> Party | None:
    """Return the one ATTENDEE who answers; None where the message is of several or of nobody (R4).

    A delegator's answer also names the delegate and the delegate's the delegator, and a COUNTER may repeat the whole
    list: then it is From's (RFC 5546 §4.2.5, §3.2.7).
    """
    listed = message.content.attendees
    addresses = {party.address for party in listed}
    if len(addresses) > 1 and (message.method == "COUNTER" or _tell_of_delegation(listed)):
        addresses &= {context.originator}
    if len(addresses) != 1:
        return None
    return next(party for party in listed if party.address in addresses)


def _tell_of_delegation(listed: Sequence[Party]) -> bool:
    return any(party.addresses("DELEGATED-TO") or party.addresses("DELEGATED-FROM") for party in listed)
