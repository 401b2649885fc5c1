"""REPLY: an Attendee answers, the recipient is the Organizer (RFC 5546 §3.2.3, rules R, V2, V3).

An answer changes the Attendee's own line and no other (A4).
"""

import re
from dataclasses import dataclass

from imipd.memory import Revision

from . import delegation, moment, recurrence, revision
from .authority import answering
from .decision import Decision, Error, NoAction, Reason
from .draft import MASTER, Draft, Target
from .instance import Instance, Party
from .lines import Component, Line, written
from .message import CalendarObject, Context, ItipMessage

ANSWERS = ("ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED", "COMPLETED", "IN-PROCESS")
LONGEST_COMMENT = 500
_PROGRESS = ("PERCENT-COMPLETE", "COMPLETED", "STATUS")
_STATUS_CODE = re.compile(r"\d(\.\d{1,3}){1,2}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one component of the message says for the Attendee."""

    item: Instance
    party: Party
    """His line in the message."""
    context: Context

    @property
    def counts(self) -> bool:
        """Whether it says anything: an absent or NEEDS-ACTION PARTSTAT never erases an answer (R6)."""
        return self.party.partstat in ANSWERS

    def revision(self, address: str, label: str) -> Revision:
        """Return what is remembered of it."""
        return revision.of_message(self.item, address, label, self.context.date)


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the answer does to the Organizer's object."""
    said = answering(message, context)
    if said is None or any(item.attendee(said.address) is None for item in message.content.instances):
        return Error(Reason.MALFORMED, "a REPLY is of exactly one ATTENDEE")  # R4
    if stored is None:
        return NoAction(Reason.UNKNOWN_UID)  # R1: an answer never creates anything
    draft = Draft(stored, context)
    draft.findings.notes += _comments(message)
    # The master first: an answer for one instance in the same mail then stands above it.
    for item in sorted(message.content.instances, key=lambda item: item.recurrence_id is not None):
        party = item.attendee(said.address)
        if party is not None:
            _carry_out(Answer(item, party, context), draft)
    return draft.findings.conclude(stored, draft.calendar())


def _carry_out(answer: Answer, draft: Draft) -> None:
    target = draft.target(answer.item.recurrence_id)
    if not isinstance(target, Target):
        draft.findings.refused.append(target)
        return
    listed = _listed(answer, target.item)
    refused = _refused(answer, target, listed)
    if refused:
        draft.findings.refused.append(refused)
        return
    before = revision.last(listed, target.label, answer.context.memory)
    _apply(answer, target, listed, draft)
    if target.label == MASTER and answer.counts:
        _apply_to_overrides(answer, before, draft)


def _listed(answer: Answer, item: Instance) -> Party | None:
    """Return the Attendee's stored line; From's where he answers from another of his addresses (R5)."""
    return item.attendee(answer.party.address) or item.attendee(answer.context.originator or "")


def _refused(answer: Answer, target: Target, listed: Party | None) -> NoAction | Error | None:
    if listed is None and not _may_join(answer, target.item):
        return NoAction(Reason.NOT_AN_ATTENDEE, answer.party.address)  # R5
    if not delegation.is_vouched(answer.party, target.item):
        return NoAction(Reason.NOT_AN_ATTENDEE, f"no delegator names {answer.party.address}")  # R9
    if target.item.status == "CANCELLED":
        return NoAction(Reason.ALREADY_CANCELLED, target.label)  # R10
    if _is_of_another_time(answer.item, target.item):
        return NoAction(Reason.STALE, "answers an earlier time")  # V3
    return _stale(answer, target.label, listed)


def _may_join(answer: Answer, item: Instance) -> bool:
    delegated = bool(answer.party.addresses("DELEGATED-FROM")) and delegation.is_vouched(answer.party, item)
    return delegated or answer.context.policy.party_crashers == "add"


def _stale(answer: Answer, label: str, listed: Party | None) -> NoAction | None:
    known = revision.last(listed, label, answer.context.memory)
    if listed and revision.attendee_is_stale(answer.revision(listed.address, label), known):
        return NoAction(Reason.STALE, "a later answer was applied")  # V2
    return None


def _is_of_another_time(item: Instance, target: Instance) -> bool:
    """Return whether the answer is to an earlier version of this instance (V3)."""
    if item.sequence is not None and item.sequence >= (target.sequence or 0):
        return False
    pairs = [(item.start, target.start), (item.end, target.end)]
    carried = [(said, held) for said, held in pairs if said is not None]
    differs = any(held is None or not moment.are_same(said, held) for said, held in carried)
    if item.rules and target.recurrence_id is None:
        differs = differs or {r.parts for r in item.rules} != {r.parts for r in target.rules}
    # An absent SEQUENCE is unknown, not 0; a lower one counts only with a time that shows what was answered.
    return differs or (item.sequence is not None and not carried and not item.rules)


def _apply(answer: Answer, target: Target, listed: Party | None, draft: Draft) -> None:
    new = answer.revision(listed.address if listed else answer.party.address, target.label)
    part = _with_line(target.item.component, answer, listed, new)
    part = delegation.add_delegates(part, answer.party, frozenset(party.address for party in target.item.attendees))
    if answer.item.kind == "VTODO" and len(target.item.attendees) == 1 and listed:
        part = _with_progress(part, answer.item.component)
    draft.put(target.label, part)
    draft.findings.reasons.append(Reason.ATTENDEE_REPLIED)
    draft.findings.revisions += [new] if answer.counts else []


def _apply_to_overrides(answer: Answer, before: Revision | None, draft: Draft) -> None:
    """Carry an answer to the series on to the overrides that he has not answered for themselves (R8)."""
    for label, item in draft.overrides:
        listed = _listed(answer, item)
        if listed is None or _stands_apart(answer, item, draft):
            continue
        there = revision.last(listed, label, answer.context.memory)
        if listed.partstat == "NEEDS-ACTION" or (there and before and revision.are_equal(there, before)):
            _apply(answer, Target(label, item), listed, draft)


def _stands_apart(answer: Answer, item: Instance, draft: Draft) -> bool:
    master, asked = draft.master, item.recurrence_id
    if master is None or master.start is None or asked is None or item.status == "CANCELLED":
        return True
    if answer.item.sequence is not None and (item.sequence or 0) > answer.item.sequence:
        return True
    start, end = recurrence.times_at(master, moment.in_form_of(asked, master.start))
    pairs = ((item.start, start), (item.end, end))
    return any(not (one == other or (one and other and moment.are_same(one, other))) for one, other in pairs)


def _with_line(part: Component, answer: Answer, listed: Party | None, new: Revision) -> Component:
    old = listed.line if listed else None
    line = _answered(old or written("ATTENDEE", answer.party.line.value), answer, new)
    if old is None:
        return part.append([line])
    return part if line.key == old.key else part.swap(old, line)


def _answered(line: Line, answer: Answer, new: Revision) -> Line:
    """Return his line with the answer; every parameter that the answer does not speak of stays (R6)."""
    parameters = line.parameters
    parameters["SCHEDULE-STATUS"] = _schedule_status(answer.item.component)
    if not answer.counts:
        return written(line.name, line.value, parameters)
    parameters["PARTSTAT"] = answer.party.partstat
    parameters.pop("RSVP", None)
    if "CN" not in parameters and answer.party.line.parameter("CN"):
        parameters["CN"] = answer.party.line.parameter("CN")
    if not line.parameter("PARTSTAT") and answer.party.line.parameter("DELEGATED-FROM"):
        parameters["DELEGATED-FROM"] = list(answer.party.line.values_of("DELEGATED-FROM"))
    delegation.name_delegates(parameters, answer.party)
    return revision.remember(written(line.name, line.value, parameters), new)


def _schedule_status(part: Component) -> str:
    """Return the delivery status from REQUEST-STATUS, else success (RFC 6638 §4.2, §3.2.9)."""
    codes = [line.value.partition(";")[0].strip() for line in part.all("REQUEST-STATUS") if line.is_readable]
    known = [code for code in codes if _STATUS_CODE.fullmatch(code)]
    return ",".join(known) or "2.0"


def _with_progress(part: Component, answered: Component) -> Component:
    """Return a task with what its only Attendee says of its progress (RFC 5546 §3.4.3)."""
    for name in _PROGRESS:
        if answered.all(name):
            part = part.put(name, answered.all(name))
    return part


def _comments(message: ItipMessage) -> list[str]:
    found = (line for item in message.content.instances for line in item.component.all("COMMENT"))
    texts = [line.plain.strip() for line in found]
    return [f"comment: {text[:LONGEST_COMMENT]}" for text in dict.fromkeys(texts) if text]
