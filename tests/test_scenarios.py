"""Each file of tests/scenarios is decided as it says, changes what it names and nothing else, and then nothing more."""

import random
from pathlib import Path

import pytest

from imipd import itip, scenario
from imipd.itip import Added, NoAction, Updated
from stage import Stage

FOLDER = Path(__file__).parent / "scenarios"
FILES = sorted(FOLDER.rglob("*.scenario"))


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
