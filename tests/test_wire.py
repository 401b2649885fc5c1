"""What a decision does not touch is PUT as it was stored: its bytes, its foldings, its order (rule S3).

Stored and new object are compared as content lines in their physical form, split here and not by `itip`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import pytest

from corpus import corpus
from imipd import itip
from imipd.itip import CalendarObject, Context, Decision, MalformedError, NoAction, Reason, Removed, Updated
from imipd.itip.lines import read
from imipd.policy import Policy

NOW = datetime(2027, 1, 5, 9, 0, tzinfo=UTC)
LINE = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?")
STAMPED = {b"STATUS", b"SEQUENCE", b"ORGANIZER"}
KINDS = ("VEVENT", "VTODO")

ODD: dict[str, Sequence[str | bytes]] = {
    "x-properties": ["X-ODD;X-EMPTY=;X-B=1:a;b,c\\,d", "X-JUST-A-NAME:", 'X-QUOTED;A="x;y:z":v'],
    "request-status": ["REQUEST-STATUS:2.0;Success", 'REQUEST-STATUS;LANGUAGE="de":3.7;Ungültig;ATTENDEE:mailto:x@y'],
    "inline-attachment": ["ATTACH;FMTTYPE=image/png;ENCODING=BASE64;VALUE=BINARY:iVBORw0KGgoAAAANS\n UhEUg\n =="],
    "attachment-uri": ["ATTACH:CID:jsmith.part3.960817T083000.xyzMail@example.com", "ATTACH;SIZE=1:ftp://x/a;b,c"],
    "geo": ["GEO:37.386013;-122.082932", "GEO;X-PRECISION=2:52.5;13.4"],
    "structured-location": ["X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=Köln:geo:50.94,6.96"],
    "fold-in-a-character": [b"DESCRIPTION:Gr\xc3\r\n \xbc\xc3\xa4\xc3\x9fe\\, lang"],
    "fold-in-an-emoji": [b"SUMMARY:\xf0\x9f\r\n\t\x8e\xb8 concert"],
    "long-folded": [b"DESCRIPTION:" + b"\r\n ".join("ä".encode() * 37 for _ in range(20))],
    "long-unfolded": ["COMMENT:" + "é" * 400],
    "folded-to-nothing": [b"X-EMPTY-FOLD:a\r\n \r\n  b\r\n\t"],
    "fold-in-the-name": [b"DESCRI\r\n PTION:cut in its name"],
    "fold-in-a-parameter": [b'X-P;LONG="one\r\n  two":v'],
    "tab-folds": [b"DESCRIPTION:one\r\n\ttwo\r\n\t three"],
    "lower-case": ["description:lower", "x-lower;x-p=1:v", "categories:work,Home"],
    "mixed-case": ["Location;LANGUAGE=de:Büro", "X-Mixed-Case:v"],
    "empty-parameters": ["LOCATION;LANGUAGE=:here", 'COMMENT;ALTREP="":no'],
    "escapes": ["DESCRIPTION:a\\, b\\; c\\nd\\Ne\\\\f", "X-ESC:a\\;b\\,c"],
    "needless-escapes": ["X-RAW:a,b;c", "COMMENT:colon\\: and \\t"],
    "caret-parameters": ["LOCATION;X-C=a^nb^'c^^d:v"],
    "not-utf-8": [b"X-LATIN:Gr\xfc\xdfe", b"LOCATION:B\xfcro"],
    "control-characters": [b"X-CTRL:a\x01b\x7f", b"COMMENT:tab\there"],
    "not-a-line": ["this is no content line", "X_UNDERSCORE:v", ";:"],
    "trailing-blanks": [b"X-BLANK:v   ", b"COMMENT: leading"],
    "blank-lines": [b"X-BEFORE:1\r\n", b"X-AFTER:2"],
    "twice-the-same": ["X-TWICE:1", "X-TWICE:1", "COMMENT:1", "COMMENT:1"],
    "dates-of-all-kinds": ["CREATED:19700101T000000Z", "X-WHEN;VALUE=PERIOD:20270101T000000Z/PT1H"],
    "alarms": [
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "DESCRIPTION:Los",
        "TRIGGER;RELATED=START:-PT1H",
        "X-A;B=:c",
        "END:VALARM",
    ],
    "odd-subcomponent": ["BEGIN:X-THING", "X-IN:a;b", "BEGIN:X-DEEP", "x-d:1", "END:X-DEEP", "END:X-THING"],
    "attendees-of-all-kinds": [
        'ATTENDEE;CN="Dave; D.";MEMBER="mailto:a@example.com","mailto:b@example.com";X-=1:mailto:dave@example.com',
        "attendee;partstat=declined;RSVP=:MAILTO:Erin%40x@example.com",
    ],
}
"""Lines that a stored object holds, whoever wrote them, by what is odd about them."""

ENDINGS = {"CRLF": b"\r\n", "LF": b"\n"}


def made(odd: Sequence[str | bytes], end: bytes) -> bytes:
    """Return a stored series with one override, the odd lines in both and in the calendar's middle."""
    lines = [line.encode() if isinstance(line, str) else line for line in odd]
    head = b"BEGIN:VEVENT\r\nUID:odd@example.org\r\nDTSTAMP:20270104T080000Z\r\n"
    people = (
        b"ORGANIZER;CN=Bob:mailto:bob@example.net\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org\r\n"
        b"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:carol@example.com\r\n"
    )
    master = b"DTSTART:20270112T090000Z\r\nDTEND:20270112T100000Z\r\nRRULE:FREQ=WEEKLY;COUNT=8\r\nSEQUENCE:0\r\n"
    override = b"RECURRENCE-ID:20270126T090000Z\r\nDTSTART:20270126T110000Z\r\nDTEND:20270126T120000Z\r\n"
    rows = b"".join(
        line.removesuffix(b"\r\n").replace(b"\n ", b"\r\n ").replace(b"\r\r", b"\r") + b"\r\n" for line in lines
    )
    body = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//odd//EN\r\nX-WR-CALNAME;X=:Mein Kalender\r\n"
    for times in (master, override):
        body += head + people + times + rows + b"END:VEVENT\r\n"
    return (body + b"X-AFTER-ALL:1\r\nEND:VCALENDAR\r\n").replace(b"\r\n", end)


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("name", ODD)
def test_odd_lines_are_put_as_they_are_stored(name: str, end: str) -> None:
    body = made(ODD[name], ENDINGS[end])
    changes = sum(_holds(body, method) for method in _METHODS)
    assert changes == len(_METHODS), "every method changes this object"


