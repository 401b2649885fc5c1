"""What stands in the calendars that are measured, and the mails about it; pure.

Of five events the account's owner organizes three, bob the others: those are what his updates and cancellations are
about. Everything that a message says is newer than what was said before, so each of them has to be written.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

BOB, CAROL = "bob@example.net", "carol@example.com"
PARTSTATS = ("ACCEPTED", "DECLINED", "TENTATIVE")
BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
FIRST_DAY = datetime(2027, 1, 4, 10, 0, tzinfo=UTC)
_TEXT = "The agenda is in the room, and so is the coffee; whoever comes late brings cake.\r\n"
_TOLD = "Content-Type: text/plain; charset=utf-8\r\n\r\nBob has answered.\r\n"
_SHOWN = "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Bob has <b>answered</b>.</p>\r\n"


def is_own(number: int) -> bool:
    """Return whether the owner of the account organizes the event of this number."""
    return number % 5 < 3


def uid_of(account: str, number: int) -> str:
    """Return the UID of an event."""
    return f"{account}-{number:06d}@example.org"


def event(account: str, number: int, *, quiet: bool = False) -> str:
    """Return the VEVENT that an account's calendar holds; `quiet` keeps a server that schedules from mailing."""
    owner = f"{account}@example.org"
    agent = ";SCHEDULE-AGENT=CLIENT" if quiet else ""
    organizer, guests = (owner, (BOB, CAROL)) if is_own(number) else (BOB, (owner, CAROL))
    return _component(
        account,
        number,
        f"ORGANIZER{'' if is_own(number) else agent}:mailto:{organizer}",
        *(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE{agent}:mailto:{guest}" for guest in guests),
        "STATUS:CONFIRMED",
        "SEQUENCE:0",
        f"SUMMARY:Meeting {number}",
    )


def calendar(*components: str, method: str = "") -> bytes:
    """Return a VCALENDAR."""
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//imipd//bench//EN", *([f"METHOD:{method}"] if method else []))
    return "\r\n".join((*head, *components, "END:VCALENDAR", "")).encode()


def reply(account: str, number: int, partstat: str, tick: int) -> bytes:
    """Return the mail in which bob answers."""
    said = (f"ORGANIZER:mailto:{account}@example.org", f"ATTENDEE;PARTSTAT={partstat}:mailto:{BOB}", "SEQUENCE:0")
    return _mail(account, "REPLY", _component(account, number, *said, f"SUMMARY:Meeting {number}", tick=tick), tick)


def update(account: str, number: int, summary: str, tick: int) -> bytes:
    """Return the mail in which bob changes his event."""
    lines = (*_from_bob(account), f"SEQUENCE:{tick}", f"SUMMARY:{summary}", "STATUS:CONFIRMED")
    return _mail(account, "REQUEST", _component(account, number, *lines, tick=tick), tick)


def cancel(account: str, number: int, tick: int) -> bytes:
    """Return the mail in which bob calls his event off."""
    lines = (*_from_bob(account), f"SEQUENCE:{tick}", f"SUMMARY:Meeting {number}", "STATUS:CANCELLED")
    return _mail(account, "CANCEL", _component(account, number, *lines, tick=tick), tick)


def plain(account: str, size: int, tick: int) -> bytes:
    """Return a mail without a calendar part, of about this size."""
    head = _header(account, tick) + "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    return (head + _TEXT * max(1, (size - len(head)) // len(_TEXT))).encode()


def message_id(tick: int) -> str:
    """Return the Message-ID of the mail of this tick."""
    return f"<{tick}.bench@example.net>"


def with_answer(body: bytes, partstat: str, tick: int) -> bytes:
    """Return an event with another answer of bob's, newer than it was: what the bare client writes."""
    said = re.sub(
        rb"(PARTSTAT=)[A-Z-]+([^\r\n]*mailto:bob@)", rb"\g<1>" + partstat.encode() + rb"\g<2>", unfolded(body)
    )
    return re.sub(rb"(?m)^DTSTAMP:\d+T\d+Z", f"DTSTAMP:{_stamp(tick)}".encode(), said)


def unfolded(body: bytes) -> bytes:
    """Return iCalendar with each content line on one line."""
    return body.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")


def _component(account: str, number: int, *lines: str, tick: int = 0) -> str:
    start = FIRST_DAY + timedelta(hours=3 * number)
    when = (
        f"DTSTAMP:{_stamp(tick)}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}",
    )
    return "\r\n".join(("BEGIN:VEVENT", f"UID:{uid_of(account, number)}", *when, *lines, "END:VEVENT"))


def _stamp(tick: int) -> str:
    return f"{BEGIN + timedelta(seconds=tick):%Y%m%dT%H%M%SZ}"


def _from_bob(account: str) -> tuple[str, ...]:
    guests = (f"{account}@example.org", CAROL)
    return (
        f"ORGANIZER:mailto:{BOB}",
        *(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{guest}" for guest in guests),
    )


def _mail(account: str, method: str, component: str, tick: int) -> bytes:
    """Return a mail in the shape that the large clients send: text, HTML and the calendar as alternatives."""
    head = _header(account, tick) + 'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    kind = f"Content-Type: text/calendar; charset=utf-8; method={method}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    parts = (_TOLD, _SHOWN, kind + calendar(component, method=method).decode())
    return (head + "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n").encode()


def _header(account: str, tick: int) -> str:
    date = format_datetime(BEGIN + timedelta(seconds=tick))
    return (
        f"From: Bob <{BOB}>\r\nTo: <{account}@example.org>\r\nSubject: Meeting\r\nDate: {date}\r\n"
        f"Message-ID: {message_id(tick)}\r\nMIME-Version: 1.0\r\n"
    )
