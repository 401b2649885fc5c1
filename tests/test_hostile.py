"""docs/hostile.md says what comes of hostile mails, and no text of a stranger acts on a header, a log or a terminal."""

import ast
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from correspondence import ALICE, BOB, event, mail, meeting, reply
from desks import Desk
from imipd import scenario
from imipd.cli.main import main
from imipd.ledger import Query
from imipd.ledger.sql import open_ledger
from ledgers import ENTRY

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "hostile.md"
LEAST = 60
DAVE = "dave@example.com"
_ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| \[([\w/-]+)\]\(\.\./(tests/[\w/.-]+)\) \|$", re.MULTILINE)

ESC, CSI, TURNED = "\x1b[2J\x1b]0;x\x07", "\x9b2J", "\u202e"
ACTS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    number: int
    outcome: str
    name: str
    path: Path


def rows() -> list[Row]:
    """Return the lines of all tables of the page."""
    found = _ROW.findall(PAGE.read_text())
    return [Row(int(number), outcome, name, ROOT / path) for number, _, outcome, name, path in found]


def test_the_table_is_whole() -> None:
    """Every line is read, the lines are numbered through, and there are enough of them."""
    written = [line for line in PAGE.read_text().splitlines() if re.match(r"\| +\d", line)]
    assert len(written) == len(rows()) >= LEAST
    assert [row.number for row in rows()] == list(range(1, len(written) + 1))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.number}-{row.name}")
def test_what_the_table_says_is_so(row: Row) -> None:
    if row.path.suffix == ".scenario":
        case = scenario.parse(row.path.read_text())
        assert row.outcome == ", ".join(line for line in case.decision if not line.startswith("#"))
        assert str(row.path).endswith(f"/{row.name}.scenario")
    else:
        functions = {node.name for node in ast.walk(ast.parse(row.path.read_text())) if hasattr(node, "name")}
        assert row.name in functions


def test_no_hostile_scenario_is_missing_from_the_table() -> None:
    here = set((ROOT / "tests" / "scenarios" / "hostile").glob("*.scenario"))
    assert here <= {row.path for row in rows()}


def test_what_the_threat_model_names_is_there() -> None:
    """Every file of tests, and every test, that docs/security.md cites."""
    page = (ROOT / "docs" / "security.md").read_text()
    files = re.findall(r"`((?:tests|deploy|store)/[^`]+)`", page)
    assert [name for name in files if not [*ROOT.glob(name), *(ROOT / "src" / "imipd").glob(name)]] == []
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    tests = re.findall(r"`(test_\w+)`", page)
    assert tests
    assert [name for name in tests if f"def {name}(" not in code] == []


@pytest.mark.parametrize("uid", ['a"b\\c', "x" * 1000, "\U0001f389" * 1000], ids=["quotes", "long", "emoji"])
def test_a_uid_is_one_short_word_of_a_header(uid: str) -> None:
    """RFC 5322 §2.1.1: no line of a mail is longer than 998 octets."""
    desk = Desk()
    said = (f"ORGANIZER:mailto:{BOB}", f"ATTENDEE:mailto:{ALICE}")
    (status,) = desk.deliver(mail(BOB, "REQUEST", event(*said, uid=uid)))
    (outcome,) = status.outcomes
    assert re.fullmatch(r'added; reason=invited; uid="[^"\\]+"', outcome)
    assert len(f"X-Imipd-Outcome: {outcome}".encode()) <= 998


def test_what_is_told_of_a_mail_is_short() -> None:
    """In the log and in the ledger: names, methods and comments of a mebibyte are cut."""
    said = (f"ORGANIZER:mailto:{ALICE}", f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{BOB}")
    comments = [f"COMMENT:{number}{'c' * 400}" for number in range(300)]
    journal = event(uid="u" * 300_000).replace("VEVENT", "VJOURNAL")
    desk = Desk()
    desk.keep(meeting())
    with capture_logs() as logged:
        desk.deliver(mail(BOB, "REPLY", event(*said, *comments)))
        desk.deliver(mail(BOB, "M" * 300_000, journal))
        desk.deliver(mail(BOB, "REQUEST", f"BEGIN:{'N' * 300_000}\r\n"))
    told = [*map(repr, logged), *(repr(replace(each.entry, former=None)) for each in desk.ledger.log(Query()))]
    assert len(told) >= 6
    assert max(map(len, told)) < 8000


def test_the_log_tells_no_terminal_what_to_do() -> None:
    """As lines for people: structlog prints text as it is."""
    program = (
        "import structlog; from types import SimpleNamespace as N; from imipd.cli import logs;"
        "logs.begin(N(log=N(format='text', level='info')));"
        f"structlog.get_logger('imipd').info('decided', uid={ESC!r}, method={CSI + TURNED!r})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    said = ended.stderr.decode()
    assert ACTS.search(said) is None
    assert r"\u001b[2J" in said
    assert r"\u009b2J\u202e" in said


def test_the_commands_tell_no_terminal_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("IMIPD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    hostile = replace(ENTRY, uid=f"u{ESC}", detail=f"d{CSI}", method=f"m{TURNED}", originator=f"o\r\n{ESC}")
    with closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        ledger.complete(hostile)
    (tmp_path / "imipd.toml").write_text(
        f'[ledger]\nurl = "sqlite:///{tmp_path}/ledger.db"\n[caldav]\nurl = "http://127.0.0.1:9/"\n'
        f'[[account]]\naddresses = ["{ALICE}"]\nuser = "alice"\npassword = "x"\n'
    )
    assert main(["log"]) == 0
    told = capsys.readouterr().out
    assert "REPLY" not in told
    assert ACTS.search(told) is None
    (tmp_path / "stored.ics").write_bytes(meeting(f"COMMENT:c{ESC}{CSI}{TURNED}", f"ATTENDEE;CN={CSI}:mailto:{DAVE}"))
    (tmp_path / "x.eml").write_bytes(reply(DAVE, "ACCEPTED", f"COMMENT:c{ESC}{CSI}{TURNED}"))
    assert main(["explain", "--stored", "stored.ics", "-r", ALICE, "x.eml"]) == 0
    told = capsys.readouterr().out
    assert r"# comment: c [2J" in told
    assert r"-ATTENDEE;CN=\u009b2J:" in told
    assert ACTS.search(told) is None
