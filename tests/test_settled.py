"""Whether there is anything to write is told without writing it, and just as writing it would tell."""

import random
from itertools import permutations

import pytest

from imipd import scenario
from imipd.itip import wire
from imipd.itip.lines import Component, Line, component, read, written
from stage import Stage
from test_scenarios import FILES

DICE = random.Random(5)


def _versions(body: bytes) -> list[Component]:
    """Return a calendar as it is, put in another order, with and without some of its lines, and folded otherwise."""
    calendar = read(body)
    return [
        calendar,
        read(body),
        _everywhere(calendar, lambda items: DICE.sample(items, len(items))),
        _everywhere(calendar, lambda items: [item for item in items if DICE.random() < 0.9]),
        _everywhere(calendar, lambda items: [*items, *items[:1]]),
        _everywhere(calendar, lambda items: [_refolded(item) if DICE.random() < 0.5 else item for item in items]),
    ]


def _everywhere(part: Component, change) -> Component:  # type: ignore[no-untyped-def]
    inner = [_everywhere(item, change) if isinstance(item, Component) else item for item in part.content]
    return part.with_content(change(inner))


def _refolded(item: Line | Component) -> Line | Component:
    if isinstance(item, Component) or not item.is_readable:
        return item
    parameters = item.parameters
    if item.name == "ATTENDEE":
        parameters["SCHEDULE-STATUS"] = "2.0"
    return written(item.name, item.value, parameters)


@pytest.mark.parametrize("part", range(8))
def test_there_is_something_to_write_exactly_where_writing_changes_a_byte(part: int) -> None:
    told = set[bool]()
    for path in FILES[part::8]:
        stage = Stage(scenario.parse(path.read_text()))
        before = stage.bodies()
        stage.deliver()
        bodies = dict.fromkeys((*before, *stage.bodies()))
        versions = [version for body in bodies for version in _versions(body)]
        for old, new in permutations(versions, 2):
            writes = wire.settled(old, wire._as_held(old, new)).to_bytes() != old.to_bytes()
            assert wire.says_the_same(old, new) is not writes, path
            told.add(writes)
    assert told == {True, False}


def test_a_second_component_of_a_kind_is_something_to_write() -> None:
    alarm = component("VALARM", [written("ACTION", "DISPLAY")])
    once, twice = (component("VEVENT", [written("UID", "x"), *alarms]) for alarms in ([alarm], [alarm, alarm]))
    assert not wire.says_the_same(once, twice)
    assert not wire.says_the_same(twice, once)
    assert wire.says_the_same(twice, twice)
