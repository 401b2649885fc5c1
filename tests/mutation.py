"""Mails to begin with, each with what is stored for it, and mutations of them."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

from corpus import ROOT
from imipd import scenario
from stage import SAMPLES, crlf, mail_of

SCENARIOS = Path(__file__).parent / "scenarios"
REAL = Path(os.environ.get("IMIPD_CORPUS") or ROOT.parent / "shared" / "corpus")
"""The corpus of real mails, where it is at hand."""
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
        *("METHOD:ADD", "METHOD:COUNTER", "METHOD:DECLINECOUNTER", "METHOD:REFRESH", "METHOD:PUBLISH"),
        *(';X-IMIPD-FIRST="mailto:mallory@evil.example"', ';SENT-BY="mailto:mallory@evil.example"'),
        *("From: mallory@evil.example\r\n", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org\r\n"),
        *(
            "Authentication-Results: mx.example.org; dmarc=pass header.from=example.net\r\n",
            "dkim=pass header.d=example.net;",
            ';DELEGATED-FROM="mailto:bob@example.net"',
            "BEGIN:VJOURNAL\r\n",
            "X-Spam-Flag: YES\r\n",
            "alice+x@example.org",
        ),
        *(";", ":", ",", '"', "\\", "\x00", "\xff", "\r", "\n", "\r\n", "\t", " ", "="),
    )
)


Material = list[tuple[bytes, bytes]]


def seeds() -> Material:
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
