"""COUNTER: an Attendee proposes another time, the recipient is the Organizer (RFC 5546 §3.2.7, rules M3 and M4).

Nothing moves: of a COUNTER only the answer that it carries is applied, as that of a REPLY would be. Google and
Outlook send no other.
"""

from dataclasses import replace

from imipd.address import comparable

from . import instance, lines, moment, reply
from .authority import answering
from .decision import Decision, Error, NoAction, Reason, Updated
from .instance import Instance
from .lines import Line, MalformedError, written
from .message import CalendarObject, Context, ItipMessage
from .zones import Zones

_ANSWERS = ("ACCEPTED", "TENTATIVE", "DECLINED")
_ANSWERED = ("UID", "DTSTAMP", "SEQUENCE", "RECURRENCE-ID", "ORGANIZER", "COMMENT", "X-MICROSOFT-CDO-REPLYTIME")
# Exchange says beside the proposed time which one it answers ([MS-OXCICAL] §2.1.3.1.1.20).
_ORIGINAL = {"X-MS-OLK-ORIGINALSTART": "DTSTART", "X-MS-OLK-ORIGINALEND": "DTEND"}
MOST_PROPOSALS = 5


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the answer in the proposal does to the Organizer's object; the proposal itself is only told."""
    if stored is None:
        return NoAction(Reason.UNKNOWN_UID)
    said = answering(message, context)
    if said is None:
        if not message.content.attendees:
            return Error(Reason.MALFORMED, "a COUNTER without ATTENDEE")
        return Error(Reason.SENDER_IS_NOT_THE_ATTENDEE, "From is none of several ATTENDEEs")
    answers = tuple(_answer(item, said.address, message.content.zones) for item in message.content.instances)
    counting = tuple(item for item in answers if any(party.partstat in _ANSWERS for party in item.attendees))
    # Nobody joins by a proposal.
    alone = replace(context, policy=replace(context.policy, party_crashers="ignore"))
    answer = ItipMessage("REPLY", replace(message.content, instances=counting or answers))
    decision = reply.decide(answer, stored, alone)
    detail = "; ".join(filter(None, (*_proposals(message), decision.detail)))
    if isinstance(decision, Updated) and counting:
        return replace(decision, reason=Reason.COUNTER_PROPOSAL, detail=detail)
    if isinstance(decision, Updated) or (decision.reason is Reason.NO_CHANGE and not counting):
        return NoAction(Reason.COUNTER_PROPOSAL, detail)
    return decision


def _answer(item: Instance, address: str, known: Zones) -> Instance:
    """Return the REPLY within a component: what it proposes left out, what it answers in the place of that."""
    kept = [line for line in item.component.lines if line.name in _ANSWERED]
    kept += [_said(line) for line in item.component.all("ATTENDEE") if comparable(line.value) == address]
    answered = (line for line in item.component.lines if line.name in _ORIGINAL and line.is_readable)
    times = [written(_ORIGINAL[line.name], line.value, line.parameters) for line in answered]
    try:
        return instance.read(lines.component(item.kind, [*kept, *times]), known)
    except MalformedError:
        return instance.read(lines.component(item.kind, kept), known)  # the door has read these


def _said(line: Line) -> Line:
    if line.parameter("PARTSTAT").upper() in _ANSWERS:
        return line
    parameters = line.parameters
    parameters.pop("PARTSTAT", None)  # who delegates, or tells of his work, sends a REPLY
    return written(line.name, line.value, parameters)


def _proposals(message: ItipMessage) -> list[str]:
    times = ((item.start, item.end) for item in message.content.instances[:MOST_PROPOSALS])
    said = ([moment.label(at) for at in pair if at is not None] for pair in times)
    return [f"proposed: {' to '.join(labels)}" for labels in said if labels]
