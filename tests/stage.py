"""A scenario set up: the gateway with its real rules, over a calendar and a ledger in memory."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from imipd import scenario
from imipd.accounts import Account
from imipd.address import comparable
from imipd.config import override
from imipd.envelope import Envelope
from imipd.gateway import Bounds, Doors, Gateway, Judgement
from imipd.itip import Added, Component, Decision, Removed, Updated
from imipd.itip.lines import read as read_lines
from imipd.ledger import Entry
from imipd.ledger.memory import MemoryLedger
from imipd.memory import Revision, Tombstone
from imipd.policy import Policy
from imipd.proof.verifier import Verifier
from imipd.scenario import Scenario
from imipd.store import Home
from imipd.store.memory import MemoryStore

SAMPLES = Path(__file__).parent.parent / "sample-mail"
NOW = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
USER = "alice"
_CALENDAR = re.compile(rb"BEGIN:VCALENDAR.*?END:VCALENDAR\r\n", re.DOTALL)
_KEYS = {
    "recipient",
    "addresses",
    "policy",
    "authserv-id",
    "server-addresses",
    "server-answers",
    "contacts",
    "tombstone",
    "revision",
}


class Stage:
    """One scenario, ready to be judged or delivered; `policy`, `revision` and `tombstone` come from its context."""

    def __init__(self, case: Scenario) -> None:
        unknown = {key for key, _ in case.context} - _KEYS
        if unknown:
            raise ValueError(f"unknown context: {', '.join(sorted(unknown))}")
        self._context = dict(case.context)
        self._mail = mail_of(case)
        self.store, self.ledger = MemoryStore(), MemoryLedger()
        self.collection = self.store.add_collection(USER, "Calendar", components=("VEVENT", "VTODO", "VJOURNAL"))
        self.store.add_addresses(USER, *self._addresses("server-addresses"))
        if "contacts" in self._context:
            self.store.add_contacts(USER, *self._addresses("contacts"))
        if self._context.get("server-answers") == "yes":
            self.store.let_answer(USER)
        for index, body in enumerate(_CALENDAR.findall(crlf(case.stored))):
            self._put(f"{index}.ics", body)
        self._remember(case)
        self.account = Account(USER, self._all_addresses(), Home("memory:", USER, ""), self._policy())
        proof = Verifier(self._context.get("authserv-id", ""))
        self.gateway = Gateway(Doors(self, self.store, self.ledger, lambda: NOW, proof=proof), Bounds())

    def account_of(self, address: str) -> Account | None:
        """Serve the one account."""
        return self.account if comparable(address) in self.account.addresses else None

    @property
    def recipient(self) -> str:
        """Whom the mail is for."""
        return self._context.get("recipient", "alice@example.org")

    def judge(self) -> list[Decision]:
        """Return the decision on each message of the mail."""
        self.judgements = self.gateway.judgements(self.recipient, self.account, self._envelope())
        return [judgement.decision for judgement in self.judgements]

    def deliver(self) -> list[Decision]:
        """Judge, then deliver for real; return what was judged."""
        decided = self.judge()
        (status,) = self.gateway.deliver(self._envelope())
        assert status.done, status
        return decided

    def changes(self, decision: Decision) -> tuple[str, ...]:
        """Return what a decision of `judge` changes."""
        judgement = next(item for item in self.judgements if item.decision is decision)
        return changes_of(judgement)

    def bodies(self) -> list[bytes]:
        """Return what is stored now."""
        return [stored.body for stored in self.store.objects(self.collection)]

    def shuffle(self, dice: random.Random) -> None:
        """Put the lines of every stored component into another order."""
        for stored in self.store.objects(self.collection):
            self.store.put(
                self.collection, stored.href.rpartition("/")[2], _shuffled(read_lines(stored.body), dice).to_bytes()
            )

    def _envelope(self) -> Envelope:
        return Envelope("", (self.recipient,), self._mail)

    def _put(self, name: str, body: bytes) -> None:
        # Two collections where there are two objects: one collection holds a UID once (RFC 4791 §4.1).
        names = {stored.href for stored in self.store.objects(self.collection)}
        collection = self.store.add_collection(USER, name) if names else self.collection
        self.store.put(collection, name, body)

    def _addresses(self, key: str) -> tuple[str, ...]:
        return tuple(comparable(address) for address in self._context.get(key, "").split(",") if address.strip())

    def _all_addresses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((comparable(self.recipient), *self._addresses("addresses"))))

    def _policy(self) -> Policy:
        return override(Policy(), dict(pair.split("=") for pair in self._context.get("policy", "").split()))

    def _remember(self, case: Scenario) -> None:
        rows = [(key, value.split()) for key, value in case.context if key in ("tombstone", "revision")]
        revisions = tuple(_revision(*row) for key, row in rows if key == "revision")
        tombstones = tuple(_tombstone(*row) for key, row in rows if key == "tombstone")
        uid = re.search(r"^UID:(.*)$", self._mail.decode(errors="replace"), re.MULTILINE)
        entry = Entry("", "", USER, NOW, "", "", "", uid[1].strip() if uid else "", (), "updated", "cancelled")
        self.ledger.complete(replace(entry, revisions=revisions, tombstones=tombstones))


def changes_of(judgement: Judgement) -> tuple[str, ...]:
    """Return what a judgement changes, as a scenario says it."""
    before = judgement.stored.body if judgement.stored else None
    if isinstance(judgement.decision, Added):
        return scenario.changes(None, judgement.decision.calendar)
    if isinstance(judgement.decision, Updated):
        return scenario.changes(before, judgement.decision.calendar)
    return scenario.changes(before, None) if isinstance(judgement.decision, Removed) else ()


def mail_of(case: Scenario) -> bytes:
    """Return the mail of a scenario: its text, or the file of sample-mail that it names."""
    if "\n" not in case.mail:
        return (SAMPLES / case.mail.removeprefix("sample-mail/")).read_bytes()
    return crlf(case.mail)


def crlf(text: str) -> bytes:
    """Return text as it goes over the wire."""
    return ("\r\n".join(text.splitlines()) + "\r\n").encode()


def _revision(party: str, label: str, sequence: str, *rest: str) -> Revision:
    dtstamp, date, first = (*rest, *"---"[len(rest) :])
    times = _number(sequence), _time(dtstamp), _time(date)
    return Revision(party, "" if label == "-" else label, *times, None if first == "-" else first)


def _tombstone(party: str, label: str, sequence: str, dtstamp: str = "-") -> Tombstone:
    return Tombstone(party, "" if label == "-" else label, int(sequence), _time(dtstamp))


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)


def _time(text: str) -> datetime | None:
    return None if text == "-" else datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _shuffled(part: Component, dice: random.Random) -> Component:
    lines, components = list(part.lines), [_shuffled(inner, dice) for inner in part.components]
    dice.shuffle(lines)
    return part.with_content([*lines, *components])
