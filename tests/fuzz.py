"""Feeds mutated mails to the whole path for a while: ``PYTHONPATH=tests python -m fuzz SECONDS [SEED]``.

Each mutation arrives as the bytes of an LMTP DATA and goes through ``Gateway.deliver``, with a calendar and a ledger in
memory, under any policy. Whatever escapes, is not done, breaks a promise of `promises`, or changes something more when
the mail comes again is printed with its seed. One process for each core, or for each of ``CORES``. ``SEED`` with nine
zeros or more is that of one escape, which is then shown.
"""

import multiprocessing
import os
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import count, takewhile
from typing import Any, Literal, get_args, get_origin, get_type_hints

from structlog.testing import capture_logs

from imipd import itip
from imipd.accounts import Account
from imipd.address import comparable
from imipd.envelope import Envelope, Status
from imipd.gateway import Arrival, Bounds, Doors, Gateway, Judgement
from imipd.ingress import path
from imipd.ingress.content import Content
from imipd.itip import ItipMessage, MalformedError, Reason, Unprocessed
from imipd.ledger import Entry, Query
from imipd.ledger.memory import MemoryLedger
from imipd.memory import Tombstone
from imipd.policy import Policy
from imipd.proof.verifier import Verifier
from imipd.store import Home
from imipd.store.memory import MemoryStore
from mutation import ADDRESSES, Material, mutated, seeds
from promises import BrokenError, Case, kept_by, kept_by_outcomes
from stage import NOW, USER

BILLION = 1_000_000_000
"""The seed of one execution is that of its run and nine digits more."""
BORDER = "mx.example.org"
SECRET = "op€n-sesame"
SENDERS: tuple[Literal["any", "from", "dkim", "dmarc"], ...] = ("any", "from", "from", "from", "from", "dkim", "dmarc")
TRUSTED = ("carol@example.com", "assistant@example.org")
ALIASES = (("bob@example.net", "robert@example.net", "dave@example.com"),)


@dataclass
class Tally:
    """What one process saw."""

    executions: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds, and the seed of that execution."""
    outcomes: Counter[str] = field(default_factory=Counter)
    escapes: list[str] = field(default_factory=list)


class Watched(Gateway):
    """A gateway that remembers what it judged, and lets through what it would hold back as unexpected."""

    def __init__(self, doors: Doors) -> None:
        super().__init__(doors, Bounds())
        self.judged: list[tuple[ItipMessage, Judgement]] = []
        self.originator: str | None = None

    def judge(self, message: ItipMessage | Unprocessed, arrival: Arrival, *, widely: bool = False) -> Judgement:
        judgement = super().judge(message, arrival, widely=widely)
        self.originator = arrival.mail.originator
        self.judged += [(message, judgement)] if isinstance(message, ItipMessage) else []
        return judgement

    def _unexpected(self, recipient: str, envelope: Envelope, error: Exception) -> Status:  # noqa: ARG002
        raise error


class World:
    """One account, what it holds, and the mail that arrives."""

    def __init__(self, stored: bytes, dice: random.Random) -> None:
        self.store, self.ledger = MemoryStore(), MemoryLedger()
        self.calendars = [self.store.add_collection(USER, name) for name in ("Calendar", "Other")]
        for calendar in self.calendars[: dice.choice((1, 1, 1, 2))] if stored else ():
            self.store.put(calendar, "x.ics", stored)
        addresses = tuple({"alice@example.org", comparable(dice.choice(ADDRESSES)), *_one_of_stored(stored, dice)})
        self.account = Account(USER, addresses, Home("memory:", USER, SECRET), policy(dice))
        self.recipient = dice.choice(addresses)
        if dice.random() < 0.2:
            self._bury(stored)
        proof = Verifier(dice.choice((BORDER, BORDER, "")))
        self.gateway = Watched(Doors(self, self.store, self.ledger, lambda: NOW, proof=proof))

    def account_of(self, address: str) -> Account | None:
        """Serve the one account."""
        return self.account if comparable(address) in self.account.addresses else None

    def deliver(self, content: bytes) -> list[str]:
        """Deliver to the account and to a stranger, check what is promised, and return what came of it."""
        before, is_vouched = self.bodies(), vouched(content)
        self.gateway.judged.clear()
        with capture_logs() as logged:
            statuses = self.gateway.deliver(Envelope("", (self.recipient, "nobody@example.org"), content))
        if not all(status.done for status in statuses):
            raise BrokenError(f"not done: {logged}")
        kept_by_outcomes(content, statuses[0].outcomes)
        judged = self.gateway.judged
        if self.bodies() != before and not any(judgement.writes for _, judgement in judged):
            raise BrokenError("changed without a decision")
        # A report that a mail came back can be proven by nobody (rules.md B1).
        claims = [each for _, each in judged if each.decision.reason is not Reason.INVITATION_BOUNCED]
        is_asked = self.account.policy.sender in ("dkim", "dmarc") and any(each.writes for each in claims)
        if self.bodies() != before and is_asked and not is_vouched:
            raise BrokenError("changed by a sender whom nothing proves")
        for message, judgement in judged:
            said = (message, judgement, self.gateway.originator, self._me(), self.account.policy)
            kept_by(Case(*said, calendar=tuple(held for body in before if (held := readable(body)))))
        if SECRET in repr((logged, statuses, self.ledger.log(Query()))):
            raise BrokenError("the password was told")
        return [outcome.partition("; uid=")[0] for outcome in statuses[0].outcomes]

    def bodies(self) -> list[bytes]:
        """Return what is stored now."""
        return [stored.body for calendar in self.calendars for stored in self.store.objects(calendar)]

    def _me(self) -> frozenset[str]:
        return frozenset((comparable(self.recipient), *self.account.addresses))

    def _bury(self, stored: bytes) -> None:
        buried = Tombstone("bob@example.net", "20270119T090000Z", 2, NOW)
        held = readable(stored)
        said = ("", "", USER, NOW, "", "", "", held.uid if held else "", (), "updated", "cancelled")
        self.ledger.complete(Entry(*said, tombstones=(buried,)))


def vouched(content: bytes) -> bool:
    """Return whether anything in a mail looks like the border's word that something passed."""
    return re.search(rb"authentication-results[^@]*" + BORDER.encode() + rb".*pass", content, re.I | re.S) is not None


