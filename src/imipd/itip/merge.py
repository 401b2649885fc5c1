"""One component of the Organizer's copy, with what in it is the Attendee's own (rules Q2, Q3, Q6).

The Organizer's lines are the message's; alarms, transparency, colour, progress and the state of a user's client are
the stored object's; of the Attendee's line only PARTSTAT is his.
"""

import re

from imipd.address import comparable

from . import moment, revision
from .instance import Instance
from .lines import Component, Line, written
from .message import Context
from .moment import Moment

Times = tuple[Moment | None, Moment | None]
NEEDS_ACTION = "NEEDS-ACTION"
_COMMA = re.compile(r"(?<!\\),")

_NEVER_THEIRS = ("VALARM", "CLASS", "COLOR")
_MINE = ("TRANSP", "CLASS", "COLOR", "COMPLETED", "PERCENT-COMPLETE")
_MY_CLIENT = ("X-MOZ-", "X-EVOLUTION-", "X-APPLE-DEFAULT-ALARM", "X-APPLE-LOCAL-DEFAULT-ALARM", "X-APPLE-NEEDS-REPLY")
_REVISED = ("DTSTAMP", "CREATED", "LAST-MODIFIED", "SEQUENCE", "RECURRENCE-ID", "DTSTART", "DTEND", "DUE", "DURATION")
_SCHEDULING = ("SCHEDULE-AGENT", "SCHEDULE-STATUS", "SCHEDULE-FORCE-SEND")


def invited(item: Instance, context: Context) -> Component:
    """Return a component as a new invitation leaves it: nobody else books me as accepted (Q2)."""
    part = _stripped(item.component)
    for line in part.all("ATTENDEE"):
        if context.is_me(comparable(line.value)):
            part = part.swap(line, _with_partstat(line, NEEDS_ACTION))
    first = context.originator if context.policy.sender == "any" else None
    return _remembered(part, item, first or "", context)


def merged(item: Instance, held: Instance, context: Context, *, rescheduled: bool) -> Component:
    """Return the Organizer's component with what is mine in `held`, its stored form or the master's (Q3, Q6)."""
    part = _stripped(item.component).without(*_MINE)
    for line in part.all("ATTENDEE"):
        if context.is_me(comparable(line.value)):
            part = part.swap(line, _with_partstat(line, _my_partstat(line, held, context, rescheduled=rescheduled)))
    first = held.organizer.line.parameter(revision.FIRST) if held.organizer else ""
    return _with_mine(_remembered(part, item, first, context), held).append(_my_categories(item, held))


def rebased(part: Component, held: Instance, context: Context) -> Component:
    """Return an override made anew from the series, with what is mine in the one that was there (Q4)."""
    for line in part.all("ATTENDEE"):
        mine = held.attendee(comparable(line.value))
        if mine and context.is_me(mine.address):
            part = part.swap(line, _with_partstat(line, mine.partstat))
    return _with_mine(part.without(*_MINE, "VALARM"), held)


def differs_in_mine_alone(held: Instance, derived: Instance, context: Context) -> bool:
    """Return whether an override says what the series says, apart from what is mine and its revision (Q4)."""
    same_times = (held.start, held.end) == (derived.start, derived.end)
    return same_times and _theirs(held, context) == _theirs(derived, context)


def _theirs(item: Instance, context: Context) -> set[object]:
    lines = (line for line in item.component.lines if not _is_mine(line) and line.name not in _REVISED)
    kept = {line.key for line in lines if line.name not in ("ATTENDEE", "ORGANIZER")}
    return kept | {party.address for party in item.attendees if not context.is_me(party.address)}


def _with_mine(part: Component, held: Instance) -> Component:
    lines = [line for line in held.component.lines if _is_mine(line)]
    return part.append([*lines, *(alarm for alarm in held.component.components if alarm.name == "VALARM")])


def is_rescheduled(item: Instance, held: Instance, times: Times) -> bool:
    """Return whether the message moves the instance from `times`, or changes how the series recurs (Q6)."""
    pairs = zip((item.start, item.end), times, strict=True)
    if any(new != old and not (new and old and moment.are_same(new, old)) for new, old in pairs):
        return True
    if item.recurrence_id is not None:
        return False
    return {rule.shape for rule in item.rules} != {rule.shape for rule in held.rules} or _labels(item) != _labels(held)


def _labels(item: Instance) -> set[str]:
    return {moment.label(at) for at in item.rdates}


def _stripped(part: Component) -> Component:
    """Return the Organizer's component without what he may not say of my calendar (Q2)."""
    content: list[Line | Component] = []
    for kept in part.without(*_NEVER_THEIRS).content:
        if isinstance(kept, Component) or kept.name not in ("ORGANIZER", "ATTENDEE"):
            content += [] if kept.name.startswith(_MY_CLIENT) else [kept]
        else:
            content.append(_unscheduled(kept))
    return part.with_content(content)


def _unscheduled(line: Line) -> Line:
    if "SCHEDULE-" not in line.text.upper():
        return line
    parameters = line.parameters
    for name in _SCHEDULING:
        parameters.pop(name, None)
    return written(line.name, line.value, parameters)


def _is_mine(line: Line) -> bool:
    return line.name in _MINE or line.name.startswith(_MY_CLIENT)


def _my_partstat(line: Line, held: Instance, context: Context, *, rescheduled: bool) -> str:
    """My answer stays; on a reschedule it is asked for anew where the Organizer says so, and nothing else (Q6)."""
    mine = held.attendee(comparable(line.value)) or next((p for p in held.attendees if context.is_me(p.address)), None)
    said = line.parameter("PARTSTAT").upper() or NEEDS_ACTION
    if mine is None or (rescheduled and said == NEEDS_ACTION):
        return NEEDS_ACTION
    return mine.partstat


def _with_partstat(line: Line, partstat: str) -> Line:
    said = line.parameter("PARTSTAT")
    if said == partstat or (not said and partstat == NEEDS_ACTION):
        return line
    parameters = line.parameters
    parameters["PARTSTAT"] = partstat
    return written(line.name, line.value, parameters)


def _remembered(part: Component, item: Instance, first: str, context: Context) -> Component:
    """Return the component with the message's revision on its ORGANIZER line (V1)."""
    if item.organizer is None:
        return part
    address = item.organizer.address
    new = revision.of_message(item, address, item.label, context.date)
    parameters = part.all("ORGANIZER")[0].parameters
    if first not in ("", address):
        parameters[revision.FIRST] = first
    named = [value for value in _categories(item.component) if '"' not in value]
    if named:
        parameters[revision.CATEGORIES] = named
    line = written("ORGANIZER", item.organizer.line.value, parameters)
    return part.put("ORGANIZER", [revision.remember(line, new)])


def _my_categories(item: Instance, held: Instance) -> list[Line]:
    """Return a line with the CATEGORIES that I added to the Organizer's (Q3)."""
    theirs = set(held.organizer.line.values_of(revision.CATEGORIES)) if held.organizer else set()
    theirs |= set(_categories(item.component))
    mine = [value for value in _categories(held.component) if value not in theirs]
    return [written("CATEGORIES", ",".join(mine))] if mine else []


def _categories(part: Component) -> list[str]:
    lines = (line for line in part.all("CATEGORIES") if line.is_readable)
    return [value for line in lines for value in _COMMA.split(line.value)]
