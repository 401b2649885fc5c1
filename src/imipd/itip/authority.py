"""Who may say what: judged against the stored object, never against the lists in the message alone (rules A).

Nothing that the message itself brings along proves anything (RFC 6047 §2.2.1).
"""

from collections.abc import Sequence

from imipd.address import comparable, is_listed, without_detail
from imipd.policy import Policy

from . import revision
from .decision import Error, NoAction, Reason
from .instance import Party
from .message import CalendarObject, Context, ItipMessage

_OF_PUBLISHED = ("PUBLISH", "ADD", "CANCEL")


def choose(found: Sequence[CalendarObject], message: ItipMessage, context: Context) -> CalendarObject | Error | None:
    """Return the stored object that the message speaks of: the one in which my role fits (A7)."""
    if len(found) < 2:
        return found[0] if found else None
    fitting = [item for item in found if _role_fits(item, message, context)]
    if len(fitting) > 1:
        return Error(Reason.AMBIGUOUS_UID, f"{len(fitting)} calendars hold it")
    return fitting[0] if fitting else found[0]


def _role_fits(stored: CalendarObject, message: ItipMessage, context: Context) -> bool:
    if message.is_of_attendee:
        return stored.organizer is not None and context.is_me(stored.organizer.address)
    mine = _is_published(stored, message, context) or any(context.is_me(party.address) for party in stored.attendees)
    return mine and not _is_my_own(stored, context)


def _is_published(stored: CalendarObject, message: ItipMessage, context: Context) -> bool:
    """Return whether the Organizer may speak of an object that lists nobody (M8)."""
    return context.policy.published == "add" and not stored.attendees and message.method in _OF_PUBLISHED


def _is_my_own(stored: CalendarObject, context: Context) -> bool:
    """Return whether I organize it here.

    A copy that a message of the ORGANIZER brought is an Attendee's (A6). Only the object itself tells: the ledger
    cannot know that the Organizer's client has put its own in the place of it.
    """
    organizer = stored.organizer
    return organizer is not None and context.is_me(organizer.address) and not revision.is_written(organizer)


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
    mine = {without_detail(party.address) for party in message.content.attendees if context.is_me(party.address)}
    if mine - {without_detail(organizer.address)}:
        return None  # two people of one account
    return NoAction(Reason.OWN_MESSAGE, "the ORGANIZER is the recipient")


def _both_mine(message: ItipMessage, said: Party, organizer: Party, context: Context) -> bool:
    """An answer may name any of my own addresses as its ORGANIZER."""
    return message.is_of_attendee and context.is_me(said.address) and context.is_me(organizer.address)


def _wrong_role(message: ItipMessage, stored: CalendarObject, context: Context) -> NoAction | Error | None:
    if message.is_of_attendee:
        return _wrong_answer(message, stored.organizer, context)
    if _is_my_own(stored, context):
        return NoAction(Reason.OWN_MESSAGE, "the stored ORGANIZER is the recipient")  # A6
    if message.method == "PUBLISH" and stored.attendees:
        return Error(Reason.IS_A_MEETING, "the stored object has ATTENDEEs")  # M8
    if _is_published(stored, message, context):
        return None
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
    if organizer is None or _speaks_for(organizer.address, context):
        return None
    known = organizer if stored else organizer_of_first_half(message.content, context)
    if (known and _is_named(known, context)) or (stored is None and is_first_contact(message, context)):
        return None
    detail = f"From {context.originator or 'nobody in particular'}, ORGANIZER {organizer.address}"
    return Error(Reason.SENDER_IS_NOT_THE_ORGANIZER, detail)


def _speaks_for(address: str, context: Context) -> bool:
    """Return whether From is the Organizer with this address, or may speak for each (A2)."""
    return context.policy.sender == "any" or context.originator == address or is_trusted(context)


def _is_named(stored: Party, context: Context) -> bool:
    """Return whether the *stored* line names From: as SENT-BY, EMAIL or who first brought the event (A2)."""
    named = stored.addresses("SENT-BY") | stored.addresses("EMAIL") | {revision.first(stored, context.memory)}
    return context.originator is not None and context.originator in named


def is_trusted(context: Context) -> bool:
    """Return whether the operator lets From speak for others (A2)."""
    return is_listed(context.originator, context.policy.trusted_senders)


def is_first_contact(message: ItipMessage, context: Context) -> bool:
    """Return whether From may bring a new event of a calendar id, from which nobody ever mails (A2).

    Where the ledger knows who brought it before, only he may; and nobody whose address could not be remembered.
    """
    organizer = message.content.organizer
    if message.method != "REQUEST" or context.policy.invitations == "ignore":
        return False
    if organizer is None or context.originator is None:
        return False
    is_calendar = is_listed(organizer.address, (f"*@{name}" for name in context.policy.calendar_ids))
    return is_calendar and revision.first(organizer, context.memory) in ("", context.originator)


