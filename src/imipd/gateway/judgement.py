"""What is to be done about one iTIP message for one recipient: as a value, as an outcome, as a ledger entry."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from imipd.accounts import Account
from imipd.envelope import Envelope
from imipd.itip import Added, Context, Decision, Error, ItipMessage, NoAction, Reason, Removed, Unprocessed, Updated
from imipd.ledger import WRITTEN, Entry, Recorded
from imipd.mail import Mail
from imipd.memory import NOTHING, Memory
from imipd.proof import Method, Verdict
from imipd.store import Stored

FOUND_DONE = (Reason.NO_CHANGE, Reason.DELETED_HERE)
"""What the same message is decided to be against its own result."""
LONGEST_UID = 200
"""Characters of a UID in a header field: a line of a mail has at most 998 octets (RFC 5322 §2.1.1)."""
LONGEST_DETAIL = 4000
"""Characters; a message may bring thousands of comments, or a name of a mebibyte."""
GIVEN_UP = (Reason.CALENDAR_REFUSED, Reason.CALENDAR_UNREACHABLE, Reason.SENDER_NOT_PROVEN)

log = structlog.get_logger("imipd")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mail as it reaches one recipient."""

    recipient: str
    """Comparable: an MTA that writes it otherwise the next time means the same entry."""
    account: Account
    mail: Mail
    time: datetime
    prove: Callable[[Method], Verdict]
    """Tells whether its originator is proven. Raises UnansweredError."""
    planned: int = 0
    """Changes by other messages of this mail that the ledger does not know of: those that are judged, not done."""

    def context(self, me: frozenset[str]) -> Context:
        """Return what a decision is made from, before anything is looked up."""
        return Context(me, self.mail.originator, self.mail.date, self.account.policy)

    def proven(self, context: Context) -> Context:
        """Return the context with the proof that its policy asks for. Raises UnansweredError."""
        if context.policy.sender not in ("dkim", "dmarc"):
            return context
        verdict = self.prove(context.policy.sender)
        return replace(context, proven=verdict.proven, proof=verdict.detail)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done about one iTIP message for one recipient, and what that was decided on."""

    digest: str
    method: str | None
    uid: str | None
    recurrence_ids: tuple[str, ...]
    decision: Decision
    component: str = ""
    stored: Stored | None = None
    memory: Memory = NOTHING
    """What was remembered when that was decided."""

    @property
    def writes(self) -> bool:
        """Whether carrying it out changes the calendar."""
        return isinstance(self.decision, Added | Updated | Removed)

    @property
    def outcome(self) -> str:
        """The X-Imipd-Outcome field value."""
        uid = (self.uid or "").replace("\\", "").replace('"', "")[:LONGEST_UID]
        said = f"{self.decision.outcome}; reason={self.decision.reason}"
        return f'{said}; uid="{uid}"' if uid else said


def undecided(message: ItipMessage | Unprocessed, arrival: Arrival) -> Judgement:
    """Return the judgement before anything is decided; its digest names the message together with its mail."""
    calendar = message.content.calendar.to_bytes() if isinstance(message, ItipMessage) else repr(message).encode()
    mail_of = (arrival.mail.message_id, arrival.mail.originator, arrival.mail.date)
    digest = hashlib.sha256(repr((*mail_of, message.method)).encode() + calendar).hexdigest()
    if isinstance(message, Unprocessed):
        return Judgement(digest, message.method, message.uid, (), message.decision)
    nothing = NoAction(Reason.NO_CHANGE)
    return Judgement(digest, message.method, message.uid, message.recurrence_ids, nothing, message.content.kind)


def with_proof(decision: Decision, context: Context) -> Decision:
    """Return the decision whose detail also says by what the originator is proven (G11)."""
    if not context.proven or not context.proof:
        return decision
    return replace(decision, detail="\n".join(filter(None, (decision.detail, f"sender proven: {context.proof}"))))


def log_judgement(judgement: Judgement, recipient: str) -> None:
    """Write one line for a message; subjects, summaries and bodies are never logged."""
    decision = judgement.decision
    write = log.debug if decision.reason is Reason.NO_CALENDAR_PART else log.info
    write(
        "decided",
        recipient=recipient,
        uid=judgement.uid,
        method=judgement.method,
        outcome=decision.outcome,
        reason=str(decision.reason),
    )


def entry_of(judgement: Judgement, arrival: Arrival, now: datetime) -> Entry:
    """Return what the ledger shall say of it."""
    decision, stored = judgement.decision, judgement.stored
    revisions, tombstones = getattr(decision, "revisions", ()), getattr(decision, "tombstones", ())
    return Entry(
        digest=judgement.digest,
        recipient=arrival.recipient,
        account=arrival.account.name,
        time=arrival.time,
        message_id=arrival.mail.message_id,
        originator=arrival.mail.originator or "",
        method=judgement.method or "",
        uid=judgement.uid or "",
        recurrence_ids=judgement.recurrence_ids,
        outcome=decision.outcome,
        reason=decision.reason,
        detail=decision.detail[:LONGEST_DETAIL],
        href=stored.href if stored else "",
        duration=(now - arrival.time).total_seconds(),
        revisions=revisions,
        tombstones=tombstones,
        displaced=_displaced(judgement.memory, Memory(revisions, tombstones)),
        former=stored.body if stored and judgement.writes else None,
        written=getattr(decision, "calendar", None),
    )


def _displaced(before: Memory, left: Memory) -> Memory:
    """Return what was remembered of the same parties and instances."""
    revised = {(each.party, each.recurrence_id) for each in left.revisions}
    buried = {(each.party, each.recurrence_id, each.sequence) for each in left.tombstones}
    return Memory(
        tuple(each for each in before.revisions if (each.party, each.recurrence_id) in revised),
        tuple(each for each in before.tombstones if (each.party, each.recurrence_id, each.sequence) in buried),
    )


def unexpected_entry(recipient: str, envelope: Envelope, error: Exception, now: datetime) -> Entry:
    """Return what the ledger shall say of a mail over which imipd itself failed; of the mail it names nothing."""
    return Entry(
        digest=hashlib.sha256(envelope.content).hexdigest(),
        recipient=recipient,
        account=recipient,
        time=now,
        message_id="",
        originator="",
        method="",
        uid="",
        recurrence_ids=(),
        outcome=Error.outcome,
        reason=Reason.UNEXPECTED,
        detail=type(error).__name__,
    )


def true_entry(entry: Entry, before: Recorded | None) -> Entry:
    """Return the entry that tells what happened, where nothing is written now but an earlier delivery left one.

    A redelivery that finds its work done completes what was intended; a write that was completed stays recorded.
    """
    if before is None:
        return entry
    told = before.entry
    if told.outcome not in WRITTEN:
        is_same = entry.reason in (told.reason, *FOUND_DONE) and told.reason not in GIVEN_UP
        return told if is_same else entry
    if before.completed or _is_carried_out(entry, told):
        # Where a new object went is known only after the write, so the intended entry of one lacks it.
        return replace(told, href=told.href or entry.href)
    begun = f"an earlier delivery may have written: {told.outcome}: {told.reason}"
    return replace(entry, detail="; ".join(filter(None, (entry.detail, begun))))


def _is_carried_out(entry: Entry, intended: Entry) -> bool:
    """Return whether what is decided now shows that the intended write was made before the crash."""
    # A deleted object is unknown as long as its tombstone is not remembered.
    is_gone = entry.reason == Reason.UNKNOWN_UID and bool(intended.tombstones)
    return entry.reason in FOUND_DONE or is_gone
