"""The pattern of an RRULE, put as a question about one moment (RFC 5545 §3.3.10): is it one of them, COUNT and UNTIL
apart?

What dateutil answers by walking, in time that nobody bounds, is asked here of one day, and with BYSETPOS of the days
of one period: at most a year.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import product

_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_TIMES = ("BYHOUR", "BYMINUTE", "BYSECOND")
_PLACES = ("BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYSETPOS")


def _list_of(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{form})(?:,(?:{form}))*")


_FORMS = {
    "FREQ": re.compile("DAILY|WEEKLY|MONTHLY|YEARLY"),
    "INTERVAL": re.compile("[0-9]{1,4}"),
    "WKST": re.compile("|".join(_WEEKDAYS)),
    "RSCALE": re.compile("GREGORIAN"),  # RFC 7529
    "BYDAY": _list_of(_DAY.pattern),
    "BYHOUR": _list_of("[01]?[0-9]|2[0-3]"),
    "BYMINUTE": _list_of("[0-5]?[0-9]"),
    "BYSECOND": _list_of("[0-5]?[0-9]|60"),
    **dict.fromkeys(_PLACES, _list_of("[+-]?[0-9]{1,3}")),
}
Numbers = frozenset[int]


@dataclass(frozen=True, slots=True)
class Pattern:
    """The parts of a rule that make its days, begun at `first`; what they leave open is taken from there."""

    first: datetime
    """DTSTART on its own clock."""
    frequency: str
    interval: int
    week_start: int
    numbers: Mapping[str, Numbers]
    """BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY, BYSETPOS; what is absent is empty."""
    weekdays: tuple[tuple[int, int], ...]
    """BYDAY: the ordinal, 0 where there is none, and the weekday."""
    times: tuple[time, ...]

    def matches(self, wanted: datetime) -> bool:
        """Return whether the pattern has this moment."""
        if wanted < self.first or wanted.time() not in self.times or not self._is_in_step(wanted.date()):
            return False
        if not self._has_day(wanted.date()):
            return False
        return not self.numbers["BYSETPOS"] or self._is_at_its_place(wanted)

    def _is_in_step(self, day: date) -> bool:
        first = self.first.date()
        if self.frequency == "YEARLY":
            steps = day.year - first.year
        elif self.frequency == "MONTHLY":
            steps = (day.year - first.year) * 12 + day.month - first.month
        elif self.frequency == "WEEKLY":
            steps = (self._week(day) - self._week(first)).days // 7
        else:
            steps = (day - first).days
        return steps % self.interval == 0

    def _week(self, day: date) -> date:
        """Return the first day of the week (WKST)."""
        return day - timedelta(days=(day.weekday() - self.week_start) % 7)

    def _has_day(self, day: date) -> bool:
        return (
            self._is_among("BYMONTH", [day.month])
            and self._is_among("BYMONTHDAY", _from_both_ends(day.day, _days_of_month(day)))
            and self._is_among("BYYEARDAY", _from_both_ends(_day_of_year(day), _days_of_year(day)))
            and self._is_among("BYWEEKNO", self._numbers_of_week(day))
            and self._has_weekday(day)
        )

    def _is_among(self, name: str, values: Iterable[int]) -> bool:
        return not self.numbers[name] or not self.numbers[name].isdisjoint(values)

    def _numbers_of_week(self, day: date) -> tuple[int, int]:
        """Week one is the first that has four days in the year."""
        year = (self._week(day) + timedelta(days=3)).year
        first = self._week(date(year, 1, 4))
        weeks = (self._week(date(year + 1, 1, 4)) - first).days // 7
        return _from_both_ends((self._week(day) - first).days // 7 + 1, weeks)

    def _has_weekday(self, day: date) -> bool:
        ordinals = [ordinal for ordinal, weekday in self.weekdays if weekday == day.weekday()]
        if not self.weekdays or 0 in ordinals or (ordinals and self.frequency in ("DAILY", "WEEKLY")):
            return True
        return not set(ordinals).isdisjoint(self._ordinals(day))

    def _ordinals(self, day: date) -> tuple[int, int]:
        """Which of its weekday it is: in the month, or in the year where the rule names no month."""
        if self.frequency == "MONTHLY" or self.numbers["BYMONTH"]:
            place, length = day.day, _days_of_month(day)
        else:
            place, length = _day_of_year(day), _days_of_year(day)
        return (place - 1) // 7 + 1, -((length - place) // 7 + 1)

    def _is_at_its_place(self, wanted: datetime) -> bool:
        """BYSETPOS counts all moments of the period, also those before DTSTART."""
        days = [day for day in self._period(wanted.date()) if self._has_day(day)]
        moments = [datetime.combine(day, at) for day, at in product(days, self.times)]
        return self._is_among("BYSETPOS", _from_both_ends(moments.index(wanted) + 1, len(moments)))

    def _period(self, day: date) -> Iterator[date]:
        if self.frequency == "YEARLY":
            begin, length = day.replace(month=1, day=1), _days_of_year(day)
        elif self.frequency == "MONTHLY":
            begin, length = day.replace(day=1), _days_of_month(day)
        else:
            weekly = self.frequency == "WEEKLY"
            begin, length = (self._week(day), 7) if weekly else (day, 1)
        return (begin + timedelta(days=step) for step in range(length))


def is_readable(parts: Mapping[str, str]) -> bool:
    """Return whether a pattern can be made of the parts of a rule: of the Gregorian calendar, in steps of a day."""
    return all(_FORMS[name].fullmatch(value) for name, value in parts.items() if name in _FORMS)


@lru_cache(maxsize=64)
def pattern(rule: tuple[tuple[str, str], ...], first: datetime) -> Pattern:
    """Return the pattern of a rule with readable parts."""
    parts = dict(rule)
    frequency = parts["FREQ"]
    numbers = {name: _numbers(parts.get(name, "")) for name in _PLACES}
    found = (_DAY.fullmatch(text) for text in parts.get("BYDAY", "").split(","))
    weekdays = tuple((int(match[1] or 0), _WEEKDAYS.index(match[2])) for match in found if match)
    named = weekdays or any(numbers[name] for name in ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"))
    if not named and frequency in ("MONTHLY", "YEARLY"):
        numbers["BYMONTHDAY"] = frozenset({first.day})
        if frequency == "YEARLY" and not numbers["BYMONTH"]:
            numbers["BYMONTH"] = frozenset({first.month})
    elif not weekdays and (numbers["BYWEEKNO"] or (not named and frequency == "WEEKLY")):
        weekdays = ((0, first.weekday()),)
    week_start = _WEEKDAYS.index(parts.get("WKST", "MO"))
    interval = int(parts.get("INTERVAL", "1"))
    return Pattern(first, frequency, interval, week_start, numbers, weekdays, _times(parts, first))


def _numbers(text: str) -> Numbers:
    return frozenset(int(number) for number in text.split(",") if number)


def _times(parts: Mapping[str, str], first: datetime) -> tuple[time, ...]:
    given = (sorted(_numbers(parts.get(name, ""))) for name in _TIMES)
    open_ones = (first.hour, first.minute, first.second)
    chosen = [numbers or [default] for numbers, default in zip(given, open_ones, strict=True)]
    # RFC 5545 §3.3.10 allows the second 60, for which no clock of ours has a place.
    return tuple(time(hour, minute, second) for hour, minute, second in product(*chosen) if second < 60)


def _from_both_ends(place: int, length: int) -> tuple[int, int]:
    """Return a place counted from the begin and, negative, from the end."""
    return place, place - length - 1


def _days_of_month(day: date) -> int:
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (following - day.replace(day=1)).days


def _day_of_year(day: date) -> int:
    return day.timetuple().tm_yday


def _days_of_year(day: date) -> int:
    return _day_of_year(day.replace(month=12, day=31))
