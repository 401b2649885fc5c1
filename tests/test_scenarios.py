"""Each file of tests/scenarios is decided as it says, changes what it names and nothing else, and then nothing more."""

import random
from pathlib import Path

import pytest

from imipd import itip, scenario
from imipd.itip import Added, NoAction, Updated
from imipd.store import StoreError
from stage import Stage

FOLDER = Path(__file__).parent / "scenarios"
FILES = sorted(FOLDER.rglob("*.scenario"))
REFUSED_AT_THE_GATE = {
    *("encrypted", "flagged-as-spam", "forwarded-as-attachment", "no-calendar-part", "not-itip", "parts-disagree"),
    *("published-not-added", "sender-not-proven", "tnef", "unknown-timezone", "unsupported-component"),
    *("unsupported-method", "unsupported-range"),
}
"""Reasons that do not depend on what is stored."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_scenario_is_decided_as_it_says(path: Path) -> None:
    case = scenario.parse(path.read_text())
    stage = Stage(case)
    decided = stage.judge()
    got = scenario.rendered([(item, stage.changes(item)) for item in decided])
    if not any(row.startswith("#") for row in case.decision):
        got = "\n".join(row for row in got.splitlines() if not row.startswith("#"))
    wanted = "\n".join(["== decision", *case.decision, "== changes", *case.changes])
    accepted = path.with_suffix(".scenario.got")
    if got != wanted:
        head = path.read_text().partition("== decision")[0]
        accepted.write_text(f"{head}{got}\n")
    else:
        accepted.unlink(missing_ok=True)
    assert got == wanted


def test_what_is_refused_whatever_is_stored_is_not_looked_up() -> None:
    """A flood of it costs the calendar server nothing."""
    refused = set[str]()
    for path in FILES:
        case = scenario.parse(path.read_text())
        reasons = {row.partition(": ")[2] for row in case.decision if not row.startswith("#")}
        if reasons <= REFUSED_AT_THE_GATE:
            stage = Stage(case)
            stage.store.failures.extend([StoreError("it was asked")] * 9)
            stage.store.addresses = lambda home: ()  # type: ignore[method-assign]  # noqa: ARG005
            stage.judge()
            refused |= reasons
    assert refused == REFUSED_AT_THE_GATE


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_scenario_decided_again_changes_nothing(path: Path) -> None:
    stage = Stage(scenario.parse(path.read_text()))
    first = stage.deliver()
    held = stage.bodies()
    again = stage.deliver()
    assert stage.bodies() == held
    for before, after in zip(first, again, strict=True):
        if isinstance(before, Added | Updated) and held:
            assert isinstance(after, NoAction), after
            assert after.reason == itip.Reason.NO_CHANGE


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_order_of_stored_lines_decides_nothing(path: Path) -> None:
    case = scenario.parse(path.read_text())
    one, other = Stage(case), Stage(case)
    other.shuffle(random.Random(path.name))
    decided, shuffled = one.judge(), other.judge()
    assert [scenario.decision_row(d) for d in decided] == [scenario.decision_row(d) for d in shuffled]
    for before, after in zip(decided, shuffled, strict=True):
        assert sorted(one.changes(before)) == sorted(other.changes(after))