def test_objects_of_other_programs_are_put_as_they_are_stored() -> None:
    """One test over the whole corpus, so that it cannot pass by finding nothing."""
    objects = list(_stored_like(corpus()))
    assert len(objects) >= 15
    assert sum(_holds(body, method) for body in objects for method in _METHODS) >= 2 * len(objects)


def _stored_like(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*.ics")):
        body = path.read_bytes()
        try:
            stored = itip.read(body)
        except MalformedError:
            continue
        if stored.kind in KINDS and stored.organizer and _attendee(stored):
            yield body


def _attendee(stored: CalendarObject) -> str:
    """Return an attendee who is not the organizer."""
    organizer = stored.organizer.address if stored.organizer else ""
    listed = [p.address for p in stored.attendees_of(stored.master or stored.instances[0])]
    return next((address for address in listed if address != organizer and "@" in address), "")


def _holds(body: bytes, method: str) -> bool:
    """Check that the method loses no line but its own; return whether it changed anything."""
    stored = itip.read(body)
    decision = _METHODS[method](stored)
    if not isinstance(decision, Updated):
        assert not isinstance(decision, Removed)
        assert decision.reason in _HARMLESS, decision
        return False
    before, after = _lines(body), _lines(decision.calendar)
    lost = [line for line in _lost(before, after) if _name(line) != b"METHOD"]
    if method.startswith("REQUEST"):  # the Organizer's copy of such a line comes without them
        lost = [line for line in lost if not _CONTROL.search(line.strip())]
    assert {_name(line) for line in lost} <= _TOUCHED[method], lost
    if method == "REPLY":
        assert all(_attendee(stored).encode() in _unfolded(line).lower() for line in lost), lost
    return True


_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HARMLESS = {Reason.NO_CHANGE, Reason.UNKNOWN_INSTANCE, Reason.ALREADY_CANCELLED, Reason.DELETED_HERE, Reason.TOO_LARGE}
_TOUCHED = {
    "REPLY": {b"ATTENDEE"},
    "CANCEL": STAMPED,
    "CANCEL of one instance": STAMPED,
    "CANCEL that deletes one instance": STAMPED,
    "REQUEST for one instance": set[bytes](),
    # The Organizer's copy becomes the object, and what is no content line is not read from a mail.
    "REQUEST that repeats the whole": {b"ORGANIZER", b"NO-LINE"},
}


def _lines(body: bytes) -> list[bytes]:
    return [match[0] for match in LINE.finditer(body) if match[0].strip()]


def _lost(before: list[bytes], after: list[bytes]) -> Iterator[bytes]:
    for tag, first, last, _, _ in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag in ("replace", "delete"):
            yield from before[first:last]


@cache
def _name(line: bytes) -> bytes:
    match = re.match(rb"[A-Z0-9-]+(?=[;:])", _unfolded(line).upper())
    return match[0] if match else b"NO-LINE"


def _unfolded(line: bytes) -> bytes:
    return re.sub(rb"\r?\n[ \t]", b"", line)


def _said(stored: CalendarObject, method: str, *components: str) -> itip.ItipMessage:
    zones = [
        part.to_bytes().decode("utf-8", "replace") for part in stored.calendar.components if part.name == "VTIMEZONE"
    ]
    rows = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", f"METHOD:{method}", *zones, *components]
    return itip.parse("\r\n".join([*(row.strip("\r\n") for row in rows), "END:VCALENDAR", ""]).encode())


def _component(stored: CalendarObject, *rows: str, sequence: int) -> str:
    organizer = stored.organizer
    assert organizer
    head = [f"BEGIN:{stored.kind}", f"UID:{stored.uid}", "DTSTAMP:20270105T090000Z", f"SEQUENCE:{sequence}"]
    return "\r\n".join([*head, f"ORGANIZER:{organizer.line.value}", *rows, f"END:{stored.kind}"])


def _sequence(stored: CalendarObject) -> int:
    return max(item.sequence or 0 for item in stored.instances)


def _start(stored: CalendarObject) -> list[str]:
    """Return the lines of the series' first instance: its RECURRENCE-ID and its times."""
    master = stored.master or stored.instances[0]
    start = master.component.one("DTSTART")
    text = start.text if start else "DTSTART:20270112T090000Z"
    return [re.sub("^dtstart", "RECURRENCE-ID", text, flags=re.IGNORECASE), text]


def _context(stored: CalendarObject, me: str, policy: Policy | None = None) -> Context:
    return Context(frozenset([me]), None, NOW, policy or Policy(sender="any"))


def _reply(stored: CalendarObject) -> Decision:
    address, organizer = _attendee(stored), stored.organizer
    item = stored.master or stored.instances[0]
    rid = item.component.one("RECURRENCE-ID")
    rows = [*([rid.text] if rid else []), f"ATTENDEE;PARTSTAT=TENTATIVE:mailto:{address}"]
    message = _said(stored, "REPLY", _component(stored, *rows, sequence=_sequence(stored)))
    return itip.decide(message, stored, _context(stored, organizer.address if organizer else ""))


def _cancel(stored: CalendarObject) -> Decision:
    message = _said(stored, "CANCEL", _component(stored, sequence=_sequence(stored) + 1))
    return itip.decide(message, stored, _context(stored, _attendee(stored)))


def _cancel_one(stored: CalendarObject) -> Decision:
    message = _said(stored, "CANCEL", _component(stored, _start(stored)[0], sequence=_sequence(stored) + 1))
    return itip.decide(message, stored, _context(stored, _attendee(stored)))


def _delete_one(stored: CalendarObject) -> Decision:
    if not (stored.master and stored.master.recurs):
        return NoAction(Reason.UNKNOWN_INSTANCE)
    message = _said(stored, "CANCEL", _component(stored, _start(stored)[0], sequence=_sequence(stored) + 1))
    return itip.decide(message, stored, _context(stored, _attendee(stored), Policy(sender="any", cancelled="delete")))


def _request_one(stored: CalendarObject) -> Decision:
    if not (stored.master and stored.master.recurs):
        return NoAction(Reason.UNKNOWN_INSTANCE)
    rows = [*_start(stored), "SUMMARY:Anders", f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{_attendee(stored)}"]
    message = _said(stored, "REQUEST", _component(stored, *rows, sequence=_sequence(stored) + 1))
    return itip.decide(message, stored, _context(stored, _attendee(stored)))


def _request_again(stored: CalendarObject) -> Decision:
    """The Organizer's copy is what is stored: only what is remembered of him is written."""
    try:
        message = itip.parse(stored.calendar.without("METHOD").to_bytes(), "REQUEST")
    except MalformedError:
        return NoAction(Reason.NO_CHANGE)
    return itip.decide(message, stored, _context(stored, _attendee(stored)))


_METHODS = {
    "REPLY": _reply,
    "CANCEL": _cancel,
    "CANCEL of one instance": _cancel_one,
    "CANCEL that deletes one instance": _delete_one,
    "REQUEST for one instance": _request_one,
    "REQUEST that repeats the whole": _request_again,
}


SAID = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nX-A;P=1;Q=2:a;b\r\nX-B:1\r\nX-B:1\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n"
SAID += b"END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"", b"", True),
        (b"X-A;P=1;Q=2:a;b\r\nX-B:1\r\n", b"X-B:1\r\nX-A;Q=2;P=1\r\n :a\\;b\r\n", True),
        (b"X-B:1\r\nX-B:1\r\n", b"X-B:1\r\n", False),
        (b"X-B:1\r\nX-B:1\r\n", b"X-B:1\r\nX-B:2\r\n", False),
        (b"P=1", b"P=2", False),
        (b";P=1;Q=2:", b";P=1;SCHEDULE-STATUS=3.7;Q=2:", True),
        (b"ACTION:DISPLAY", b"ACTION:AUDIO", False),
        (b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nEND:VALARM\r\n", b"", False),
        (b"VALARM", b"X-ALARM", False),
        (b"END:VALARM\r\n", b"END:VALARM\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nEND:VALARM\r\n", False),
    ],
)
def test_two_calendars_say_the_same_whatever_a_server_does_to_bytes_and_order(
    old: bytes, new: bytes, same: bool
) -> None:
    """What undo takes for unchanged: order, foldings and needless escapes apart, every line counts, and how often."""
    one, other = (read(body) for body in (SAID, SAID.replace(old, new)))
    assert (itip.same(one, other), itip.same(other, one)) == (same, same)
