"""Feeds mutated mails to the whole pure path for a while: ``PYTHONPATH=tests python -m fuzz SECONDS [SEED]``.

Seeds are all scenario mails with what is stored for them, the sample mails, and the corpus. Each mutation goes through
``mail.read``, ``itip.gather``, ``gate``, ``choose`` and ``decide``. Whatever leaves it other than a decision is an
escape and is printed with its seed, and so is a decision that cannot be read again, or that the same message changes
once more; one process for each core. ``SEED`` with nine zeros or more is that of one escape, which is then shown.
"""

import multiprocessing
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from corpus import ROOT
from imipd import itip, mail, scenario
from imipd.itip import Added, CalendarObject, Context, Error, ItipMessage, MalformedError, Updated
from imipd.memory import Memory, Tombstone
from imipd.policy import Policy
from stage import SAMPLES, crlf, mail_of

SCENARIOS = Path(__file__).parent / "scenarios"
REAL = Path(os.environ.get("IMIPD_CORPUS") or ROOT.parent / "shared" / "corpus")
"""The corpus of real mails, where it is at hand."""
BILLION = 1_000_000_000
"""The seed of one execution is that of its run and nine digits more."""
ADDRESSES = (*["alice@example.org"] * 5, "bob@example.net", "carol@example.com")
TOKENS = tuple(
    token.encode("latin-1", "surrogateescape")
    for token in (
        *("BEGIN:VEVENT\r\n", "BEGIN:VTODO\r\n", "END:VEVENT\r\n", "BEGIN:VALARM\r\n", "RRULE:FREQ=SECONDLY\r\n"),
        *("RRULE:FREQ=YEARLY;BYDAY=5MO\r\n", "EXDATE:20270119T090000Z\r\n", "VALUE=DATE", "VALUE=PERIOD", "P1W"),
        *("RECURRENCE-ID;RANGE=THISANDFUTURE:20270119T090000Z\r\n", "TZID=Europe/Berlin", "TZID=X", "-PT1S"),
        *("20270119T090000Z", "99991231T235959Z", "00010101", "METHOD:CANCEL", "METHOD:REPLY", "SEQUENCE:4294967296"),
        *("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\r\n", "RRULE:FREQ=DAILY;COUNT=1000000000\r\n", ";COUNT=5"),
        *("RDATE:20270119T090000Z\r\n", "RDATE;VALUE=PERIOD:20270119T090000Z/PT2H\r\n", "DURATION:P999999999W\r\n"),
        *("EXDATE;VALUE=DATE:20270119\r\n", "EXDATE:20270119T090000Z,20270126T090000\r\n", "STATUS:CANCELLED\r\n"),
        *(
            "DTSTART:20271031T023000\r\n",
            ";TZID=Europe",
            ";TZID=../../etc/passwd",
            ";VALUE=a,b",
            "TZOFFSETTO:+9959\r\n",
        ),
        *(
            "TZOFFSETTO:+9959\r\n",
            "ATTENDEE;RSVP:mailto:a@b\r\n",
            "ORGANIZER:mailto:alice@example.org\r\n",
            "\udced\udca0\udc80",
        ),
        *("PARTSTAT=DELEGATED", "DELEGATED-TO=", "mailto:", "^n", "X-IMIPD-SEQUENCE=9", "=?", "?=", "--b"),
        *(";", ":", ",", '"', "\\", "\x00", "\xff", "\r", "\n", "\r\n", "\t", " ", "="),
    )
)


class BrokenError(Exception):
    """The same message changes something once more."""


