"""One RRULE (RFC 5545 §3.3.10): read once, and asked in bounded time (G9).

dateutil 2.9.0 walks from DTSTART, and a rule that matches nothing walks to the year 9999: 3.6 s for a DAILY one. So a
rule is asked by its pattern, and only one with a COUNT is walked: in the last of the 400 years after which the
Gregorian calendar repeats itself to the day of the week, because there the walk ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import lru_cache
from itertools import islice

from dateutil.rrule import rrulestr
from icalendar import vRecur

from .lines import Line, MalformedError
from .moment import Moment, in_form_of
from .pattern import is_readable, pattern

MOST_STEPS = 20_000
MOST_APART = 1000
"""The greatest INTERVAL."""
LONGEST = 500
_CYCLE = 400
_PART = re.compile(r"(FREQ|INTERVAL|WKST|BY[A-Z]+)=[A-Z0-9,+-]+")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ENDS = ("UNTIL", "COUNT")


@dataclass(frozen=True, slots=True)
class Rule:
    """An RRULE; `askable` is False where asking it could take unbounded time."""

    parts: tuple[tuple[str, str], ...]
    """As they stand, names and values upper case."""
    until: Moment | None
    count: int | None
    interval: int
    askable: bool

    def shape(self, start: Moment | None) -> frozenset[tuple[str, frozenset[str]]]:
        """Return the rule without its end, however it is written: a change of it is a reschedule (Q6)."""
        # RFC 5545 §3.3.10: what holds where a part is absent.
        absent = {"INTERVAL": "1", "WKST": "MO"}
        if start is not None and self.part("FREQ") == "WEEKLY":
            absent["BYDAY"] = _WEEKDAYS[start.weekday()]
        parts = {**absent, **dict(self.parts)}
        return frozenset((name, frozenset(value.split(","))) for name, value in parts.items() if name not in _ENDS)

    def part(self, name: str) -> str:
        """Return one part's value, empty where it is absent."""
        return dict(self.parts).get(name, "")


def read(line: Line) -> Rule:
    """Return the rule of an RRULE line. Raises MalformedError."""
    text = line.value.upper().strip().rstrip(";")
    if len(text) > LONGEST:
        raise MalformedError(f"RRULE: longer than {LONGEST} characters")
    try:
        known = vRecur.from_ical(text)
        parts = tuple((name, value) for name, _, value in (part.partition("=") for part in text.split(";")))
        until, count, interval = (known.get(name, [None])[0] for name in ("UNTIL", "COUNT", "INTERVAL"))
    except Exception as error:  # whatever the library raises, the rule is unreadable
        raise MalformedError(f"RRULE: cannot read {text[:60]!r}") from error
    if "FREQ" not in known or len(dict(parts)) != len(parts):
        raise MalformedError(f"RRULE: {text[:60]!r} without one FREQ")
    rule = Rule(parts, until, count, 1 if interval is None else interval, askable=False)
    return Rule(parts, until, count, rule.interval, _is_askable(rule))


def _is_askable(rule: Rule) -> bool:
    """Sub-daily rules, also in disguise, and steps that lead nowhere are refused before dateutil sees them."""
    times = 1
    for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        times *= rule.part(name).count(",") + 1
    return (
        is_readable(dict(rule.parts))
        and times <= 24
        and 1 <= rule.interval <= MOST_APART
        and (rule.count is None or 1 <= rule.count <= MOST_STEPS)
    )


def contains(rule: Rule, start: Moment, moment: Moment) -> bool:
    """Return whether the rule, begun at `start`, has an instance at `moment`, given in the form of `start`."""
    if not is_within_until(rule, start, moment):
        return False
    if rule.count:
        return _naive(moment) in _counted(rule, _naive(start))
    return pattern(rule.parts, _naive(start)).matches(_naive(moment))


@lru_cache(maxsize=32)
def _counted(rule: Rule, first: datetime) -> frozenset[datetime]:
    shift = _to_last_cycle(first.year + _CYCLE // 2)
    return frozenset(_shifted(found, -shift) for found in _walk(_text(rule), rule.count, _shifted(first, shift)))


def matches_ever(rule: Rule, start: Moment) -> bool:
    """Return whether the rule, begun at `start`, has any instance in the next 200 years, UNTIL apart."""
    first = _naive(start)
    return any(True for _ in _walk(_text(rule), 1, _shifted(first, _to_last_cycle(first.year + _CYCLE // 2))))


def instances(rule: Rule, start: Moment) -> Iterator[Moment]:
    """Yield the rule's instances from `start` on, in the form of `start`, for at most 200 years."""
    first = _naive(start)
    shift = _to_last_cycle(first.year + _CYCLE // 2)
    for found in _walk(_text(rule), rule.count, _shifted(first, shift)):
        moment = in_form_of(_shifted(found, -shift), start)
        if not is_within_until(rule, start, moment):
            return
        yield moment


def _naive(moment: Moment) -> datetime:
    return moment.replace(tzinfo=None) if isinstance(moment, datetime) else datetime.combine(moment, time())


def is_within_until(rule: Rule, start: Moment, moment: Moment) -> bool:
    """Return whether UNTIL lets the rule reach `moment`, given in the form of `start`."""
    if rule.until is None:
        return True
    # UNTIL as a DATE ends with that day, whatever the type of DTSTART: clients mix them.
    if not isinstance(rule.until, datetime):
        return _naive(moment).date() <= rule.until
    until = in_form_of(rule.until.replace(tzinfo=UTC) if rule.until.tzinfo else rule.until, start)
    return _naive(moment) <= _naive(until)


def _text(rule: Rule) -> str:
    return ";".join(f"{name}={value}" for name, value in rule.parts if _PART.fullmatch(f"{name}={value}"))


def _to_last_cycle(year: int) -> int:
    return (9998 - year) // _CYCLE * _CYCLE


def _shifted(moment: datetime, years: int) -> datetime:
    return moment.replace(year=moment.year + years)


def _walk(text: str, count: int | None, begin: datetime) -> Iterator[datetime]:
    limit = f"{text};COUNT={count}" if count else text
    try:
        yield from islice(rrulestr(limit, dtstart=begin), MOST_STEPS)
    except (ValueError, OverflowError, TypeError):  # a rule that dateutil cannot carry out has no instance
        return
