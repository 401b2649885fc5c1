"""imipd demo: the tour ends by itself, shows every sample mail, and each outcome is the one that their README names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imipd.cli import demo, telling
from imipd.cli.main import main
from servers import PROGRAMS
from test_sample_mail import SAMPLES, TABLE, TOUR


@pytest.fixture(scope="module")
def shown() -> str:
    command = [sys.executable, "-m", "imipd", "demo", "--radicale", str(PROGRAMS / "radicale")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_every_mail_of_the_tour_is_shown_with_the_outcome_that_the_readme_names(shown: str) -> None:
    pieces = re.split(r"^=== \d+/\d+  (\S+): .*$", shown, flags=re.MULTILINE)
    told = {name: re.findall(r"^  decided  (\S+): (\S+)", text, re.MULTILINE) for name, text in _pairs(pieces)}
    assert list(told) == TOUR
    assert told == {name: [(outcome, reason)] for name, outcome, reason in TABLE}


def test_what_was_decided_is_told_in_words_and_without_our_own_bookkeeping(shown: str) -> None:
    reasons = {reason for _, _, reason in TABLE}
    assert reasons <= set(telling.WORDS)
    assert all(f"why      {telling.in_words(reason)}\n" in shown for reason in reasons)
    assert "X-IMIPD-" not in shown


def test_what_changes_nothing_says_so_and_what_changes_shows_it(shown: str) -> None:
    for block in shown.split("\n=== ")[1:-2]:
        writes = re.search(r"^  decided  (added|updated)", block, re.MULTILINE)
        assert bool(re.search(r"^  changed  (@|only what)", block, re.MULTILINE)) == bool(writes), block


def test_the_calendar_at_the_end_is_in_the_order_of_time_and_says_who_comes(shown: str) -> None:
    calendar = shown.partition("=== Her calendar now")[2]
    assert "alice invites: bob tentative, carol declined, dave accepted" in calendar
    days = re.findall(r"^  \w{3} (\d\d) (Jan|Feb|Mar) 2027", calendar, re.MULTILINE)
    assert days == sorted(days, key=lambda day: (day[1] != "Jan", day[1] == "Mar", day[0]))
    assert len(days) > 10


def test_without_radicale_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _name: None)
    assert main(["demo"]) == os.EX_UNAVAILABLE
    assert "pip install" in capsys.readouterr().err


def test_a_radicale_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--radicale", str(tmp_path / "radicale")]) == os.EX_UNAVAILABLE
    assert f"{tmp_path}/radicale is not there" in capsys.readouterr().err


def test_every_mail_has_its_introduction() -> None:
    assert set(telling.introductions(SAMPLES / "README.md")) == set(TOUR)


def _pairs(pieces: list[str]) -> list[tuple[str, str]]:
    return list(zip(pieces[1::2], pieces[2::2], strict=True))
