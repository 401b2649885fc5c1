"""What is made of a VTIMEZONE is kept from mail to mail, under all that it was made of (G9, G12)."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo

import pytest

from imipd.itip import lines, observance
from imipd.itip.zones import Zones


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    observance.kept.cache_clear()
    yield
    observance.kept.cache_clear()


def zone(*rules: str, east: str = "+0100", first: str = "19700329T020000") -> tzinfo | None:
    """Return what a calendar understands by its TZID Berlin, defined with these rules."""
    offsets = f"TZOFFSETFROM:{east}\r\nTZOFFSETTO:{east}\r\nDTSTART:{first}\r\n"
    parts = [f"BEGIN:STANDARD\r\n{offsets}{rule}\r\nEND:STANDARD\r\n" for rule in rules or ("TZNAME:BT",)]
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:Berlin\r\n{''.join(parts)}END:VTIMEZONE\r\nEND:VCALENDAR\r\n"
    return Zones(lines.read(text.encode())).zone("Berlin")


def offset(known: tzinfo | None, year: int = 2027) -> timedelta | None:
    return datetime(year, 5, 1, tzinfo=known).utcoffset()


def test_two_definitions_of_one_name_stay_apart() -> None:
    """One mail must not move the meetings of the next, whichever came first."""
    for _ in range(2):
        assert [offset(zone(east=east)) for east in ("+0100", "+0900")] == [timedelta(hours=1), timedelta(hours=9)]


def test_one_definition_is_read_once() -> None:
    yearly = "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"
    assert zone(yearly, yearly) is zone(yearly, yearly)


def test_what_cannot_be_read_stays_so() -> None:
    assert [zone("RRULE:FREQ=HOURLY") for _ in range(2)] == [None, None]


def test_what_would_take_much_memory_is_not_kept() -> None:
    """A stranger may define what he likes."""
    many = [f"RRULE:FREQ=YEARLY;BYMONTH={month}" for month in range(1, 13)]
    long = "RDATE:" + ",".join(f"{year}0329T020000" for year in range(1600, 2500))
    for rules in (many, [long]):
        assert zone(*rules)
    assert observance.kept.cache_info().currsize == 0


def test_many_threads_may_ask_one_zone() -> None:
    """Its walk goes on from where the last question ended it."""
    yearly = "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            known = zone(yearly, yearly)
            found = list(threads.map(lambda year: offset(known, year), range(2300, 1970, -3)))
    finally:
        sys.setswitchinterval(before)
    assert set(found) == {timedelta(hours=1)}