@dataclass
class Tally:
    """What one process saw."""

    executions: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds, and the seed of that execution."""
    outcomes: Counter[str] = field(default_factory=Counter)
    escapes: list[str] = field(default_factory=list)


def seeds() -> list[tuple[bytes, bytes]]:
    """Return mails, each with what is stored for it."""
    found = []
    for path in sorted(SCENARIOS.rglob("*.scenario")):
        case = scenario.parse(path.read_text())
        found.append((mail_of(case), crlf(case.stored) if case.stored else b""))
    real = [path for path in sorted(REAL.rglob("*")) if path.is_file() and path.stat().st_size < 200_000]
    found += [(path.read_bytes(), b"") for path in [*sorted(SAMPLES.rglob("*.eml")), *real]]
    objects = [path.read_bytes() for path in real if path.suffix == ".ics" and path.stat().st_size < 20_000]
    return found + [(b"From: bob@example.net\r\nContent-Type: text/calendar\r\n\r\n" + body, body) for body in objects]


def mutated(content: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """Return `content` with some bytes, words or lines changed, doubled, dropped or taken from another."""
    for _ in range(dice.choice((1, 1, 2, 4, 12))):
        content = dice.choice((_by_bytes, _by_lines, _by_lines))(content, dice.choice(others), dice)
    return content


def _by_bytes(content: bytes, other: bytes, dice: random.Random) -> bytes:
    at, length = dice.randrange(len(content) + 1), dice.choice((1, 2, 8, 60))
    begin = dice.randrange(len(other) + 1)
    piece = dice.choice((b"", bytes([dice.randrange(256)]), dice.choice(TOKENS), content[at : at + length]))
    piece = dice.choice((piece, piece, other[begin : begin + 4 * length]))
    return content[:at] + piece * dice.choice((1, 1, 1, 40)) + content[at + dice.choice((0, length)) :]


def _by_lines(content: bytes, other: bytes, dice: random.Random) -> bytes:
    """Most lines stay whole, so that most of what is changed gets further than the door."""
    rows = content.splitlines(keepends=True) or [b""]
    at, token = dice.randrange(len(rows)), dice.choice(TOKENS)
    with_token = rows[at].replace(b":", token + b":", 1) if token.startswith(b";") else token
    taken = dice.choice(other.splitlines(keepends=True) or [b""])
    rows[at : at + dice.choice((0, 1))] = dice.choice(([], [dice.choice(rows)], [with_token], [taken]))
    return b"".join(rows)


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
    if isinstance(decision, Added | Updated):
        scenario.changes(stored_bytes(chosen), decision.calendar)
        _check(message, decision, context)
    return str(decision.reason)


def _check(message: ItipMessage, decision: Added | Updated, context: Context) -> None:
    """What is written can be read, and the same message changes nothing any more (S4)."""
    memory = Memory(decision.revisions, (*context.memory.tombstones, *decision.tombstones))
    again = itip.decide(message, itip.read(decision.calendar), replace(context, memory=memory))
    if isinstance(again, Added | Updated):
        raise BrokenError(f"{decision.reason}, and then {again.reason}")


def stored_bytes(chosen: CalendarObject | Error | None) -> bytes | None:
    """Return the bytes of what is stored."""
    return chosen.calendar.to_bytes() if isinstance(chosen, CalendarObject) else None


def run(seconds: float, seed: int) -> Tally:
    """Mutate and decide until the time is over."""
    material, tally, end = seeds(), Tally(), time.monotonic() + seconds
    while time.monotonic() < end:
        number = seed * BILLION + tally.executions
        content, stored, dice = chosen(material, number)
        begin = time.thread_time()
        try:
            tally.outcomes.update(decided(content, stored, dice))
        except Exception:  # whatever it is, it is what is looked for
            tally.escapes.append(f"seed {number}\n{traceback.format_exc()}")
        tally.slowest = max(tally.slowest, (time.thread_time() - begin, number))
        tally.executions += 1
    return tally


def chosen(material: Sequence[tuple[bytes, bytes]], number: int) -> tuple[bytes, bytes, random.Random]:
    """Return the mail and what is stored in one execution, and the dice that are left for it."""
    dice = random.Random(number)
    contents = [content for content, _ in material]
    content, stored = dice.choice(material)
    content = mutated(content, contents, dice)
    return content, mutated(stored, contents, dice) if stored and dice.random() < 0.3 else stored, dice


def show(number: int) -> int:
    """Print one execution and decide it where everybody sees it."""
    content, stored, dice = chosen(seeds(), number)
    print(f"{content.decode(errors='replace')}\n== stored\n{stored.decode(errors='replace')}")
    print(decided(content, stored, dice))
    return 0


def main() -> int:
    """Run on every core and print what was seen; return 1 where anything escaped."""
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if seed >= BILLION:
        return show(seed)
    cores = os.cpu_count() or 1
    with multiprocessing.Pool(cores) as pool:
        tallies = pool.starmap(run, [(seconds, seed * cores + core) for core in range(cores)])
    escapes = [escape for tally in tallies for escape in tally.escapes]
    outcomes = sum((tally.outcomes for tally in tallies), Counter[str]())
    print(f"{sum(tally.executions for tally in tallies)} executions in {seconds:.0f} s on {cores} cores")
    took, number = max(tally.slowest for tally in tallies)
    print(f"{len(escapes)} escapes; slowest input {took:.2f} s: seed {number}")
    print(", ".join(f"{reason or 'message'} {count}" for reason, count in outcomes.most_common()))
    print("\n".join(escapes[:60]))
    return 1 if escapes else 0


if __name__ == "__main__":
    raise SystemExit(main())
