"""What a REPLY leaves alone, byte for byte (S3): scenarios compare unfolded lines and cannot say it."""

from datetime import UTC, datetime

import pytest

from imipd import itip
from imipd.itip import Context, Updated

BOB = b"ATTENDEE;CN=Bob;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@example.net"
STORED = (
    b"""BEGIN:VCALENDAR
version:2.0
PRODID:-//example.org//Desk//EN
BEGIN:VEVENT
UID:lunch@example.org
DTSTAMP:20270104T080000Z
DTSTART:20270111T110000Z
SUMMARY:Lunch\xe4\xbc
 \x9a\xe8\xad\xb0\xe5\xae\xa4 with a line that is folded within a letter and longer than seventy-five octets
description: a latin-1 letter \xfc that is not UTF-8
X-ODD;P="a:b":a;b,c\\;d
this is no content line
ORGANIZER:mailto:alice@example.org
"""
    + BOB
    + b"""
REQUEST-STATUS:2.0;Success
BEGIN:VALARM
TRIGGER:-PT5M
ACTION:AUDIO
END:VALARM
END:VEVENT
END:VCALENDAR
"""
)
ANSWER = b"""BEGIN:VCALENDAR
VERSION:2.0
METHOD:REPLY
BEGIN:VEVENT
UID:lunch@example.org
DTSTAMP:20270105T090000Z
SEQUENCE:0
ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.net
END:VEVENT
END:VCALENDAR
"""
CONTEXT = Context(frozenset({"alice@example.org"}), "bob@example.net", datetime(2027, 1, 5, 9, 1, tzinfo=UTC))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_every_line_but_his_stays_as_it_was_on_the_wire(line_end: bytes) -> None:
    stored = STORED.replace(b"\n", line_end)
    decision = itip.decide(itip.parse(ANSWER), itip.read(stored), CONTEXT)
    assert isinstance(decision, Updated)
    before, after = stored.split(BOB + line_end)
    assert decision.calendar.startswith(before)
    assert decision.calendar.endswith(after)


def test_what_he_says_why_is_told_in_the_detail() -> None:
    answer = ANSWER.replace(b"SEQUENCE", b"COMMENT:Away until Tuesday\\, sorry\nSEQUENCE")
    decision = itip.decide(itip.parse(answer), itip.read(STORED), CONTEXT)
    assert decision.detail == "comment: Away until Tuesday, sorry"


def test_an_instance_that_is_not_there_is_told_beside_what_applied() -> None:
    series = STORED.replace(b"SUMMARY", b"RRULE:FREQ=WEEKLY\nSUMMARY")
    wrong = ANSWER.partition(b"BEGIN:VEVENT\n")[2].partition(b"END:VCALENDAR")[0]
    wrong = b"BEGIN:VEVENT\n" + wrong.replace(b"SEQUENCE", b"RECURRENCE-ID:20270112T110000Z\nSEQUENCE")
    answer = ANSWER.replace(b"END:VCALENDAR", wrong + b"END:VCALENDAR")
    decision = itip.decide(itip.parse(answer), itip.read(series), CONTEXT)
    assert isinstance(decision, Updated)
    assert decision.detail == "unknown-instance: 20270112T110000Z"
