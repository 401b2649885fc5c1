"""Any bytes give a decision or MalformedError, and soon; no message leaves anything behind in the core (G9).

The bound only tells an end from a walk without one: the heaviest take some seconds of one core, most a few
milliseconds, and what grows with the square of its input takes many minutes.
"""

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import thread_time
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz
import mutation
from corpus import corpus
from imipd import itip
from imipd.itip import Added, Context, MalformedError, Updated
from imipd.memory import Memory, Tombstone
from imipd.policy import Policy

SECONDS = 60
MANY = 1990
MUTATIONS = 800
ADD, DELETE = Policy(invitations="add"), Policy(invitations="add", cancelled="delete")
CONTEXT = Context(frozenset({"alice@example.org"}), "bob@example.net", datetime(2027, 1, 5, tzinfo=UTC), ADD)
FIRST = datetime(2027, 1, 12, 9)
BOBS = ("ORGANIZER:mailto:bob@example.net", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org")
ALICES = ("ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.net")


def at(day: int) -> str:
    return f"{FIRST + timedelta(days=day):%Y%m%dT%H%M%SZ}"


def lines(name: str, rows: Iterable[str]) -> str:
    return "\r\n".join([f"BEGIN:{name}", *rows, f"END:{name}"])


def calendar(*parts: str, method: str = "") -> bytes:
    rows = ["VERSION:2.0", "PRODID:-//example.org//Desk//EN", *([f"METHOD:{method}"] if method else []), *parts]
    return (lines("VCALENDAR", rows) + "\r\n").encode("utf-8", "surrogateescape")


def event(*rows: str, people: Iterable[str] = BOBS, sequence: int = 0) -> str:
    stamps = ("UID:u@example.net", "DTSTAMP:20270104T080000Z", f"SEQUENCE:{sequence}")
    return lines("VEVENT", [*stamps, *people, *rows])


def series(*rows: str, people: Iterable[str] = BOBS, rule: str = "FREQ=DAILY", sequence: int = 0) -> str:
    times = (f"DTSTART:{at(0)}", "DURATION:PT1H", f"RRULE:{rule}")
    return event(*times, *rows, people=people, sequence=sequence)


def instance(day: int, *rows: str, people: Iterable[str] = BOBS, sequence: int = 0) -> str:
    times = (f"RECURRENCE-ID:{at(day)}", f"DTSTART:{at(day)}", "DURATION:PT2H")
    return event(*times, *rows, people=people, sequence=sequence)


def instances(people: Iterable[str] = BOBS, sequence: int = 0) -> list[str]:
    return [instance(day, people=people, sequence=sequence) for day in range(MANY)]


def decided(body: bytes, stored: bytes | None = None, context: Context = CONTEXT) -> str:
    """Return the reason of a message; what it writes can be read."""
    try:
        message = itip.parse(body)
    except MalformedError as error:
        return str(error.reason)
    held = itip.read(stored) if stored else None
    decision = itip.gate(message, context) or itip.decide(message, held, context)
    if isinstance(decision, Added | Updated):
        itip.read(decision.calendar)
    return str(decision.reason)


def soon(body: bytes, stored: bytes | None = None, context: Context = CONTEXT) -> str:
    """Return the reason of a message that is decided in time."""
    began = thread_time()
    reason = decided(body, stored, context)
    assert thread_time() - began < SECONDS
    return reason


NEW = instances(sequence=1)
HELD = calendar(series(), *instances())
MINE = calendar(series(people=ALICES), *instances(people=ALICES))
FUTURES = [event(f"RECURRENCE-ID;RANGE=THISANDFUTURE:{at(day)}", sequence=1) for day in reversed(range(MANY))]
STONES = Memory(tombstones=tuple(Tombstone("bob@example.net", at(day), 5, None) for day in range(MANY)))
ALL_OUT = "EXDATE:" + ",".join(at(day) for day in range(1, 50_000))
MANY_EXTRA = "RDATE:" + ",".join(at(day) for day in range(1, 50_000))
PERIODS = "RDATE;VALUE=PERIOD:" + ",".join(f"{at(day)}/PT2H" for day in range(1, 40_000))

MANY_INSTANCES = {
    "REQUEST of instances": (calendar(*NEW, method="REQUEST"), HELD, CONTEXT),
    "REQUEST of instances, backwards": (calendar(*reversed(NEW), method="REQUEST"), HELD, CONTEXT),
    "REQUEST of a series": (calendar(series(sequence=1), *NEW, method="REQUEST"), HELD, CONTEXT),
    "REQUEST without instances": (calendar(series("SUMMARY:New", sequence=1), method="REQUEST"), HELD, CONTEXT),
    "REQUEST, nothing stored": (calendar(series(), *NEW, method="REQUEST"), None, CONTEXT),
    "REQUEST after tombstones": (calendar(series(), method="REQUEST"), None, replace(CONTEXT, memory=STONES)),
    "REQUEST after deletions": (
        calendar(series(), method="REQUEST"),
        None,
        replace(CONTEXT, memory=STONES, policy=DELETE),
    ),
    "REQUEST without a series": (calendar(*NEW, method="REQUEST"), calendar(*instances()), CONTEXT),
    "REQUEST of excluded instances": (calendar(*NEW[1:], method="REQUEST"), calendar(series(ALL_OUT)), CONTEXT),
    "REQUEST without parties": (
        calendar(series(sequence=1), *instances(people=(), sequence=1), method="REQUEST"),
        HELD,
        CONTEXT,
    ),
    "REPLY of instances": (calendar(*instances(people=ALICES), method="REPLY"), MINE, CONTEXT),
    "REPLY of new instances": (
        calendar(*instances(people=ALICES), method="REPLY"),
        calendar(series(people=ALICES)),
        CONTEXT,
    ),
    "REPLY of a series": (
        calendar(series(people=ALICES), *instances(people=ALICES), method="REPLY"),
        MINE,
        CONTEXT,
    ),
    "CANCEL of instances": (calendar(*NEW, method="CANCEL"), HELD, CONTEXT),
    "CANCEL of new instances": (calendar(*NEW, method="CANCEL"), calendar(series()), CONTEXT),
    "CANCEL of instances, deleted": (calendar(*NEW, method="CANCEL"), HELD, replace(CONTEXT, policy=DELETE)),
    "CANCEL of extra days": (calendar(*NEW, method="CANCEL"), calendar(series(MANY_EXTRA)), CONTEXT),
    "CANCEL of extra periods": (calendar(*NEW, method="CANCEL"), calendar(series(PERIODS)), CONTEXT),
    "CANCEL of excluded instances": (calendar(*NEW[1:], method="CANCEL"), calendar(series(ALL_OUT)), CONTEXT),
    "CANCEL of a series": (calendar(series(sequence=1), *NEW, method="CANCEL"), HELD, CONTEXT),
    "CANCEL of the future": (calendar(FUTURES[5], method="CANCEL"), HELD, CONTEXT),
    "CANCEL of many futures": (calendar(*FUTURES, method="CANCEL"), HELD, CONTEXT),
    "CANCEL without a series": (calendar(*NEW, method="CANCEL"), calendar(*instances()), CONTEXT),
    "CANCEL of the unknown": (calendar(*NEW, method="CANCEL"), None, CONTEXT),
    "CANCEL by a rule that seldom matches": (
        calendar(*NEW, method="CANCEL"),
        calendar(series(rule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")),
        CONTEXT,
    ),
    "CANCEL by a rule with a high COUNT": (
        calendar(*NEW, method="CANCEL"),
        calendar(series(rule="FREQ=DAILY;COUNT=20000;BYMONTH=2;BYMONTHDAY=29")),
        replace(CONTEXT, policy=DELETE),
    ),
}
"""2000 components each way."""


@pytest.mark.parametrize("name", MANY_INSTANCES)
def test_thousands_of_instances(name: str) -> None:
    """They cost what they weigh, and no more."""
    assert soon(*MANY_INSTANCES[name]) not in ("malformed", "too-large")


def old_and_new(*rows: str) -> tuple[bytes, bytes]:
    """Return a REQUEST with these rows, and what is stored with rows of the same names."""
    return calendar(series(*rows, sequence=1), method="REQUEST"), calendar(series(*(f"{row}9" for row in rows)))


def invitation(*rows: str) -> tuple[bytes, None]:
    return calendar(series(*rows), method="REQUEST"), None


LARGE = {
    "equal junk lines": (*old_and_new(*["X-JUNK:1"] * 100_000), "details-changed"),
    "other junk lines": (*old_and_new(*[f"X-{number}:1" for number in range(70_000)]), "details-changed"),
    "junk without a colon": (*invitation(*["JUNK"] * 150_000), "invited"),
    "comments": (*old_and_new(*[f"COMMENT:{number}" for number in range(60_000)]), "details-changed"),
    "categories": (*old_and_new("CATEGORIES:" + ",".join(f"c{n}" for n in range(100_000))), "details-changed"),
    "one long line": (*old_and_new("DESCRIPTION:" + "ü" * 500_000), "details-changed"),
    "folds": (*invitation("DESCRIPTION:" + "\r\n " * 300_000), "invited"),
    "EXDATEs": (*invitation(ALL_OUT), "invited"),
    "EXDATE lines": (*invitation(*[f"EXDATE:{at(day)}" for day in range(1, 30_000)]), "invited"),
    "RDATEs": (*invitation(MANY_EXTRA), "invited"),
    "attendees": (*old_and_new(*[f"ATTENDEE:mailto:p{n}@example.com" for n in range(998)]), "details-changed"),
    "too many attendees": (*invitation(*["ATTENDEE:mailto:p@example.com"] * 20_000), "too-large"),
    "parameters": (*invitation("ATTENDEE" + "".join(f";X{n}=1" for n in range(90_000)) + ":mailto:a@b"), "invited"),
    "members": (*invitation("ATTENDEE;MEMBER=" + ",".join(['"mailto:a@b"'] * 70_000) + ":mailto:a@b"), "invited"),
    "quotes": (*invitation('ATTENDEE;CN="' * 70_000), "malformed"),
    "rules": (*invitation(*[f"RRULE:FREQ=DAILY;INTERVAL={n}" for n in range(1, 999)]), "too-large"),
    "alarms": (*invitation(*[lines("VALARM", ["TRIGGER:-PT5M"])] * 1900), "invited"),
    "components": (calendar(*[lines("VEVENT", [])] * 40_000, method="REQUEST"), None, "too-large"),
    "components without end": (b"BEGIN:VEVENT\r\n" * 70_000, None, "too-large"),
    "ends": (b"END:VCALENDAR\r\n" * 70_000, None, "malformed"),
    "nothing but line ends": (b"\r\n" * 500_000, None, "malformed"),
    "nothing but nul": (b"\0" * 2**20, None, "malformed"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_calendar_of_a_mebibyte(name: str) -> None:
    """As large as a part may be, and all of one kind."""
    *case, expected = LARGE[name]
    assert soon(*case) == expected  # type: ignore[arg-type]


def zone(tzid: str, *observances: str) -> str:
    return lines("VTIMEZONE", [f"TZID:{tzid}", *observances])


def observance(offset: str = "+0100", start: str = "19700101T000000", *rows: str, name: str = "STANDARD") -> str:
    return lines(name, [f"DTSTART:{start}", "TZOFFSETFROM:+0000", f"TZOFFSETTO:{offset}", *rows])


def in_zone(*zones: str, tzid: str = "Bomb", count: int = 1700) -> bytes:
    local = (f"TZID={tzid}:{at(day)[:-1]}" for day in range(count))
    return calendar(*zones, *(event(f"RECURRENCE-ID;{it}", f"DTSTART;{it}") for it in local), method="REQUEST")


BEGUN = [f"{1600 + number}0101T000000" for number in range(99)]
YEARLY = [observance(f"+{number % 12:02}00", start, "RRULE:FREQ=YEARLY") for number, start in enumerate(BEGUN)]
UNKNOWN = "unknown-timezone"
ZONES = {
    "an ordinary one": (in_zone(zone("Bomb", observance())), "invited"),
    "thousands of observances": (in_zone(zone("Bomb", *[observance()] * 1500), count=9), UNKNOWN),
    "fifty from 1600 on": (in_zone(zone("Bomb", *YEARLY[:50])), "invited"),
    "a hundred zones": (
        calendar(
            *(zone(f"Z{number}", *YEARLY[:15]) for number in range(100)),
            *(event(f"RECURRENCE-ID:{at(n)}", f"DTSTART;TZID=Z{n}:20270112T090000") for n in range(100)),
            method="REQUEST",
        ),
        UNKNOWN,
    ),
    "SECONDLY": (in_zone(zone("Bomb", observance("+0100", BEGUN[0], "RRULE:FREQ=SECONDLY"))), UNKNOWN),
    "SECONDLY in disguise": (
        in_zone(zone("Bomb", observance("+0100", BEGUN[0], "RRULE:FREQ=YEARLY;BYHOUR=1,2;BYMINUTE=1,2"))),
        UNKNOWN,
    ),
    "never": (
        in_zone(zone("Bomb", *[observance("+0100", BEGUN[0], "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")] * 90)),
        UNKNOWN,
    ),
    "INTERVAL=0": (in_zone(zone("Bomb", observance("+0100", BEGUN[0], "RRULE:FREQ=YEARLY;INTERVAL=0"))), UNKNOWN),
    "99:59": (in_zone(zone("Bomb", observance("+9959"))), UNKNOWN),
    "-23:59": (in_zone(zone("Bomb", observance("-2359"))), "invited"),
    "RDATEs": (
        in_zone(zone("Bomb", observance("+0100", BEGUN[0], MANY_EXTRA.replace("Z", "")))),
        "invited",
    ),
    "only summer, not begun": (
        in_zone(zone("Bomb", *[observance("+0200", "20300101T000000", name="DAYLIGHT")] * 2)),
        "invited",
    ),
    "no observance": (in_zone(zone("Bomb")), UNKNOWN),
    "TZID=Europe": (in_zone(tzid="Europe"), UNKNOWN),
    "a path": (in_zone(tzid="../../etc/passwd"), UNKNOWN),
    "300 characters": (in_zone(tzid="x" * 300), UNKNOWN),
    "a directory of zones": (in_zone(tzid="America/Argentina"), UNKNOWN),
    "the zone of this machine": (in_zone(tzid="localtime"), UNKNOWN),
}


@pytest.mark.parametrize("name", ZONES)
def test_hostile_time_zones(name: str) -> None:
    """A VTIMEZONE is asked in bounded time, or not at all."""
    body, expected = ZONES[name]
    assert soon(body) == expected
    assert soon(body, calendar(series())) in (expected, "rescheduled")


@pytest.mark.parametrize(("count", "expected"), [(50, "invited"), (400, UNKNOWN)])
def test_zones_without_a_definition(count: int, expected: str) -> None:
    """Dozens of named zones, used from 1600 on, are defined in time; nobody uses hundreds."""
    names = sorted(name for name in available_timezones() if "/" in name)[:count]
    parts = (event(f"RECURRENCE-ID:{at(n)}", f"DTSTART;TZID={name}:16000112T090000") for n, name in enumerate(names))
    assert soon(calendar(*parts, method="REQUEST")) == expected


RULES = {
    **dict.fromkeys(("FREQ=SECONDLY", "FREQ=MINUTELY;COUNT=3", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"), "too-large"),
    **dict.fromkeys(("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=1000000000", "FREQ=DAILY;COUNT=0"), "too-large"),
    **dict.fromkeys(("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31"), "too-large"),
    **dict.fromkeys(("FREQ=YEARLY;BYWEEKNO=1;BYMONTH=6", "FREQ=MONTHLY;BYDAY=6MO"), "too-large"),
    "FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5;BYSECOND=1,2,3,4,5": "too-large",
    "FREQ=YEARLY;BYYEARDAY=" + ",".join(map(str, range(1, 367))): "malformed",
    "FREQ=YEARLY;BYDAY=" + ",".join(f"{n}{day}" for n in range(1, 54) for day in ("MO", "TU")): "malformed",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO": "invited",
    "FREQ=YEARLY;INTERVAL=1000": "invited",
    "FREQ=DAILY;COUNT=20000": "invited",
    "FREQ=DAILY;UNTIL=99991231T235959Z": "invited",
    "FREQ=DAILY;UNTIL=00010101": "invited",
    "FREQ=DAILY;FREQ=DAILY": "malformed",
    "FREQ=EVERY": "malformed",
    "FREQ": "malformed",
    "": "malformed",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule)[:40])
def test_hostile_rules(rule: str) -> None:
    """Refused at once, or asked in time, also where such a rule is what is stored."""
    assert soon(calendar(series(rule=rule), method="REQUEST")) == RULES[rule]
    if RULES[rule] != "malformed":
        soon(calendar(*NEW[:500], method="CANCEL"), calendar(series(rule=rule)))


ROWS = {
    "DTSTART;VALUE=a,b:20270112T090000Z": None,
    "DTSTART;TZID=:20270112T090000": None,
    "DTSTART;TZID:20270112T090000": "malformed",
    "DTSTART:00010101T000000Z": "malformed",
    "DTSTART:99991231T235959Z": "malformed",
    "DTSTART:20270112T090000Z,20270113T090000Z": "malformed",
    "DTSTART:20270112T090000Z/PT1H": None,
    "DTSTART:PT1H": "malformed",
    "DTSTART:": "malformed",
    "DTSTART:2027011\u0662T090000Z": None,
    "DTSTART;VALUE=DATE:20270230": "malformed",
    "DTSTART:20270112T246060Z": "malformed",
}


@pytest.mark.parametrize("row", ROWS)
def test_odd_times(row: str) -> None:
    """Whatever a library makes of them, the door holds."""
    said = decided(calendar(event(row), method="REQUEST"))
    assert said == ROWS[row] or (ROWS[row] is None and said in ("invited", "malformed"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("DURATION:P999999999W", "malformed"),
        ("DURATION:-P999999999D", "malformed"),
        ("DURATION:-PT1H", "invited"),
        ("DTEND:99991231T235959Z", "malformed"),
        ("EXDATE:00010101T000000Z", "malformed"),
        ("RDATE;VALUE=PERIOD:20270119T090000Z/P999999999W", "invited"),
        ("SEQUENCE:99999999999999999999999999", "invited"),
        ("ATTENDEE;PARTSTAT:mailto:a@b", "malformed"),
        ('ATTENDEE;CN="a:mailto:a@b', "malformed"),
        ("ATTENDEE:\0", "invited"),
        ("X-NUL\0:\0", "invited"),
        ("SUMMARY:\udcff\udced\udca0\udc80", "invited"),
        ("X" * 5000 + ":1", "invited"),
    ],
)
def test_odd_rows(row: str, expected: str) -> None:
    """What a decision needs has to be read; the rest is carried on as it is."""
    timed = f"DTSTART:{at(0)}"
    once = "SEQUENCE" if row.startswith("SEQUENCE") else ""
    body = calendar(event(timed, row), method="REQUEST")
    assert soon(body.replace(b"SEQUENCE:0\r\n", b"") if once else body) == expected


BROKEN = (b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\xf0\x9f\x98", b"\r", b"\x1b$B")


@pytest.mark.parametrize("octets", BROKEN)
def test_stored_octets_stay(octets: bytes) -> None:
    """A client has stored what is no UTF-8: it stays as it is while the lines around it change."""
    stored = calendar(series("SUMMARY:?", "X-ODD;A=?:?")).replace(b"?", b"a" + octets + b"b")
    for message in (calendar(*NEW[:2], method="CANCEL"), calendar(series(sequence=1), method="CANCEL")):
        decision = itip.decide(itip.parse(message), itip.read(stored), CONTEXT)
        assert isinstance(decision, Updated)
        assert set(stored.split(b"\r\n")) - set(decision.calendar.split(b"\r\n")) <= {
            b"SEQUENCE:0",
            b"ORGANIZER:mailto:bob@example.net",
        }
        assert itip.read(decision.calendar)


def berlin(offset: str) -> bytes:
    """Return a REQUEST in a Europe/Berlin that the mail itself defines."""
    local = "DTSTART;TZID=Europe/Berlin:20270112T090000"
    return calendar(zone("Europe/Berlin", observance(offset)), event(local), method="REQUEST")


def start_of(body: bytes) -> datetime | None:
    start = itip.parse(body).content.instances[0].start
    return start.astimezone(UTC) if isinstance(start, datetime) else None


def meant(hours: int) -> datetime:
    return datetime(2027, 1, 12, 9, tzinfo=UTC) - timedelta(hours=hours)


def test_a_zone_of_one_mail_is_not_that_of_the_next() -> None:
    """What a mail says of Europe/Berlin holds in that mail."""
    undefined = calendar(event("DTSTART;TZID=Europe/Berlin:20270112T090000"), method="REQUEST")
    for body, hours in ((berlin("+0900"), 9), (undefined, 1), (berlin("-0500"), -5), (berlin("+0100"), 1)):
        assert start_of(body) == meant(hours)


def test_a_zone_of_one_mail_is_not_that_of_another_thread() -> None:
    """Eight threads, each with a Europe/Berlin of its own."""
    with ThreadPoolExecutor(8) as pool:
        hours = [number % 8 + 1 for number in range(400)]
        assert list(pool.map(start_of, (berlin(f"+{hour:02}00") for hour in hours))) == [meant(hour) for hour in hours]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["", "REQUEST", "REPLY", "CANCEL"]))
def test_any_bytes_are_read_or_malformed(octets: bytes, method: str) -> None:
    """As a calendar, as a line of an event, and as what is stored."""
    for body in (octets, calendar(event(octets.decode("utf-8", "surrogateescape")), method=method)):
        decided(body)
        with_stored(calendar(series(), method="CANCEL"), body)


def with_stored(body: bytes, stored: bytes) -> None:
    try:
        itip.decide(itip.parse(body), itip.read(stored), CONTEXT)
    except MalformedError:
        return


def test_mutations_of_the_scenarios() -> None:
    """Nothing escapes, nothing takes long, and what is decided can be read and decided again."""
    report = fuzz.run(range(20270112, 20270112 + MUTATIONS))
    assert not report.escapes
    assert report.slowest[0] < SECONDS


def test_mutations_of_real_objects() -> None:
    """The same over what real clients have stored."""
    objects = [path.read_bytes() for path in sorted(corpus().rglob("*.ics")) if path.stat().st_size < 50_000]
    dice = random.Random(1)
    for _ in range(600):
        body = mutation.mutated(dice.choice(objects), objects, dice)
        with_stored(body, body)
        decided(body)
