"""DECLINECOUNTER: the Organizer stays with his time, the recipient has proposed another (RFC 5546 §3.2.8, rule M5)."""

from .decision import Decision, NoAction, Reason
from .message import CalendarObject, Context, ItipMessage
from .reply import comments


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:  # noqa: ARG001  the door's
    """Return that nothing is to be done: the calendar never had the proposed time."""
    if stored is None:
        return NoAction(Reason.UNKNOWN_UID)
    return NoAction(Reason.COUNTER_DECLINED, "; ".join(comments(message)))
