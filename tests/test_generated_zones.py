"""A VTIMEZONE that we make for an IANA zone has its offsets to the second (RFC 5545 §3.6.5, rule G12)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from imipd.itip.lines import component
from imipd.itip.zones import Zones

ZONES = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
]


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("year", [2007, 2027])
def test_a_generated_zone_has_the_offsets_of_its_name(name: str, year: int) -> None:
    made = Zones(component("VCALENDAR", [])).definition(name, date(year, 1, 1))
    assert made is not None
    zone, true = Zones(component("VCALENDAR", [made])).zone(name), ZoneInfo(name)
    for hour in range(24 * 400):
        # Local times: what an event says. Those in a gap or told twice are the reader's choice.
        at = datetime(year, 1, 1, 0, 30) + timedelta(hours=hour)
        if at.replace(tzinfo=true).utcoffset() == at.replace(tzinfo=true, fold=1).utcoffset():
            assert at.replace(tzinfo=zone).utcoffset() == at.replace(tzinfo=true).utcoffset(), at


def test_a_zone_of_long_ago_is_made_in_bounded_time() -> None:
    begun = datetime.now(UTC)
    assert Zones(component("VCALENDAR", [])).definition("Europe/Paris", date(1600, 1, 1))
    assert datetime.now(UTC) - begun < timedelta(seconds=2)
