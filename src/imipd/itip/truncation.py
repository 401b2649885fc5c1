"""A series that ends before one of its instances (RANGE=THISANDFUTURE, RFC 5546 §3.2.5, rule C5)."""

from datetime import timedelta

from . import moment, recurrence, rule
from .decision import Error, NoAction, Reason
from .draft import Draft, Target
from .instance import Instance
from .lines import Component, Line, written
from .moment import Moment
from .rule import Rule
from .zones import Zones


def first_of(item: Instance, draft: Draft) -> Moment | NoAction | Error:
    """Return the first instance to go, in the form of the master's DTSTART; why not, where the series lacks it."""
    master, asked = draft.master, item.recurrence_id
    if asked is None or master is None or master.start is None:
        return NoAction(Reason.UNKNOWN_INSTANCE, item.label)
    found = moment.in_form_of(recurrence.identified(master, asked), master.start)
    # Deleted here by itself, or cut off before: what follows goes all the same, if anything is left.
    if recurrence.is_excluded(master, asked) or _ends_before(master, master.start, found):
        return found
    target = draft.target(asked)
    return found if isinstance(target, Target) else target


def _ends_before(master: Instance, start: Moment, first: Moment) -> bool:
    over = all(_is_over(item, start, first) for item in master.rules)
    return over and all(_is_before(at, first) for at in (start, *master.rdates))


def ended(master: Instance, first: Moment, zones: Zones) -> Component:
    """Return the master without the instances from `first` on."""
    rules = zip(master.component.all("RRULE"), master.rules, strict=True)
    start = master.start or first
    part = master.component.put(
        "RRULE", [line if _is_over(rule, start, first) else _until(line, rule, first) for line, rule in rules]
    )
    kept = (moment.filtered(line, zones, lambda at: _is_before(at, first)) for line in part.all("RDATE"))
    return part.put("RDATE", [line for line in kept if line])


def is_from(override: Instance, first: Moment) -> bool:
    """Return whether an override is of an instance from `first` on."""
    asked = override.recurrence_id
    return asked is not None and not _is_before(asked, first)


def _is_before(at: Moment, first: Moment) -> bool:
    return moment.label(moment.in_form_of(at, first)) < moment.label(first)


def _until(line: Line, item: Rule, first: Moment) -> Line:
    """RFC 5545 §3.3.10: UNTIL has the type of DTSTART, and is UTC where that has a TZID; COUNT excludes it."""
    last = first - (timedelta(days=1) if moment.is_date(first) else timedelta(seconds=1))
    parts = [f"{name}={value}" for name, value in item.parts if name not in ("UNTIL", "COUNT")]
    return written("RRULE", ";".join([*parts, f"UNTIL={moment.label(last)}"]), line.parameters)


def _is_over(item: Rule, start: Moment, first: Moment) -> bool:
    """Return whether a rule ends before `first` by itself: without its COUNT it might go on until then."""
    if item.until is not None:
        return not rule.is_within_until(item, start, first)
    if item.count is None or not item.askable:
        return False
    return all(_is_before(at, first) for at in rule.instances(item, start))