def first_brought_by(message: ItipMessage, context: Context) -> str:
    """Return the address to be remembered as who first brought a new event, empty where that is nobody else's."""
    half = organizer_of_first_half(message.content, context)
    is_half = half is not None and _is_named(half, context)
    is_new = is_first_contact(message, context) and not is_trusted(context)
    if is_half or is_new or context.policy.sender == "any":
        return context.originator or ""
    return half.line.parameter(revision.FIRST) if half else ""


def organizer_of_first_half(content: CalendarObject, context: Context) -> Party | None:
    """Return the stored ORGANIZER of my series of which the message brings the second half (Q2)."""
    first, said = context.split_from, content.organizer
    if first is None or first.organizer is None or said is None or first.organizer.address != said.address:
        return None
    return first.organizer if any(context.is_me(party.address) for party in first.attendees) else None


def brings_second_half(message: ItipMessage, context: Context) -> bool:
    """Return whether it is the second half of a series of mine, from whom A2 lets change the first (Q2).

    Who may bring new events alone, a delegator or a first contact, may not.
    """
    half = organizer_of_first_half(message.content, context)
    return half is not None and (_speaks_for(half.address, context) or _is_named(half, context))


def _selves(address: str | None, policy: Policy) -> frozenset[str]:
    """Return the addresses of the person who has this one, also those that the operator names (A2).

    Found once for thousands of others: a message may list as many as it likes.
    """
    groups = (group for group in policy.attendee_aliases if is_listed(address, group))
    return frozenset(comparable(each) for group in groups for each in group) | ({address} if address else set())


def speaks_for_himself(message: ItipMessage, context: Context) -> bool:
    """Return whether a new invitation is From's own: he delegates, or is the first for a calendar id (A1, A2)."""
    organizer = message.content.organizer
    if organizer is None or context.originator == organizer.address:
        return False
    return _delegates_to_me(message, context) or is_first_contact(message, context)


def _delegates_to_me(message: ItipMessage, context: Context) -> bool:
    """An Attendee who delegates to me may hand me the invitation; `request` sees that he changes nothing (A1)."""
    mine = (party for party in message.content.attendees if context.is_me(party.address))
    originators = _selves(context.originator, context.policy)
    return message.method == "REQUEST" and any(party.addresses("DELEGATED-FROM") & originators for party in mine)


def _wrong_attendee(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Error | None:
    said = answering(message, context)
    if said is None:
        return None  # what it lacks, the method says
    listed = {said.address, listed_instead(said, stored, context) if stored else ""}
    if is_trusted(context) or listed & _selves(context.originator, context.policy):
        return None
    known = [party for party in stored.attendees if party.address in listed] if stored else []
    if any(_is_named(party, context) for party in known):
        return None
    detail = f"From {context.originator or 'nobody in particular'}, ATTENDEE {said.address}"
    return Error(Reason.SENDER_IS_NOT_THE_ATTENDEE, detail)


def listed_instead(said: Party, stored: CalendarObject, context: Context) -> str:
    """Return the address on the list whose line an ATTENDEE means who is not on it, empty where there is none (R5).

    One of his own; else one of From's, because Outlook answers from the primary address for an alias. Of somebody who
    speaks for others From says nothing.
    """
    listed = {party.address for party in stored.attendees}
    if said.address in listed:
        return ""
    for address in (said.address,) if is_trusted(context) else (said.address, context.originator):
        same = listed & _selves(address, context.policy)
        if context.originator in same:
            return context.originator
        if same:
            return next(iter(same)) if len(same) == 1 else ""
    return ""


def answering(message: ItipMessage, context: Context) -> Party | None:
    """Return the one ATTENDEE who answers; None where the message is of several or of nobody (R4).

    A delegator's answer also names the delegate and the delegate's the delegator, and a COUNTER may repeat the whole
    list: then it is From's (RFC 5546 §4.2.5, §3.2.7).
    """
    listed = message.content.attendees
    addresses = {party.address for party in listed}
    if len(addresses) > 1 and (message.method == "COUNTER" or _tell_of_delegation(listed)):
        addresses &= _selves(context.originator, context.policy)
    if len(addresses) != 1:
        return None
    return next(party for party in listed if party.address in addresses)


def _tell_of_delegation(listed: Sequence[Party]) -> bool:
    return any(party.addresses("DELEGATED-TO") or party.addresses("DELEGATED-FROM") for party in listed)
