"""One component of the Organizer's copy, with what in it is the Attendee's own (rules Q2, Q3, Q6).

The Organizer's lines are the message's; alarms, transparency, colour, progress and the state of a user's client are
the stored object's; of the Attendee's line only PARTSTAT is his.
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from imipd.address import comparable

from . import attachment, moment, revision
from .instance import Instance, ends
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


def invited(item: Instance, first: str, context: Context) -> Component:
    """Return a component as a new invitation leaves it: nobody else books me as accepted (Q2).

    `first` is remembered as the address that brought it (A2).
    """
    part = _stripped(item.component, context)
    for line in part.all("ATTENDEE"):
        if context.is_me(comparable(line.value)):
            part = part.swap(line, _quiet(with_partstat(line, NEEDS_ACTION), context))
    return _remembered(part, item, first, context)


def _quiet(line: Line, context: Context) -> Line:
    """Return my line so that a server which would answer for me leaves that to my client (S5, RFC 6638 §7.1)."""
    if not context.server_answers:
        return line
    parameters = line.parameters
    parameters["SCHEDULE-AGENT"] = "CLIENT"
    return written(line.name, line.value, parameters)


def merged(item: Instance, held: Instance, context: Context, *, rescheduled: bool) -> Component:
    """Return the Organizer's component with what is mine in `held`, its stored form or the master's (Q3, Q6)."""
    part = _stripped(item.component, context).without(*_MINE)
    for line in part.all("ATTENDEE"):
        if context.is_me(comparable(line.value)):
            asking = item.attendee(comparable(line.value))  # the first where he lists me twice
            said = _said(asking.line if asking else line)
            partstat = _my_partstat(line, said, held, context, rescheduled=rescheduled)
            part = part.swap(line, _delegating(with_partstat(line, partstat), held, context))
    first = revision.first(held.organizer, context.memory) if held.organizer else ""
    return _with_mine(_remembered(part, item, first, context), held, context)


def rebased(item: Instance, held: Instance, master: Instance, context: Context) -> Component:
    """Return an override made anew from the series, with what is mine in `held`, the one that was there (Q4).

    `master` is the message's: whether an instance that became longer is asked for anew is said there (Q6).
    """
    part, rescheduled = item.component, is_rescheduled(item, held, (held.start, held.end))
    for line in part.all("ATTENDEE"):
        asking = master.attendee(comparable(line.value))
        if asking and context.is_me(asking.address):
            partstat = _my_partstat(line, _said(asking.line), held, context, rescheduled=rescheduled)
            part = part.swap(line, with_partstat(line, partstat))
    new = part.with_content(item for item in part.content if isinstance(item, Component) or not _is_mine(item, context))
    return _with_mine(new.without("VALARM"), held, context)


def differs_in_mine_alone(held: Instance, derived: Instance, context: Context) -> bool:
    """Return whether an override says what the series says, apart from what is mine and its revision (Q4)."""
    same_times = (held.start, held.end) == (derived.start, derived.end)
    return same_times and _theirs(held, context) == _theirs(derived, context)


def _theirs(item: Instance, context: Context) -> set[object]:
    lines = (line for line in item.component.lines if not _is_mine(line, context) and line.name not in _REVISED)
    kept: set[object] = {line.key for line in lines if line.name not in ("ATTENDEE", "ORGANIZER", "CATEGORIES")}
    kept |= {party.address for party in item.attendees if not context.is_me(party.address)}
    return kept | (set(_categories(item.component)) & _named_by_organizer(item))


def _with_mine(part: Component, held: Instance, context: Context) -> Component:
    lines = [line for line in held.component.lines if _is_mine(line, context)]
    part = part.append([*lines, *(alarm for alarm in held.component.components if alarm.name == "VALARM")])
    return _with_my_categories(part, held)


def is_rescheduled(item: Instance, held: Instance, times: Times) -> bool:
    """Return whether the message moves the instance from `times`, or changes how the series recurs (Q6)."""
    start, end = times
    if _differ(item.start, start) or _differ(ends(item.kind, item.start, item.end), ends(item.kind, start, end)):
        return True
    return item.recurrence_id is None and (item.recurs or held.recurs) and _recurs_otherwise(item, held)


def _differ(new: Moment | None, old: Moment | None) -> bool:
    return new != old and not (new and old and moment.are_same(new, old))


def _recurs_otherwise(item: Instance, held: Instance) -> bool:
    rules, before = ({rule.shape(one.start) for rule in one.rules} for one in (item, held))
    return rules != before or _labels(item) != _labels(held) or _is_of_another_clock(item.start, held.start)


def _is_of_another_clock(new: Moment | None, old: Moment | None) -> bool:
    """Return whether two zones that agree on DTSTART disagree half a year later: the series then moves by that."""
    if not isinstance(new, datetime) or not isinstance(old, datetime):
        return False
    later = timedelta(days=182)
    return _differ(moment.plus(new, later), moment.plus(old, later))


def _labels(item: Instance) -> set[str]:
    return {moment.label(at) for at in item.rdates}


def _stripped(part: Component, context: Context) -> Component:
    """Return the Organizer's component without what he may not say of my calendar (Q2)."""
    content: list[Line | Component] = []
    for kept in part.without(*_NEVER_THEIRS).content:
        if isinstance(kept, Component):
            content.append(_stripped(kept, context))  # an alarm may hide in a PARTICIPANT (RFC 9073)
        elif kept.name in ("ORGANIZER", "ATTENDEE"):
            content.append(_unscheduled(kept))
        elif not kept.name.startswith(_MY_CLIENT):
            content.append(kept)
    made = part.with_content(content)
    return attachment.stripped(made) if context.policy.attachments == "strip" else made


