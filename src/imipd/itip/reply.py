"""REPLY: an Attendee answers, the recipient is the Organizer (RFC 5546 §3.2.3, rules R, V2, V3).

An answer changes the Attendee's own line and no other (A4).
"""

import re
from dataclasses import dataclass

from imipd.memory import Memory, Revision

from . import delegation, moment, recurrence, revision
from .authority import answering, listed_instead
from .decision import Decision, Error, NoAction, Reason
from .draft import MASTER, Draft, Target
from .instance import Instance, Party, ends
from .lines import Component, Line, written
from .message import CalendarObject, Context, ItipMessage

_EVENT = ("ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED")
ANSWERS = {"VEVENT": _EVENT, "VTODO": (*_EVENT, "COMPLETED", "IN-PROCESS")}  # RFC 5545 §3.2.12
LONGEST_COMMENT = 500
_PROGRESS = {
    "PERCENT-COMPLETE": re.compile(r"\d{1,2}|100"),
    "COMPLETED": re.compile(r"\d{8}T\d{6}Z"),
    "STATUS": re.compile("NEEDS-ACTION|IN-PROCESS|COMPLETED"),  # only the Organizer cancels
}
_STATUS_CODE = re.compile(r"\d(\.\d{1,3}){1,2}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one component of the message says for the Attendee."""

    item: Instance
    party: Party
    """His line in the message."""
    alias: str
    """His address on the list, where the ATTENDEE is nowhere on it (R5)."""
    context: Context

    @property
    def counts(self) -> bool:
        """Whether it says anything: an absent or NEEDS-ACTION PARTSTAT never erases an answer (R6)."""
        return self.party.partstat in ANSWERS.get(self.item.kind, _EVENT)

    def revision(self, address: str, label: str) -> Revision:
        """Return what is remembered of it."""
        return revision.of_message(self.item, address, label, self.context.date)


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the answer does to the Organizer's object."""
    if stored is None:
        return NoAction(Reason.UNKNOWN_UID)  # R1: an answer never creates anything
    said = answering(message, context)
    if said is None or any(_times_listed(said, item) != 1 for item in message.content.instances):
        return Error(Reason.MALFORMED, "a REPLY is of exactly one ATTENDEE")  # R4
    draft = Draft(stored, context)
    alias = listed_instead(said, stored, context)
    draft.findings.notes += comments(message)
    # The master first: an answer for one instance in the same mail then stands above it.
    for item in sorted(message.content.instances, key=lambda item: item.recurrence_id is not None):
        party = item.attendee(said.address)
        if party is not None:
            _carry_out(Answer(item, party, alias, context), draft)
    return draft.findings.conclude(stored, draft.calendar())


def _times_listed(said: Party, item: Instance) -> int:
    return sum(party.address == said.address for party in item.attendees)


def _carry_out(answer: Answer, draft: Draft) -> None:
    target = draft.target(answer.item.recurrence_id)
    if not isinstance(target, Target):
        draft.findings.refused.append(target)
        return
    listed = _listed(answer, target.item)
    refused = _refused(answer, target, listed, draft)
    if refused:
        draft.findings.refused.append(refused)
        return
    _apply(answer, target, listed, draft)
    if target.label == MASTER and answer.counts:
        _apply_to_overrides(answer, listed, draft)


def _listed(answer: Answer, item: Instance) -> Party | None:
    """Return the Attendee's stored line; From's where he answers from another of his addresses (R5)."""
    return item.attendee(answer.party.address) or item.attendee(answer.alias)


def _refused(answer: Answer, target: Target, listed: Party | None, draft: Draft) -> NoAction | Error | None:
    if _is_of_another_time(answer.item, target.item):
        return NoAction(Reason.STALE, "answers an earlier time")  # V3
    return _stale(answer, target, listed, draft) or _not_his(answer, target, listed, draft)


def _not_his(answer: Answer, target: Target, listed: Party | None, draft: Draft) -> NoAction | None:
    organizer = draft.stored.organizer
    if listed and organizer and listed.address == organizer.address:
        return NoAction(Reason.OWN_MESSAGE, "From is the ORGANIZER")  # A6
    if listed is None and not _may_join(answer, target.item):
        return NoAction(Reason.NOT_AN_ATTENDEE, answer.party.address)  # R5
    if not delegation.is_vouched(answer.party, target.item):
        return NoAction(Reason.NOT_AN_ATTENDEE, f"no delegator names {answer.party.address}")  # R9
    if target.item.status == "CANCELLED":
        return NoAction(Reason.ALREADY_CANCELLED, target.label)  # R10
    return None


def _may_join(answer: Answer, item: Instance) -> bool:
    if not answer.counts:
        return False  # who says nothing does not join
    delegated = bool(answer.party.addresses("DELEGATED-FROM")) and delegation.is_vouched(answer.party, item)
    return delegated or answer.context.policy.party_crashers == "add"


def _stale(answer: Answer, target: Target, listed: Party | None, draft: Draft) -> NoAction | None:
    known = _last_answer(answer, target.label, listed, draft)
    if listed and revision.attendee_is_stale(answer.revision(listed.address, target.label), known):
        return NoAction(Reason.STALE, "a later answer was applied")  # V2
    return None


def _last_answer(answer: Answer, label: str, listed: Party | None, draft: Draft) -> Revision | None:
    """Return his last answer to this very instance: one that came with the series is none (R8)."""
    whole = _listed(answer, draft.master) if draft.master and label != MASTER else None
    if listed and _came_with_series(listed, label, whole, answer.context.memory):
        return None
    return revision.last(listed, label, answer.context.memory)


def _came_with_series(there: Party, label: str, whole: Party | None, memory: Memory) -> bool:
    """Return whether his answer to an instance is the one to the series; one mail may bring two that differ (R8)."""
    if whole is None or there.partstat != whole.partstat:
        return False
    one, other = revision.last(there, label, memory), revision.last(whole, MASTER, memory)
    return one is not None and other is not None and revision.are_equal(one, other)


def _is_of_another_time(item: Instance, target: Instance) -> bool:
    """Return whether the answer is to an earlier version of this instance (V3)."""
    if item.sequence is not None and item.sequence >= (target.sequence or 0):
        return False
    pairs = [(item.start, target.start), (item.end, ends(target.kind, target.start, target.end))]
    carried = [(said, held) for said, held in pairs if said is not None]
    differs = any(held is None or not moment.are_same(said, held) for said, held in carried)
    if item.rules and target.recurrence_id is None:
        differs = differs or not recurrence.have_same_rules(item, target)
    # An absent SEQUENCE is unknown, not 0; a lower one counts only with a time that shows what was answered.
    return differs or (item.sequence is not None and not carried and not item.rules)


def _apply(answer: Answer, target: Target, listed: Party | None, draft: Draft) -> None:
    new = answer.revision(listed.address if listed else answer.party.address, target.label)
    part = _with_line(target.item, answer, listed, new)
    part = delegation.add_delegates(part, answer.party, frozenset(party.address for party in target.item.attendees))
    is_only_one = len(target.item.attendees) == (1 if listed else 0)
    if answer.item.kind == "VTODO" and answer.counts and is_only_one:
        part = _with_progress(part, answer.item.component)
    draft.put(target.label, part)
    draft.findings.reasons.append(Reason.ATTENDEE_REPLIED)
    draft.findings.revisions += [new] if answer.counts else []


def _apply_to_overrides(answer: Answer, before: Party | None, draft: Draft) -> None:
    """Carry an answer to the series on to the overrides that he has not answered for themselves (R8)."""
    for label, item in draft.overrides:
        listed = _listed(answer, item)
        if listed is None or _stands_apart(answer, item, draft):
            continue
        if listed.partstat == "NEEDS-ACTION" or _came_with_series(listed, label, before, answer.context.memory):
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


def _with_line(item: Instance, answer: Answer, listed: Party | None, new: Revision) -> Component:
    part = item.component
    if listed is None:
        return part.append([_joined(_answered(written("ATTENDEE", answer.party.line.value), answer, new))])
    for old in (party.line for party in item.attendees if party.address == listed.address):
        line = _answered(old, answer, new)
        part = part if line.key == old.key else part.swap(old, line)
    return part


def _joined(line: Line) -> Line:
    """Return the line of somebody who was not on the list; a delegate was sent, and says by whom."""
    parameters = line.parameters
    if "DELEGATED-FROM" not in parameters:
        parameters[revision.JOINED] = "TRUE"
    return written(line.name, line.value, parameters)


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
    return ",".join(dict.fromkeys(known)) or "2.0"


def _with_progress(part: Component, answered: Component) -> Component:
    """Return a task with what its only Attendee says of its progress (RFC 5546 §3.4.3)."""
    for name, form in _PROGRESS.items():
        values = [line.value.strip().upper() for line in answered.all(name) if line.is_readable]
        if len(values) == 1 and form.fullmatch(values[0]):
            part = part.set(name, values[0])
    return part


def comments(message: ItipMessage) -> list[str]:
    """Return each COMMENT as a row of the detail."""
    found = (line for item in message.content.instances for line in item.component.all("COMMENT"))
    texts = [line.plain.strip() for line in found]
    return [f"comment: {text[:LONGEST_COMMENT]}" for text in dict.fromkeys(texts) if text]
