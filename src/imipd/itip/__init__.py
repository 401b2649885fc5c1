"""The door to iTIP: a message, what is stored and a context in, a `Decision` out (RFC 5546, docs/rules.md).

Pure: no socket, no file, no clock. `gather` and `read` are where bytes are read and checked; they raise
`MalformedError` or give values that nothing past them can stumble over.
"""

from collections.abc import Sequence

from . import add, authority, bounce, cancel, counter, declinecounter, publish, refresh, reply, request
from .acquaintance import inviter, shows
from .bounce import returned
from .decision import Added, Decision, Error, NoAction, Reason, Removed, Updated
from .gate import gate
from .lines import Component, MalformedError
from .message import RETURNED, CalendarObject, Context, ItipMessage, Limits, parse, read
from .parts import Unprocessed, gather
from .request import first_half
from .wire import same, settled

METHODS = {
    "REQUEST": request.decide,
    "REPLY": reply.decide,
    "CANCEL": cancel.decide,
    "ADD": add.decide,
    "COUNTER": counter.decide,
    "DECLINECOUNTER": declinecounter.decide,
    "REFRESH": refresh.decide,
    "PUBLISH": publish.decide,
    RETURNED: bounce.decide,
}


def choose(found: Sequence[CalendarObject], message: ItipMessage, context: Context) -> CalendarObject | Error | None:
    """Return the stored object that the message speaks of (A7)."""
    return authority.choose(found, message, context)


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the message does to what is stored, and why."""
    refused = gate(message, context) or (None if message.failed else authority.refuse(message, stored, context))
    return refused or METHODS[message.method](message, stored, context)


__all__ = [
    "Added",
    "CalendarObject",
    "Component",
    "Context",
    "Decision",
    "Error",
    "ItipMessage",
    "Limits",
    "MalformedError",
    "NoAction",
    "Reason",
    "Removed",
    "Unprocessed",
    "Updated",
    "choose",
    "decide",
    "first_half",
    "gate",
    "gather",
    "inviter",
    "parse",
    "read",
    "returned",
    "same",
    "settled",
    "shows",
]
