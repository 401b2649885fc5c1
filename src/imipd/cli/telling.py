"""What a mail did, told to a newcomer: reasons in words, changes without our own bookkeeping, a calendar to look at."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from imipd.itip import CalendarObject
from imipd.itip.instance import Instance

WORDS = {
    "invited": "a new invitation: it is put into her calendar, unanswered",
    "attendee-replied": "the answer is noted on the line of whoever gave it, and nothing else moves",
    "rescheduled": "the organizer moved it: her copy follows, and she is asked again",
    "details-changed": "the organizer changed a detail, not the time: her answer stays",
    "cancelled": "the organizer called it off: it is marked as cancelled",
    "instance-cancelled": "one day is called off; the rest of the series stays",
    "instance-added": "one more day in a series that she has: unanswered",
    "invitation-bounced": "her invitation never reached somebody: his line says so",
    "counter-proposal": "another time is proposed: the answer is noted, and the meeting stays where it is",
    "stale": "something newer of the same person was applied before: old mail may arrive late",
    "no-calendar-part": "ordinary mail: not even parsed, and no entry in the ledger",
    "forwarded-as-attachment": "somebody shows her an invitation; nobody invites her",
    "bounce": "her own invitation came back: no answer of anybody's",
    "encrypted": "nobody but her mail program can read it",
    "tnef": "the meeting is locked up in a winmail.dat",
    "not-invited": "she is not on the list of those who are invited",
    "flagged-as-spam": "the spam filter flagged it: never processed",
    "published-not-added": "published and not meant for her: such events stay out unless she wants them",
    "not-an-attendee": "who answers was never invited",
    "sender-is-not-the-organizer": "only the organizer may change a meeting, and this mail is not from him",
    "sender-is-not-the-attendee": "one answers for oneself, and this mail is from somebody else",
    "organizer-changed": "a meeting does not change hands by mail",
    "too-large": "a rule that nobody could expand in bounded time: refused before anybody tries",
    "unknown-timezone": "an hour without a known time zone is no hour: never guessed",
}
SHOWN = ("SUMMARY", "DTSTART", "DTEND", "DUE", "RRULE", "LOCATION", "STATUS", "ORGANIZER", "ATTENDEE", "EXDATE")
_OURS = re.compile(r";X-[^;:=]*=(?:\"[^\"]*\"|[^;:\"]*)")
_ROW = re.compile(r"^\| \[(\S+)\]\(\1\) \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
_ESCAPED = re.compile(r"\\(?=[\\;,])")  # RFC 5545 §3.3.11
WIDTH = 110


def introductions(readme: Path) -> dict[str, tuple[str, str]]:
    """Return for each sample mail by which client it is shaped and what it shows, from the table of their README."""
    return {name: (client, shows) for name, client, shows in _ROW.findall(readme.read_text())}


def in_words(reason: str) -> str:
    """Return a reason as a sentence, or as it is."""
    return WORDS.get(reason, reason)


def changes(rows: Sequence[str]) -> list[str]:
    """Return the lines of a change that a newcomer looks at, and how many others there are."""
    told: list[str] = []
    heading, others = "", 0
    for row in rows:
        if row.startswith("@"):
            heading = row
        elif heading.startswith(("@ VTIMEZONE", "@ VCALENDAR")) or not _is_shown(row):
            others += 1
        else:
            told += [heading] if heading and heading not in told else []
            told.append(_cut(_OURS.sub("", row)))
    return [*told, f"(and {others} more lines)"] if others and told else told


def _is_shown(row: str) -> bool:
    return re.split("[;:]", row[1:], maxsplit=1)[0].upper() in SHOWN


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def agenda(held: Iterable[CalendarObject], me: str) -> list[str]:
    """Return a calendar as lines, in the order of time."""
    rows: list[str] = []
    for each in sorted(held, key=_begins):
        rows += [f"  {title(each)}", *(f"      {row}" for row in _instances(each, me))]
    return rows


def title(held: CalendarObject) -> str:
    """Return when something is and what it is called."""
    first = held.master or held.instances[0]
    summary = next((line.value for line in first.component.all("SUMMARY")), held.uid)
    return f"{_when(first):<27} {_ESCAPED.sub('', summary)}"


def _begins(held: CalendarObject) -> str:
    first = held.master or held.instances[0]
    return f"{first.start or first.end or ''}"


def _when(item: Instance) -> str:
    begins = item.start or item.end  # a task may only have a DUE
    if isinstance(begins, datetime):
        return f"{begins:%a %d %b %Y, %H:%M}" + (" UTC" if begins.tzinfo is UTC else "")
    return f"{begins:%a %d %b %Y}" if isinstance(begins, date) else "no date"


def _instances(held: CalendarObject, me: str) -> Iterable[str]:
    for item in sorted(held.instances, key=lambda item: item.label):
        series = "a series." if item.component.all("RRULE") else ""
        which = "" if item.recurrence_id is None else f"{_when(item)}:"
        yield " ".join(filter(None, (which, series, _state(item), _people(item, me))))


def _state(item: Instance) -> str:
    return {"CANCELLED": "CANCELLED.", "COMPLETED": "done."}.get(item.status or "", "")


def _people(item: Instance, me: str) -> str:
    """Return who comes, as far as he said so."""
    organizer = item.organizer.address if item.organizer else ""
    asked = [party for party in item.attendees if party.address != organizer]
    answers = ", ".join(f"{_name(party.address, me)} {_said(party.partstat)}" for party in asked)
    return f"{_name(organizer, me)} invites: {answers}" if organizer else answers


def _said(partstat: str) -> str:
    return "(no answer yet)" if partstat == "NEEDS-ACTION" else partstat.lower()


def _name(address: str, me: str) -> str:
    return "alice" if address.partition("@")[0] in (me, f"{me}.smith") else address.partition("@")[0]
