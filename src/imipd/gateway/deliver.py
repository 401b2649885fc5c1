"""Gateway.deliver(): read, gate, find, decide, intend, write, complete. The one place that carries a decision out.

`judge` is what `deliver` and `explain` share; `deliver` adds intend, write, complete. A crash anywhere before the
answer means that the mail comes again: the same message decided against its own result changes nothing, and the
entry that was intended is completed (docs/architecture.md, "Crash safety").
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from imipd import itip, mail
from imipd.accounts import Account, Accounts
from imipd.address import comparable
from imipd.envelope import DONE, TRY_AGAIN, Envelope, Status
from imipd.itip import (
    Added,
    CalendarObject,
    Context,
    Decision,
    Error,
    ItipMessage,
    MalformedError,
    NoAction,
    Reason,
    Unprocessed,
    Updated,
)
from imipd.ledger import Ledger, LedgerError
from imipd.mail import Mail
from imipd.proof import Proof, UnansweredError
from imipd.store import ConflictError, NoCalendarError, RefusedError, Store, StoreError, Written

from .abreast import Abreast, once
from .acquaintance import People, decide
from .contents import believed, messages
from .evidence import Evidence
from .judgement import Arrival, Judgement, entry_of, log_judgement, true_entry, undecided, unexpected_entry, with_proof
from .lanes import Lanes
from .ordinary import ORDINARY, SEEN, UNKNOWN, is_ordinary
from .place import placed
from .restraint import restrained

ATTEMPTS = 4  # decided once, and three times again (S2)

log = structlog.get_logger("imipd")


@dataclass(frozen=True, slots=True)
class Doors:
    """What the gateway reaches: who is served, calendars, ledger, clock, what proves a sender; and whom it tells."""

    accounts: Accounts
    store: Store
    ledger: Ledger
    now: Callable[[], datetime]
    decided: Callable[[Judgement], None] = lambda _judgement: None
    """Told of each message when it is done."""
    proof: Proof | None = None
    """None: no sender can be proven."""
    lanes: Lanes = field(default_factory=Lanes)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a mail is read, what marks spam, how long an unreachable calendar defers a mail, and who helps."""

    mail_limits: mail.Limits = field(default_factory=mail.Limits)
    calendar_limits: itip.Limits = field(default_factory=itip.Limits)
    spam_headers: tuple[str, ...] = mail.SPAM_HEADERS
    patience: timedelta = timedelta(hours=24)
    helpers: int = 0
    """Threads that help with mails of several recipients."""