def _unscheduled(line: Line) -> Line:
    if "SCHEDULE-" not in line.text.upper():
        return line
    parameters = line.parameters
    for name in _SCHEDULING:
        parameters.pop(name, None)
    return written(line.name, line.value, parameters)


def _is_mine(line: Line, context: Context) -> bool:
    if line.name in _MINE or line.name.startswith(_MY_CLIENT):
        return True
    # Where no attachment of the Organizer comes in, what stands there is mine (Q9).
    return context.policy.attachments == "strip" and attachment.is_attached(line)


def _said(line: Line) -> str:
    return line.parameter("PARTSTAT").upper() or NEEDS_ACTION


def _my_partstat(line: Line, said: str, held: Instance, context: Context, *, rescheduled: bool) -> str:
    """My answer stays; on a reschedule it is asked for anew where the Organizer `said` so, and nothing else (Q6)."""
    mine = held.attendee(comparable(line.value)) or next((p for p in held.attendees if context.is_me(p.address)), None)
    if mine is None or (rescheduled and said == NEEDS_ACTION):
        return NEEDS_ACTION
    return mine.partstat


def _delegating(line: Line, held: Instance, context: Context) -> Line:
    """Return my line with whom I have sent, as long as my answer is that I have (R9)."""
    mine = next((party.line for party in held.attendees if context.is_me(party.address)), None)
    if mine is None or _said(line) != "DELEGATED" or not mine.values_of("DELEGATED-TO"):
        return line
    parameters = line.parameters
    parameters["DELEGATED-TO"] = list(mine.values_of("DELEGATED-TO"))
    return written(line.name, line.value, parameters)


def with_partstat(line: Line, partstat: str) -> Line:
    """Return an ATTENDEE line that says so."""
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
    new = replace(revision.of_message(item, address, item.label, context.date), first=first if first != address else "")
    parameters = part.all("ORGANIZER")[0].parameters
    named = [value for value in _categories(item.component) if '"' not in value]
    if named:
        parameters[revision.CATEGORIES] = named
    line = written("ORGANIZER", item.organizer.line.value, parameters)
    return part.put("ORGANIZER", [revision.remember(line, new)])


def _with_my_categories(part: Component, held: Instance) -> Component:
    """Return the component with the CATEGORIES that I added to the Organizer's (Q3), in the lines that they are in."""
    theirs = _named_by_organizer(held) | set(_categories(part))
    old = held.component.all("CATEGORIES")
    part = part.append(line for line in (_without_values(line, theirs) for line in old) if line)
    return part.put("CATEGORIES", old) if set(_categories(part)) == set(_categories(held.component)) else part


def _without_values(line: Line, values: set[str]) -> Line | None:
    said = _COMMA.split(line.value) if line.is_readable else []
    kept = [value for value in said if value not in values]
    if kept == said:
        return line if said else None
    return written("CATEGORIES", ",".join(kept), line.parameters) if kept else None


def _named_by_organizer(item: Instance) -> set[str]:
    return set(item.organizer.line.values_of(revision.CATEGORIES)) if item.organizer else set()


def _categories(part: Component) -> list[str]:
    lines = (line for line in part.all("CATEGORIES") if line.is_readable)
    return [value for line in lines for value in _COMMA.split(line.value)]
