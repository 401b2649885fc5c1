"""REFRESH: an Attendee asks for the latest version, the recipient is the Organizer (RFC 5546 §3.2.6, rule M6).

imipd sends no mail, so the question is recorded and not answered.
"""

from .authority import answering
from .decision import Decision, Error, NoAction, Reason
from .draft import Draft, Target
from .message import CalendarObject, Context, ItipMessage
from .reply import comments


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return who asked, where he may: an Attendee, of an instance that there is."""
    if stored is None:
        return NoAction(Reason.UNKNOWN_UID)
    said = answering(message, context)
    if said is None:
        return Error(Reason.MALFORMED, "a REFRESH is of exactly one ATTENDEE")
    draft = Draft(stored, context)
    for item in message.content.instances:
        target = draft.target(item.recurrence_id)
        if not isinstance(target, Target):
            return target
        if not (target.item.attendee(said.address) or target.item.attendee(context.originator or "")):
            return NoAction(Reason.NOT_AN_ATTENDEE, said.address)
    return NoAction(Reason.REFRESH_REQUESTED, "; ".join(comments(message)))
