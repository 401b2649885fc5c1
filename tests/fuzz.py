"""Feeds mutated mails to the whole pure path for a while: ``PYTHONPATH=tests python -m fuzz SECONDS [SEED]``.

Seeds are all scenario mails with what is stored for them, the sample mails, and the corpus. Each mutation goes through
``mail.read``, ``itip.gather``, ``gate``, ``choose`` and ``decide``. Whatever leaves it other than a decision is an
escape and is printed with its seed; one process for each core.
"""

import multiprocessing
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from corpus import corpus
from imipd import itip, mail, scenario
from imipd.itip import CalendarObject, Context, Error, ItipMessage, MalformedError
from imipd.memory import Memory, Tombstone
from imipd.policy import Policy
from stage import SAMPLES, crlf, mail_of

SCENARIOS = Path(__file__).parent / "scenarios"
ADDRESSES = ("alice@example.org", "bob@example.net", "carol@example.com")
TOKENS = tuple(
    token.encode("latin-1")
    for token in (
        *("BEGIN:VEVENT\r\n", "BEGIN:VTODO\r\n", "END:VEVENT\r\n", "BEGIN:VALARM\r\n", "RRULE:FREQ=SECONDLY\r\n"),
        *("RRULE:FREQ=YEARLY;BYDAY=5MO\r\n", "EXDATE:20270119T090000Z\r\n", "VALUE=DATE", "VALUE=PERIOD", "P1W"),
        *("RECURRENCE-ID;RANGE=THISANDFUTURE:20270119T090000Z\r\n", "TZID=Europe/Berlin", "TZID=X", "-PT1S"),
        *("20270119T090000Z", "99991231T235959Z", "00010101", "METHOD:CANCEL", "METHOD:REPLY", "SEQUENCE:4294967296"),
        *("PARTSTAT=DELEGATED", "DELEGATED-TO=", "mailto:", "^n", "X-IMIPD-SEQUENCE=9", "=?", "?=", "--b"),
        *(";", ":", ",", '"', "\\", "\x00", "\xff", "\r", "\n", "\r\n", "\t", " ", "="),
    )
)


@dataclass
class Tally:
    """What one process saw."""

    executions: int = 0
    slowest: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    escapes: list[str] = field(default_factory=list)


def seeds() -> list[tuple[bytes, bytes]]:
    """Return mails, each with what is stored for it."""
    found = []
    for path in sorted(SCENARIOS.rglob("*.scenario")):
        case = scenario.parse(path.read_text())
        found.append((mail_of(case), crlf(case.stored) if case.stored else b""))
    plain = [*sorted(SAMPLES.rglob("*.eml")), *(path for path in sorted(corpus().rglob("*")) if path.is_file())]
    return found + [(path.read_bytes()[:200_000], b"") for path in plain]


def mutated(content: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """Return `content` with some bytes, words or lines changed, doubled, dropped or taken from another."""
    for _ in range(dice.choice((1, 1, 2, 4, 12))):
        at, length = dice.randrange(len(content) + 1), dice.choice((1, 2, 8, 60))
        other = dice.choice(others)
        begin = dice.randrange(len(other) + 1)
        piece = dice.choice((b"", bytes([dice.randrange(256)]), dice.choice(TOKENS), content[at : at + length]))
        piece = dice.choice((piece, piece, other[begin : begin + 4 * length]))
        content = content[:at] + piece * dice.choice((1, 1, 1, 40)) + content[at + dice.choice((0, length)) :]
    return content


def decided(content: bytes, stored: bytes, dice: random.Random) -> list[str]:
    """Return the reasons to which the whole path comes."""
    read = mail.read(content)
    reasons = [str(read.obstacle or "")]
    held = _held(stored)
    for message in itip.gather(read.parts):
        if isinstance(message, ItipMessage):
            reasons.append(_judged(message, held, read, dice))
        else:
            reasons.append(message.decision.reason)
    return reasons


def _held(stored: bytes) -> list[CalendarObject]:
    try:
        return [itip.read(stored)] if stored else []
    except MalformedError:
        return []


def _judged(message: ItipMessage, held: list[CalendarObject], read: mail.Mail, dice: random.Random) -> str:
    policy = Policy(
        invitations=dice.choice(("ignore", "add")),
        cancelled=dice.choice(("mark", "delete")),
        party_crashers=dice.choice(("ignore", "add")),
        sender=dice.choice(("any", "from")),
    )
    buried = Tombstone("bob@example.net", "20270119T090000Z", 2, datetime(2027, 1, 5, tzinfo=UTC))
    memory = Memory((), (buried,) if dice.random() < 0.2 else ())
    me = frozenset({dice.choice(ADDRESSES), *(party.address for party in message.content.attendees[:1])})
    context = Context(me, read.originator, read.date, policy, memory)
    found = [item for item in held if item.uid == message.uid]  # as a store looks for it
    chosen = itip.choose(found, message, context)
    decision = chosen if isinstance(chosen, Error) else itip.decide(message, chosen, context)
    written = getattr(decision, "calendar", None)
    scenario.changes(stored_bytes(chosen), written) if written else None
    if written:
        itip.read(written)
    return str(decision.reason)


def stored_bytes(chosen: CalendarObject | Error | None) -> bytes | None:
    """Return the bytes of what is stored."""
    return chosen.calendar.to_bytes() if isinstance(chosen, CalendarObject) else None


def run(seconds: float, seed: int) -> Tally:
    """Mutate and decide until the time is over."""
    material, tally, end = seeds(), Tally(), time.monotonic() + seconds
    contents = [content for content, _ in material]
    while time.monotonic() < end:
        number = seed * 1_000_000_000 + tally.executions
        dice = random.Random(number)
        content, stored = dice.choice(material)
        content = mutated(content, contents, dice)
        stored = mutated(stored, contents, dice) if stored and dice.random() < 0.3 else stored
        begin = time.monotonic()
        try:
            tally.outcomes.update(decided(content, stored, dice))
        except Exception:  # whatever it is, it is what is looked for
            tally.escapes.append(f"seed {number}\n{traceback.format_exc()}")
        tally.slowest = max(tally.slowest, time.monotonic() - begin)
        tally.executions += 1
    return tally


def main() -> int:
    """Run on every core and print what was seen; return 1 where anything escaped."""
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    cores = os.cpu_count() or 1
    with multiprocessing.Pool(cores) as pool:
        tallies = pool.starmap(run, [(seconds, seed * cores + core) for core in range(cores)])
    escapes = [escape for tally in tallies for escape in tally.escapes]
    outcomes = sum((tally.outcomes for tally in tallies), Counter[str]())
    print(f"{sum(tally.executions for tally in tallies)} executions in {seconds:.0f} s on {cores} cores")
    print(f"{len(escapes)} escapes; slowest input {max(tally.slowest for tally in tallies):.2f} s")
    print(", ".join(f"{reason or 'message'} {count}" for reason, count in outcomes.most_common()))
    print("\n".join(escapes[:60]))
    return 1 if escapes else 0


if __name__ == "__main__":
    raise SystemExit(main())
