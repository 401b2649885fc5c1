"""iTIP mails to alice and what her calendar holds, built from what matters in the test.

`meeting` is one that she organizes, for bob and carol; `invited` is one of bob's, to which she is invited. Every mail
has a DTSTAMP, a Date and a Message-ID that grow with `minute`.
"""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

ALICE, BOB, CAROL = "alice@example.org", "bob@example.net", "carol@example.com"
UID = "lunch@example.org"
BEGIN = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
SECRET = "Potatoes"  # stands in every SUMMARY, and must never be logged
WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=4"
TUESDAYS = ("20270202T100000Z", "20270209T100000Z", "20270216T100000Z", "20270223T100000Z")


def meeting(*lines: str, uid: str = UID) -> bytes:
    """Return a meeting of alice's as it is stored."""
    return calendar(None, event(*_parties(ALICE, BOB, CAROL), *lines, uid=uid))


def invited(*lines: str, uid: str = UID, partstat: str = "NEEDS-ACTION") -> bytes:
    """Return a meeting of bob's as it is stored with alice."""
    return calendar(None, event(*_parties(BOB, f"{ALICE} {partstat}"), *lines, uid=uid))


def reply(sender: str, partstat: str, *lines: str, minute: int = 1, uid: str = UID) -> bytes:
    """Return the mail in which an attendee answers."""
    said = (f"ORGANIZER:mailto:{ALICE}", f"ATTENDEE;PARTSTAT={partstat}:mailto:{sender}")
    return mail(sender, "REPLY", event(*said, *lines, uid=uid, minute=minute), minute=minute)


def request(*lines: str, minute: int = 1, uid: str = UID, to: str = ALICE) -> bytes:
    """Return the mail in which bob invites, or changes."""
    return mail(BOB, "REQUEST", event(*_parties(BOB, to), *lines, uid=uid, minute=minute), minute=minute)


def cancel(*lines: str, minute: int = 1, uid: str = UID) -> bytes:
    """Return the mail in which bob calls off."""
    return mail(BOB, "CANCEL", event(*_parties(BOB, ALICE), *lines, uid=uid, minute=minute), minute=minute)


def event(*lines: str, uid: str = UID, minute: int = 0) -> str:
    """Return a VEVENT on a Tuesday in February, unless the lines name another time."""
    names = {line.partition(":")[0].partition(";")[0] for line in lines}
    usual = (f"SUMMARY:{SECRET}", "DTSTART:20270202T100000Z", "DTEND:20270202T110000Z", "SEQUENCE:0")
    stamp = f"DTSTAMP:{BEGIN + timedelta(minutes=minute):%Y%m%dT%H%M%SZ}"
    kept = [line for line in usual if line.partition(":")[0] not in names]
    return "\r\n".join(("BEGIN:VEVENT", f"UID:{uid}", stamp, *kept, *lines, "END:VEVENT"))


def calendar(method: str | None, *components: str) -> bytes:
    """Return a VCALENDAR of these components."""
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *([f"METHOD:{method}"] if method else []))
    return "\r\n".join((*head, *components, "END:VCALENDAR", "")).encode()


def mail(sender: str, method: str, *components: str, minute: int = 1, fields: tuple[str, ...] = ()) -> bytes:
    """Return a mail that carries these components as one iTIP message."""
    head = (*_header(sender, minute), *fields, f"Content-Type: text/calendar; method={method}; charset=utf-8")
    return "\r\n".join((*head, "", "")).encode() + calendar(method, *components)


def bundle(sender: str, *calendars: bytes, minute: int = 1) -> bytes:
    """Return a mail that carries several calendar parts."""
    head = "\r\n".join((*_header(sender, minute), "Content-Type: multipart/mixed; boundary=b", "", "")).encode()
    parts = b"".join(b"--b\r\nContent-Type: text/calendar\r\n\r\n" + part for part in calendars)
    return head + parts + b"--b--\r\n"


def plain(minute: int = 1) -> bytes:
    """Return a mail without a calendar."""
    head = (*_header(BOB, minute), "Content-Type: text/plain", "", "See you at lunch.", "")
    return "\r\n".join(head).encode()


def message_id(minute: int = 1) -> str:
    """Return the Message-ID of the mail of this minute."""
    return f"<{minute}@example.net>"


def _header(sender: str, minute: int) -> tuple[str, ...]:
    date = format_datetime(BEGIN + timedelta(minutes=minute))
    return (
        *(f"From: {sender}", f"To: {ALICE}", f"Subject: {SECRET}", f"Date: {date}"),
        *(f"Message-ID: {message_id(minute)}", "MIME-Version: 1.0"),
    )


def _parties(organizer: str, *attendees: str) -> tuple[str, ...]:
    """Return the ORGANIZER and the ATTENDEEs, each an address that a PARTSTAT may follow."""
    rows = [(attendee.partition(" ")[0], attendee.partition(" ")[2] or "NEEDS-ACTION") for attendee in attendees]
    listed = [f"ATTENDEE;PARTSTAT={partstat};RSVP=TRUE:mailto:{address}" for address, partstat in rows]
    return (f"ORGANIZER:mailto:{organizer}", *listed)
