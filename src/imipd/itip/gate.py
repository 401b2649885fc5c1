"""What is refused before anything is looked up: the message's own faults, and what is not for us (G, Q1, C2)."""

from . import recurrence
from .decision import Error, NoAction, Reason
from .instance import Instance
from .message import KINDS, OF_JOURNALS, PROCESSED, RETURNED, Context, ItipMessage

_PROOF = ("dkim", "dmarc")


def gate(message: ItipMessage, context: Context) -> NoAction | Error | None:
    """Return why the message is refused whatever is stored, None where the calendar has to be asked."""
    if message.method == RETURNED:
        # Nobody can prove the sender of a report: it comes from whatever mail server gave up (B1).
        return None if context.policy.bounces == "mark" else NoAction(Reason.BOUNCE, "policy bounces = ignore")
    return _unsupported(message) or _unaskable(message) or _not_for_me(message, context) or _unproven(context)


def _unsupported(message: ItipMessage) -> NoAction | None:
    if not message.method:
        return NoAction(Reason.NOT_ITIP, "neither the calendar nor its part names a METHOD")
    if message.content.kind not in KINDS:
        return NoAction(Reason.UNSUPPORTED_COMPONENT, message.content.kind)
    if message.method not in PROCESSED:
        return NoAction(Reason.UNSUPPORTED_METHOD, message.method)
    if message.content.kind == "VJOURNAL" and message.method not in OF_JOURNALS:
        return NoAction(Reason.UNSUPPORTED_METHOD, f"{message.method} of a VJOURNAL")
    # RANGE=THISANDFUTURE is understood in a CANCEL alone, and never taken for one instance (R11, Q8, C5).
    if message.method != "CANCEL" and any(item.this_and_future for item in message.content.instances):
        return NoAction(Reason.UNSUPPORTED_RANGE, "RANGE=THISANDFUTURE")
    return None


def _unaskable(message: ItipMessage) -> Error | None:
    if not all(recurrence.is_askable(item) for item in message.content.instances):
        return Error(Reason.TOO_LARGE, "an RRULE that cannot be expanded in bounded time")  # G9
    master = message.content.master
    if master is not None and not recurrence.is_possible(master):
        return Error(Reason.TOO_LARGE, "an RRULE that never matches")
    return None


def _not_for_me(message: ItipMessage, context: Context) -> NoAction | Error | None:
    content = message.content
    if len({item.organizer.address for item in content.instances if item.organizer}) > 1:
        return Error(Reason.MALFORMED, "its components name several ORGANIZERs")  # A3
    if message.is_of_attendee:
        return None
    if message.method == "PUBLISH" and context.policy.published == "ignore":
        return NoAction(Reason.PUBLISHED_NOT_ADDED, "policy published = ignore")  # M7
    if message.method == "REQUEST" and not (content.organizer and content.attendees):
        return Error(Reason.MALFORMED, "a REQUEST without ORGANIZER and ATTENDEE")  # Q1
    if any(item.start is None and _needs_start(item, message.method) for item in content.instances):
        return Error(Reason.MALFORMED, f"a {content.kind} without DTSTART")
    listed = () if message.method == "PUBLISH" else content.attendees
    if listed and not any(context.is_me(party.address) for party in listed):
        return NoAction(Reason.NOT_INVITED, "no ATTENDEE has an address of the recipient")  # Q1, C2
    return None


def _unproven(context: Context) -> Error | None:
    """The last, since to prove it may cost questions to the DNS: what is refused anyway is not worth them."""
    if context.policy.sender in _PROOF and not context.proven:
        return Error(Reason.SENDER_NOT_PROVEN, context.proof or f"the policy asks for {context.policy.sender}")  # G11
    return None


def _needs_start(item: Instance, method: str) -> bool:
    """Return whether a component without DTSTART is of no use: a task may have none, what is added has its time."""
    return method == "ADD" or (method in ("REQUEST", "PUBLISH") and item.kind == "VEVENT")