class Gateway:
    """Carries iTIP messages from mails into calendars."""

    def __init__(self, doors: Doors, bounds: Bounds) -> None:
        self._doors = doors
        self._bounds = bounds
        self._abreast = Abreast(bounds.helpers)

    def read(self, envelope: Envelope) -> Mail:
        """Return the mail that the envelope carries."""
        read = mail.read(envelope.content, self._bounds.mail_limits, self._bounds.spam_headers)
        return believed(read, envelope)

    def deliver(self, envelope: Envelope) -> tuple[Status, ...]:
        """Process a mail and return the answer for each of its recipients; never raises."""
        opened = once(lambda: self._opened(envelope))
        return self._abreast(lambda recipient: self._answer(recipient, envelope, opened), envelope.recipients)

    def at_once(self, envelope: Envelope) -> tuple[Status, ...] | None:
        """Return what `deliver` answers to ordinary mail, without waiting for anything; None for any other mail."""
        if not is_ordinary(envelope, self._bounds.mail_limits.mail):
            return None
        return tuple(self._seen(recipient) for recipient in envelope.recipients)

    def _seen(self, recipient: str) -> Status:
        if self._doors.accounts.account_of(recipient) is None:
            return UNKNOWN
        log_judgement(ORDINARY, comparable(recipient))
        self._doors.decided(ORDINARY)
        return SEEN

    def _opened(self, envelope: Envelope) -> Evidence:
        return Evidence(self._doors.proof, envelope, self.read(envelope), self._doors.now)

    def _answer(self, recipient: str, envelope: Envelope, opened: Callable[[], Evidence]) -> Status:
        try:
            return self._deliver_to(recipient, opened())
        except LedgerError as error:
            log.error("ledger", recipient=recipient, error=str(error))
            return TRY_AGAIN
        except Exception as error:
            # Unknown is temporary, and says nothing to strangers.
            log.exception("unexpected", recipient=recipient)
            return self._unexpected(recipient, envelope, error)

    def _unexpected(self, recipient: str, envelope: Envelope, error: Exception) -> Status:
        """Let the mail come again until patience is over; an MTA that gives up would bounce it over our own fault."""
        now, ledger = self._doors.now(), self._doors.ledger
        entry = unexpected_entry(comparable(recipient), envelope, error, now)
        try:
            if now - ledger.postpone(entry.digest, entry.recipient, now, entry.detail) < self._bounds.patience:
                return TRY_AGAIN
            ledger.complete(entry)
        except LedgerError:
            return TRY_AGAIN
        log.error("given up", recipient=recipient, reason=entry.reason)
        return replace(DONE, outcomes=(f"{entry.outcome}; reason={entry.reason}",))

    def _deliver_to(self, recipient: str, evidence: Evidence) -> Status:
        account = self._doors.accounts.account_of(recipient)
        if account is None:
            return UNKNOWN
        arrival = Arrival(comparable(recipient), account, evidence.mail, self._doors.now(), evidence.of)
        done = [
            self._carry_through(message, arrival) for message in messages(evidence.mail, self._bounds.calendar_limits)
        ]
        outcomes = tuple(judgement.outcome for judgement in done if judgement)
        return replace(DONE, outcomes=outcomes) if all(done) else TRY_AGAIN

    def judgements(self, recipient: str, account: Account, envelope: Envelope) -> tuple[Judgement, ...]:
        """Return what `deliver` would do for one recipient, and do nothing.

        Raises StoreError, LedgerError, UnansweredError.
        """
        evidence = self._opened(envelope)
        arrival = Arrival(comparable(recipient), account, evidence.mail, self._doors.now(), evidence.of)
        judged: list[Judgement] = []
        for message in messages(arrival.mail, self._bounds.calendar_limits):
            planned = sum(each.writes for each in judged)
            judged.append(self.judge(message, replace(arrival, planned=planned)))
        return tuple(judged)

    def _carry_through(self, message: ItipMessage | Unprocessed, arrival: Arrival) -> Judgement | None:
        """Judge and carry out one message; None where it has to come again."""
        with self._doors.lanes.alone(arrival.account.name, message.uid):
            judgement = self._done_or_postponed(message, arrival)
        if judgement is not None:
            log_judgement(judgement, arrival.recipient)
            self._doors.decided(judgement)
        return judgement

    def _done_or_postponed(self, message: ItipMessage | Unprocessed, arrival: Arrival) -> Judgement | None:
        try:
            return self._decided_and_done(message, arrival)
        except (StoreError, UnansweredError) as error:
            return self._postponed(message, arrival, error)

    def _decided_and_done(self, message: ItipMessage | Unprocessed, arrival: Arrival) -> Judgement:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._carry_out(self.judge(message, arrival), arrival)
            except ConflictError:
                continue  # somebody else wrote: find and decide again (S2)
        return self._carry_out(self.judge(message, arrival, widely=True), arrival)

    def judge(self, message: ItipMessage | Unprocessed, arrival: Arrival, *, widely: bool = False) -> Judgement:
        """Return what is to be done, reading the calendar but writing nothing.

        `widely` also finds an object of another type, over which a write would fail for ever.
        Raises StoreError, LedgerError, UnansweredError.
        """
        blank = undecided(message, arrival)
        if isinstance(message, Unprocessed):
            return replace(blank, decision=message.decision)
        refused, context = self._gate(message, arrival)
        if refused:
            return replace(blank, decision=refused)
        kind = "VJOURNAL" if widely else message.content.kind
        found = self._doors.store.find(arrival.account.home, message.uid, kind)
        try:
            objects = [itip.read(stored.body) for stored in found]
        except MalformedError as error:
            return replace(blank, decision=Error(Reason.STORED_UNREADABLE, error.detail))
        chosen = itip.choose(objects, message, context)
        if isinstance(chosen, Error):
            return replace(blank, decision=chosen)
        context = self._remembering(message, chosen, context, arrival)
        held = next((stored for stored, read in zip(found, objects, strict=True) if read is chosen), None)
        home, store = arrival.account.home, self._doors.store
        decided = placed(decide(message, chosen, context, People(home, store)), message, home, store)
        decided = restrained(with_proof(decided, context), blank.digest, arrival, self._doors.ledger)
        return replace(blank, decision=decided, stored=held, memory=context.memory)

    def _gate(self, message: ItipMessage, arrival: Arrival) -> tuple[Decision | None, Context]:
        """What the gate refuses is never looked up; my addresses on the server and the proof are asked for late."""
        account = arrival.account
        context = arrival.context(frozenset((arrival.recipient, *account.addresses)))
        refused = itip.gate(message, context)
        if refused is not None and refused.reason not in (Reason.NOT_INVITED, Reason.SENDER_NOT_PROVEN):
            return refused, context
        context = replace(context, me=context.me | frozenset(self._doors.store.addresses(account.home)))
        refused = itip.gate(message, context)
        if refused is None or refused.reason is not Reason.SENDER_NOT_PROVEN:
            return refused, context
        context = arrival.proven(context)
        return itip.gate(message, context), context

    def _remembering(
        self, message: ItipMessage, stored: CalendarObject | None, context: Context, arrival: Arrival
    ) -> Context:
        memory = self._doors.ledger.recall(arrival.account.name, message.uid)
        first = itip.first_half(message.uid) if stored is None and message.method == "REQUEST" else None
        split_from = self._series(first, arrival) if first else None
        answers = stored is None and self._doors.store.answers_invitations(arrival.account.home)
        return replace(context, memory=memory, split_from=split_from, server_answers=answers)

    def _series(self, uid: str, arrival: Arrival) -> CalendarObject | None:
        """Return the one readable object with this UID, None where there is no such object."""
        found = self._doors.store.find(arrival.account.home, uid)
        try:
            return itip.read(found[0].body) if len(found) == 1 else None
        except MalformedError:
            return None

    def _carry_out(self, judgement: Judgement, arrival: Arrival) -> Judgement:
        """Intend, write, complete (S4). Raises StoreError, LedgerError."""
        ledger, entry = self._doors.ledger, entry_of(judgement, arrival, self._doors.now())
        if judgement.writes:
            ledger.intend(entry)
            done = self._write(judgement, arrival)
            duration = (self._doors.now() - arrival.time).total_seconds()
            entry = replace(entry, href=done.href, etag=done.etag, duration=duration)
            ledger.complete(entry, as_intended=True)
        elif judgement.decision.reason is not Reason.NO_CALENDAR_PART:  # ordinary mail has no entry
            before = ledger.find(entry.digest, entry.recipient)
            if before is None or not before.undone:  # what was taken back stays told, and is not remembered again
                ledger.complete(true_entry(entry, before))
        return judgement

    def _write(self, judgement: Judgement, arrival: Arrival) -> Written:
        decision, stored, home = judgement.decision, judgement.stored, arrival.account.home
        if isinstance(decision, Added):
            return self._doors.store.create(home, judgement.uid or "", judgement.component, decision.calendar)
        if stored is None:
            raise ConflictError("nothing is stored that could be changed")
        if isinstance(decision, Updated):
            return self._doors.store.replace(home, stored, decision.calendar)
        self._doors.store.remove(home, stored)
        return Written(stored.href, "")

    def _postponed(
        self, message: ItipMessage | Unprocessed, arrival: Arrival, error: StoreError | UnansweredError
    ) -> Judgement | None:
        """Return None where the MTA shall bring the mail again, the final judgement where patience is over."""
        blank, account = undecided(message, arrival), arrival.account
        if isinstance(error, NoCalendarError) and account.by_domain:
            return self._carry_out(replace(blank, decision=NoAction(Reason.NO_CALENDAR, str(error))), arrival)
        now = self._doors.now()
        first = self._doors.ledger.postpone(blank.digest, arrival.recipient, now, str(error))
        log.warning("postponed", recipient=arrival.recipient, uid=message.uid, error=str(error), since=str(first))
        if now - first < self._bounds.patience:
            return None
        reason = _given_up(error)
        log.error("given up", recipient=arrival.recipient, uid=message.uid, reason=str(reason))
        return self._carry_out(replace(blank, decision=Error(reason, str(error))), arrival)


def _given_up(error: StoreError | UnansweredError) -> Reason:
    if isinstance(error, UnansweredError):
        return Reason.SENDER_NOT_PROVEN
    return Reason.CALENDAR_REFUSED if isinstance(error, RefusedError) else Reason.CALENDAR_UNREACHABLE
