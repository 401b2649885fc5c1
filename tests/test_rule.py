"""A rule asked by its pattern has what dateutil finds by walking, and what RFC 5545 says where dateutil errs (G9)."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from imipd.itip import lines, rule
from imipd.itip.pattern import pattern

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MONDAY = datetime(2027, 1, 11, 9)
LATE = datetime(9990, 1, 11, 9)
"""Where a walk that finds nothing ends soon."""


def numbers(low: int, high: int, *, negative: bool = True) -> st.SearchStrategy[str]:
    """Return lists of a few numbers, as a rule part has them."""
    number = st.integers(low, high) | (st.integers(-high, -low) if negative else st.nothing())
    return st.lists(number, min_size=1, max_size=3, unique=True).map(lambda found: ",".join(map(str, found)))


def weekdays(prefix: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return BYDAY lists, all with or all without an ordinal: a mixture dateutil reads as both at once."""
    day = st.tuples(prefix, st.sampled_from(WEEKDAYS)).map("".join)
    return st.lists(day, min_size=1, max_size=4, unique=True).map(",".join)


DAYS = {
    "BYMONTH": numbers(1, 12, negative=False),
    "BYMONTHDAY": numbers(1, 31),
    "BYDAY": weekdays(st.just("")),
    "BYHOUR": numbers(0, 23, negative=False),
}
YEARDAYS = {"BYYEARDAY": numbers(1, 366)}
ORDINALS = {"BYDAY": weekdays(st.integers(1, 5).map(str) | st.integers(-5, -1).map(str)) | DAYS["BYDAY"]}
PLACES = {"BYSETPOS": numbers(1, 4)}
RULES = {
    "DAILY": DAYS,
    "WEEKLY": DAYS | {"WKST": st.sampled_from(WEEKDAYS)},
    "MONTHLY": DAYS | ORDINALS | PLACES,
    "YEARLY": DAYS | ORDINALS | YEARDAYS | PLACES,
}


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return a rule without an end."""
    frequency = draw(st.sampled_from(sorted(RULES)))
    parts = draw(st.fixed_dictionaries({}, optional=RULES[frequency]))
    interval = draw(st.integers(1, 4))
    return ";".join([f"FREQ={frequency}", f"INTERVAL={interval}", *(f"{name}={parts[name]}" for name in parts)])


def walked(text: str, start: datetime) -> Iterator[datetime]:
    """Yield what dateutil finds in four years; at the end of time it stumbles."""
    with suppress(ValueError):
        yield from takewhile(lambda at: at <= start + timedelta(days=1461), rrulestr(text, dtstart=start))


@settings(max_examples=200, deadline=None)
@given(texts(), st.integers(0, 1500))
def test_the_pattern_has_what_a_walk_finds(text: str, days: int) -> None:
    """Each day of four years is asked at the hours that the rule may name."""
    start = LATE + timedelta(days=days)
    asked = pattern(rule.read(lines.of_text(f"RRULE:{text}")).parts, start)
    found = set(islice(walked(text, start), 2000))
    end = min(start + timedelta(days=1461), max(found) if len(found) == 2000 else datetime.max)
    hours = {start.hour, *(at.hour for at in asked.times)}
    days_asked = (start + timedelta(days=step) for step in range(1462))
    moments = [day.replace(hour=hour) for day in days_asked for hour in hours]
    assert {at for at in moments if at <= end and asked.matches(at)} == {at for at in found if at <= end}


SAID = {
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO": ["20270517T090000", "20280515T090000"],
    "FREQ=YEARLY;BYWEEKNO=1": ["20280103T090000"],  # the weekday of DTSTART, which dateutil forgets
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SA": ["20330101T090000"],  # a week of 2032
    "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SA": ["20280101T090000"],  # a week of 2027
    "FREQ=MONTHLY;BYDAY=MO,2TU": ["20270112T090000", "20270118T090000"],  # either, where dateutil wants both
    "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=-1": ["20270115T090000"],
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1": ["20270129T090000", "20270226T090000"],
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO": ["20270124T090000", "20270125T090000"],
}
DENIED = {
    "FREQ=YEARLY;BYWEEKNO=1": ["20280104T090000"],
    "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=-1": ["20270113T090000"],
    "FREQ=WEEKLY;INTERVAL=2;WKST=MO;BYDAY=SU,MO": ["20270124T090000"],
    "FREQ=DAILY;BYSECOND=60": ["20270112T090000"],
    "FREQ=DAILY": ["20270112T090001", "20270110T090000"],
}
PAIRS = [(text, moments, True) for text, moments in SAID.items()] + [(t, m, False) for t, m in DENIED.items()]


@pytest.mark.parametrize(("text", "moments", "expected"), PAIRS)
def test_the_pattern_says_what_the_rfc_says(text: str, moments: list[str], *, expected: bool) -> None:
    """Where dateutil reads a rule otherwise, RFC 5545 §3.3.10 counts."""
    read = rule.read(lines.of_text(f"RRULE:{text}"))
    asked = [rule.contains(read, MONDAY, datetime.strptime(moment, "%Y%m%dT%H%M%S")) for moment in moments]
    assert asked == [expected] * len(moments)


UNREADABLE = [
    *("FREQ=SECONDLY", "FREQ=DAILY;BYMONTH=5L", "FREQ=DAILY;RSCALE=CHINESE", "FREQ=DAILY;BYHOUR=25"),
    *("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=1,2", "FREQ=DAILY,WEEKLY", "FREQ=DAILY;COUNT=0"),
    *("FREQ=DAILY;COUNT=1000000000", "FREQ=DAILY;BYMINUTE=0,1,2,3,4;BYSECOND=0,1,2,3,4", "FREQ=DAILY;WKST=MO,TU"),
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_such_a_rule_is_not_asked(text: str) -> None:
    """Sub-daily, also in disguise, of another calendar, or none at all."""
    assert not rule.read(lines.of_text(f"RRULE:{text}")).askable


@pytest.mark.parametrize("count", [1, 3, 200])
def test_a_count_is_walked(count: int) -> None:
    """The last instance is there, the next one is not."""
    read = rule.read(lines.of_text(f"RRULE:FREQ=WEEKLY;COUNT={count}"))
    last = MONDAY + timedelta(weeks=count - 1)
    assert rule.contains(read, MONDAY, last)
    assert not rule.contains(read, MONDAY, last + timedelta(weeks=1))