def policy(dice: random.Random) -> Policy:
    """Return any policy; a proven sender is asked for now and then."""
    hints = get_type_hints(Policy)
    names = [each.name for each in fields(Policy) if get_origin(hints[each.name]) is Literal and each.name != "sender"]
    chosen: dict[str, Any] = {name: dice.choice(get_args(hints[name])) for name in names}
    chosen |= {"trusted_senders": dice.choice(((), (), TRUSTED)), "attendee_aliases": dice.choice(((), ALIASES))}
    return Policy(sender=dice.choice(SENDERS), changes_per_hour=0, **chosen)


def readable(stored: bytes) -> itip.CalendarObject | None:
    """Return what is stored, None where it cannot be read."""
    try:
        return itip.read(stored) if stored else None
    except MalformedError:
        return None


def _one_of_stored(stored: bytes, dice: random.Random) -> list[str]:
    """Return the Organizer, or an Attendee, of what is stored, so that many mails are for him."""
    held = readable(stored)
    parties = [*([held.organizer] if held and held.organizer else []), *(held.attendees[:2] if held else ())]
    return [party.address for party in dice.sample(parties, min(1, len(parties))) if party.address]


def received(content: bytes, dice: random.Random) -> bytes:
    """Return the mail as it comes out of an LMTP DATA that was cut somewhere; check that nothing was lost."""
    whole = content if content.endswith(b"\r\n") else content + b"\r\n"
    stuffed = (b"\r\n" + whole).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    wire, at = Content(2**25), dice.randrange(len(stuffed))
    wire.feed(stuffed[:at])
    wire.feed(stuffed[at:] + b"QUIT\r\n")
    if wire.rest != b"QUIT\r\n" or (taken := wire.take()) != whole:
        raise BrokenError("the content did not come as it was sent")
    return taken


def delivered(content: bytes, stored: bytes, dice: random.Random) -> list[str]:
    """Deliver twice and return what came of the first time."""
    path.read(content[:80].decode("utf-8", "surrogateescape"))
    content = received(content, dice)
    world = World(stored, dice)
    was_readable = readable(stored) is not None
    outcomes = world.deliver(content)
    after = world.bodies()
    if was_readable and any(readable(body) is None for body in after):
        raise BrokenError("what is stored cannot be read any more")
    world.deliver(content)
    if world.bodies() != after:
        raise BrokenError("the second delivery changed something")
    return outcomes


def for_a_while(seconds: float, seed: int) -> Tally:
    """Mutate and deliver until the time is over."""
    end = time.monotonic() + seconds
    return run(takewhile(lambda _: time.monotonic() < end, count(seed * BILLION)))


def run(numbers: Iterable[int]) -> Tally:
    """Mutate and deliver once for each number."""
    material, tally = seeds(), Tally()
    for number in numbers:
        content, stored, dice = chosen(material, number)
        begin = time.thread_time()
        try:
            tally.outcomes.update(delivered(content, stored, dice))
        except Exception:  # whatever it is, it is what is looked for
            tally.escapes.append(f"seed {number}\n{traceback.format_exc()}")
        tally.slowest = max(tally.slowest, (time.thread_time() - begin, number))
        tally.executions += 1
    return tally


def chosen(material: Material, number: int) -> tuple[bytes, bytes, random.Random]:
    """Return the mail and what is stored in one execution, and the dice that are left for it."""
    dice = random.Random(number)
    contents = [content for content, _ in material]
    content, stored = dice.choice(material)
    content = mutated(content, contents, dice)
    return content, mutated(stored, contents, dice) if stored and dice.random() < 0.3 else stored, dice


def show(number: int) -> int:
    """Print one execution and deliver it where everybody sees it."""
    content, stored, dice = chosen(seeds(), number)
    print(f"{content.decode(errors='replace')}\n== stored\n{stored.decode(errors='replace')}")
    print(delivered(content, stored, dice))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run on every core and print what was seen; return 1 where anything escaped."""
    seconds, seed = float(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    if seed >= BILLION:
        return show(seed)
    cores = int(os.environ.get("CORES", os.cpu_count() or 1))
    with multiprocessing.Pool(cores) as pool:
        tallies = pool.starmap(for_a_while, [(seconds, seed * cores + core) for core in range(cores)])
    escapes = [escape for tally in tallies for escape in tally.escapes]
    outcomes = sum((tally.outcomes for tally in tallies), Counter[str]())
    print(f"{sum(tally.executions for tally in tallies)} executions in {seconds:.0f} s on {cores} cores")
    took, number = max(tally.slowest for tally in tallies)
    print(f"{len(escapes)} escapes; slowest input {took:.2f} s: seed {number}")
    print(", ".join(f"{reason} {count}" for reason, count in outcomes.most_common()))
    print("\n".join(escapes[:60]))
    return 1 if escapes else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
