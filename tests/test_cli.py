"""The commands as a user types them, over a real Radicale; `serve` and `demo` have files of their own."""

import io
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import niquests
import pytest
from structlog.testing import capture_logs

from correspondence import ALICE, BOB, SECRET, UID, invited, mail, meeting, plain, reply, request
from imipd import scenario
from imipd.cli import check, logs
from imipd.cli.main import main
from imipd.ledger import LedgerError, Query
from imipd.ledger.memory import MemoryLedger
from imipd.ledger.sql import open_ledger
from ledgers import ENTRY
from servers import Server, radicale
from stage import Stage

SAMPLES = Path(__file__).parent.parent / "sample-mail"
HANGING_PLAN = SAMPLES / "stored" / "hanging-plan.ics"
CONFIG = """\
[lmtp]
listen = "{listen}"
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "{url}"
timeout = "2s"
[policy]
invitations = "add"
[[account]]
addresses = ["alice@example.org", "alice.smith@example.org"]
user = "alice"
password = "{password}"
"""
Write = Callable[..., Path]
Run = Callable[..., int]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with radicale(tmp_path_factory.mktemp("radicale")) as running:
        yield running


@pytest.fixture
def calendar(server: Server) -> Iterator[Callable[..., "niquests.Response"]]:
    """Speak to Radicale about alice's one calendar, which is empty at first and goes afterwards."""

    def ask(method: str, name: str = "", body: bytes | None = None) -> niquests.Response:
        login = ("alice", server.users["alice"])
        return niquests.request(method, f"{server.url}alice/work/{name}", data=body, auth=login, timeout=10)

    assert ask("MKCALENDAR").status_code == 201
    yield ask
    ask("DELETE")


@pytest.fixture
def write(tmp_path: Path, server: Server) -> Write:
    """Write a configuration, in which the test may replace something."""

    def written(**replaced: str) -> Path:
        settled = {"listen": "127.0.0.1:0", "url": server.url, "password": server.users["alice"], "more": ""} | replaced
        file = tmp_path / "imipd.toml"
        file.write_text(CONFIG.format(folder=tmp_path, **settled) + settled["more"])
        return file

    return written


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process; `stdin` is what is piped into it."""
    monkeypatch.delenv("IMIPD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "begin", lambda _config: None)  # it would outlive the test

    def ran(*arguments: str | Path, stdin: bytes = b"") -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            with capture_logs():
                return main([str(argument) for argument in arguments])
        except SystemExit as end:
            return int(end.code or 0)

    return ran


# explain


def test_explain_needs_no_configuration_when_it_is_told_what_is_stored(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain", "--stored", HANGING_PLAN, SAMPLES / "google" / "accepted.eml") == 0
    assert capsys.readouterr().out.startswith(
        "== context\nrecipient: alice@example.org\n== decision\nupdated: attendee-replied\n== changes\n@ VEVENT\n"
    )


@pytest.mark.parametrize(
    ("stored", "sent", "options"),
    [
        ("hanging-plan", "google/accepted", ()),
        ("hanging-plan", "google/counter", ()),
        ("thursday-round", "exchange/accepted-instance", ()),
        ("poster", "thunderbird/task-done", ()),
        ("poster", "google/request", ("--policy", "invitations=add")),
        ("hanging-plan", "hostile/party-crasher", ("--policy", "party_crashers=add", "sender=any")),
        ("hanging-plan", "outlook/encrypted", ()),
    ],
)
def test_what_explain_prints_is_a_test_once_the_calendar_and_the_mail_stand_in_it(
    run: Run, capsys: pytest.CaptureFixture[str], stored: str, sent: str, options: tuple[str, ...]
) -> None:
    held, came = SAMPLES / "stored" / f"{stored}.ics", SAMPLES / f"{sent}.eml"
    assert run("explain", "--stored", held, came, *options) == 0
    context, decided = re.split("(?=== decision)", capsys.readouterr().out)
    pasted = f"What an operator saw.\n\n{context}== stored\n{held.read_text()}\n== mail\n{sent}.eml\n{decided}"
    case = scenario.parse(pasted)
    stage = Stage(case)
    judged = stage.judge()
    assert [row for decision in judged for row in scenario.decision_rows(decision)] == list(case.decision)
    assert [row for decision in judged for row in stage.changes(decision)] == list(case.changes)


def test_explain_json_is_what_the_contract_says(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "--json", "--stored", HANGING_PLAN, SAMPLES / "google" / "accepted.eml") == 0
    told = json.loads(capsys.readouterr().out)
    (message,) = told.pop("messages")
    assert told == {"recipient": ALICE, "originator": BOB}
    assert list(message) == ["method", "uid", "outcome", "reason", "detail", "changes", "calendar"]
    assert (message["method"], message["outcome"], message["reason"]) == ("REPLY", "updated", "attendee-replied")
    assert message["changes"][0] == "@ VEVENT"
    assert message["calendar"].startswith("BEGIN:VCALENDAR\r\n")


@pytest.mark.parametrize(
    ("sent", "shape"),
    [
        (plain(), (None, None, "no_action", "no-calendar-part", [], None)),
        (reply(BOB, "ACCEPTED", uid="x"), ("REPLY", "x", "no_action", "unknown-uid", [], None)),
    ],
)
def test_explain_json_of_what_changes_nothing(
    run: Run, capsys: pytest.CaptureFixture[str], sent: bytes, shape: tuple[object, ...]
) -> None:
    assert run("explain", "--json", "--stored", HANGING_PLAN, "-", stdin=sent) == 0
    (message,) = json.loads(capsys.readouterr().out)["messages"]
    assert "removed" not in message
    names = ("method", "uid", "outcome", "reason", "changes", "calendar")
    assert tuple(message[name] for name in names) == shape


def test_explain_json_says_what_would_be_deleted(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "held.ics").write_bytes(invited())
    called_off = request().replace(b"REQUEST", b"CANCEL")
    assert run("explain", "--json", "--stored", "held.ics", "--policy", "cancelled=delete", "-", stdin=called_off) == 0
    (message,) = json.loads(capsys.readouterr().out)["messages"]
    assert (message["removed"], message["calendar"], message["reason"]) == (True, None, "cancelled")
    assert all(row[0] in "@-" for row in message["changes"])


@pytest.mark.parametrize(
    ("fields", "recipient"),
    [
        ("Delivered-To: one@example.org\r\nX-Original-To: two@example.org\r\nTo: three@example.org\r\n", "one"),
        ("X-Original-To: two@example.org\r\nTo: three@example.org\r\n", "two"),
        ("To: three@example.org\r\n", "three"),
    ],
)
def test_explain_finds_in_the_mail_for_whom_it_is(
    run: Run, capsys: pytest.CaptureFixture[str], fields: str, recipient: str
) -> None:
    sent = fields.encode() + plain().replace(b"To: alice@example.org\r\n", b"")
    assert run("explain", "--stored", HANGING_PLAN, "-", stdin=sent) == 0
    assert f"recipient: {recipient}@example.org" in capsys.readouterr().out


@pytest.mark.parametrize("to", [b"a@example.org, b@example.org", b"undisclosed-recipients:;"])
def test_explain_asks_for_whom_the_mail_is_rather_than_guess(
    run: Run, capsys: pytest.CaptureFixture[str], to: bytes
) -> None:
    sent = plain().replace(ALICE.encode(), to)
    assert run("explain", "--stored", HANGING_PLAN, "-", stdin=sent) == os.EX_USAGE
    assert "-r" in capsys.readouterr().err


def test_explain_takes_the_policy_before_the_mail(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """As the contract writes it: `--policy KEY=VALUE… MAIL`."""
    sent = SAMPLES / "google" / "request.eml"
    assert run("explain", "--stored", HANGING_PLAN, "--policy", "invitations=add", "sender=any", sent) == 0
    out = capsys.readouterr().out
    assert "policy: invitations=add sender=any" in out
    assert "added: invited" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "invitations=maybe"), "add"),
        (("--policy", "invitation=add"), "invitations"),
        (("--policy", "invitations"), "add"),
    ],
)
def test_explain_says_which_policies_there_are(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run("explain", "--stored", HANGING_PLAN, "-", *arguments, stdin=request()) == os.EX_USAGE
    assert said in capsys.readouterr().err


def test_explain_without_a_mail_asks_for_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "--stored", HANGING_PLAN) == os.EX_USAGE
    assert "which mail?" in capsys.readouterr().err


def test_explain_names_a_file_that_is_not_there(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "--stored", HANGING_PLAN, "nothing.eml") == os.EX_NOINPUT
    assert "nothing.eml" in capsys.readouterr().err


def test_explain_reads_the_calendar_and_writes_nothing(
    run: Run,
    write: Write,
    calendar: Callable[..., "niquests.Response"],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write()
    calendar("PUT", "lunch.ics", meeting())
    before, etag = _tree(tmp_path), calendar("GET", "lunch.ics").headers["ETag"]
    assert run("explain", "-c", config, "-", stdin=reply(BOB, "ACCEPTED")) == 0
    out = capsys.readouterr().out
    assert "addresses: alice.smith@example.org\npolicy: invitations=add" in out
    assert "updated: attendee-replied" in out
    assert run("explain", "-c", config, "-", stdin=request(uid="new@example.org")) == 0
    assert calendar("GET", "new@example.org").status_code == 404
    assert calendar("GET", "lunch.ics").headers["ETag"] == etag
    assert _tree(tmp_path) == before


def test_explain_tells_what_the_ledger_remembers_and_leaves_it_as_it_is(
    run: Run,
    write: Write,
    calendar: Callable[..., "niquests.Response"],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it prints decides the same without that ledger."""
    config = write(more='[account.policy]\ncancelled = "delete"\n')
    calendar("PUT", "lunch.ics", invited())
    called_off = request().replace(b"REQUEST", b"CANCEL")
    assert run("pipe", "-c", config, "-r", ALICE, stdin=called_off) == 0
    before = _tree(tmp_path)
    assert run("explain", "-c", config, "-", stdin=called_off) == 0
    out = capsys.readouterr().out
    assert f"\ntombstone: {BOB} - 0 20270104T080100Z\n" in out
    calendar("PUT", "behind-our-back.ics", meeting("new@example.org"))
    before = _tree(tmp_path)
    assert run("explain", "-c", config, "-", stdin=request(uid="newer@example.org")) == 0  # reads what has changed
    assert _tree(tmp_path) == before
    context, decided = re.split("(?=== decision)", out)
    case = scenario.parse(f"Again.\n{context}== stored\n\n== mail\n{called_off.decode()}\n{decided}")
    assert [scenario.decision_row(decision) for decision in Stage(case).judge()] == list(case.decision)
    assert case.decision == ("no_action: deleted-here",)


def test_explain_knows_whom_we_do_not_serve(run: Run, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "-c", write(), "-r", "nobody@example.org", "--json", "-", stdin=request()) == 0
    (message,) = json.loads(capsys.readouterr().out)["messages"]
    assert (message["outcome"], message["reason"]) == ("no_action", "unknown-recipient")


def test_explain_ends_in_75_when_the_calendar_is_out_of_reach(
    run: Run, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain", "-c", write(url=f"http://127.0.0.1:{_free_port()}/"), "-", stdin=request()) == os.EX_TEMPFAIL
    assert "try again later" in capsys.readouterr().err


# wrong usage, wrong configuration


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("pipe",), ("pipe", "-r"), ("log", "--since", "yesterday"), ("serve", "--fast")]
)
def test_wrong_usage_is_64(run: Run, write: Write, arguments: tuple[str, ...]) -> None:
    """2, as argparse has it, would have an MTA bounce the mail."""
    write()
    assert run(*arguments) == os.EX_USAGE


@pytest.mark.parametrize("command", [("pipe", "-r", ALICE), ("check",), ("log",), ("serve",), ("explain", "-")])
def test_a_configuration_that_is_wrong_is_78_and_tells_everything(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    (tmp_path / "imipd.toml").write_text("[lmpt]\n[caldav]\nurl = 3\n")
    assert run(*command, stdin=request()) == os.EX_CONFIG
    said = capsys.readouterr().err
    assert "did you mean [lmtp]?" in said.lower()
    assert "caldav.url" in said


def test_no_configuration_is_78_and_says_where_one_is_looked_for(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == os.EX_CONFIG
    assert "IMIPD_CONFIG" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "pipe", "explain", "check", "log", "demo"])
def test_help_tells_every_option_and_the_exit_codes(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command, "--help") == 0
    told = capsys.readouterr().out
    assert "78 configuration error" in " ".join(told.split())
    options = re.findall(r"^  (-.*|[A-Z]+ .*)(?:\n {10,}(.*))?", told, re.MULTILINE)
    assert all(re.search(r"\S {2,}\S", first) or second for first, second in options), options


# check


def test_check_tries_every_door(
    run: Run, write: Write, calendar: Callable[..., "niquests.Response"], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(listen=f"127.0.0.1:{_free_port()}")
    assert run("check", "-c", config) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row for row in rows if not row.startswith(("ok ", "warn "))] == []
    assert len([row for row in rows if row.startswith("ok ")]) == 4
    assert not (config.parent / "ledger.db").exists()


def test_check_fails_over_a_wrong_password_and_does_not_tell_it(
    run: Run, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "-c", write(password="looking-glass")) == 1
    told = capsys.readouterr()
    assert re.search(r"FAIL  calendar of alice@example.org at http\S+: .*401", told.out)
    assert "looking-glass" not in told.out + told.err


def test_check_fails_over_a_calendar_that_is_not_there(
    run: Run, write: Write, calendar: Callable[..., "niquests.Response"], capsys: pytest.CaptureFixture[str]
) -> None:
    """New invitations would have nowhere to go; the operator reads what to write instead."""
    assert run("check", "-c", write(more='calendar = "Wrok"\n')) == 1
    assert re.search(r"FAIL  calendar of alice@example.org .*Wrok.*Write one of", capsys.readouterr().out)


def test_check_fails_over_a_server_that_is_down(run: Run, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "-c", write(url=f"http://127.0.0.1:{_free_port()}/")) == 1
    assert "FAIL  calendar of alice" in capsys.readouterr().out


def test_check_fails_over_a_ledger_that_cannot_be_written(
    run: Run, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write()
    for url in (f"sqlite:///{tmp_path}/nowhere/ledger.db", f"sqlite:///{config}"):
        config.write_text(re.sub(r'"sqlite:.*"', f'"{url}"', config.read_text()))
        assert run("check", "-c", config) == 1
        assert "FAIL  ledger: " in capsys.readouterr().out


def test_check_fails_over_a_ledger_that_can_only_be_read(
    run: Run, entries: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everything, so what refuses here is the door."""

    class ReadOnly(MemoryLedger):
        def prune(self, now: datetime) -> int:  # noqa: ARG002 - the door's
            raise LedgerError("attempt to write a readonly database")

    assert entries.with_name("ledger.db").exists()
    monkeypatch.setattr(check, "open_as_it_is", lambda _url, **_kept: ReadOnly())
    run("check", "-c", entries)
    assert "FAIL  ledger: attempt to write a readonly database" in capsys.readouterr().out


def test_check_forgets_no_entry(run: Run, entries: Path) -> None:
    run("check", "-c", entries)
    with closing(open_ledger(f"sqlite:///{entries.parent}/ledger.db")) as ledger:
        assert len(ledger.log(Query())) == 2


@pytest.mark.parametrize("greeting", [b"220 mx LMTP Dovecot\r\n", b"", b"220 mx LMTP imipd\r\n"])
def test_check_fails_over_a_socket_that_another_program_has(
    run: Run, write: Write, capsys: pytest.CaptureFixture[str], greeting: bytes, tmp_path: Path
) -> None:
    """Where imipd itself answers, all is well: a check may run beside the daemon."""
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "lmtp.sock"))
        taken.listen()
        child = subprocess.Popen(
            [sys.executable, "-c", f"import socket; socket.socket(fileno=0).accept()[0].sendall({greeting!r})"],
            stdin=taken.fileno(),
        )
        run("check", "-c", write(listen=f"unix:{tmp_path}/lmtp.sock"))
        child.wait(10)
    row = next(row for row in capsys.readouterr().out.splitlines() if "lmtp.sock" in row)
    assert row.startswith("ok" if b"imipd" in greeting else "FAIL"), row


# log


@pytest.fixture
def entries(write: Write) -> Path:
    """A ledger with an old entry and a fresh one that is not completed."""
    config = write()
    with closing(open_ledger(f"sqlite:///{config.parent}/ledger.db")) as ledger:
        ledger.complete(ENTRY)
        fresh = {"digest": "d2", "uid": "fresh", "time": datetime.now(UTC) - timedelta(hours=2), "detail": SECRET}
        ledger.intend(type(ENTRY)(**{name: getattr(ENTRY, name) for name in ENTRY.__slots__} | fresh))
    return config


def test_log_is_a_table_with_the_newest_on_top(run: Run, entries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("log", "-c", entries) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["ENTRY", "TIME", "RECIPIENT", "METHOD", "OUTCOME", "REASON", "FROM", "UID", "DETAIL"]
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert [row.split()[7] for row in rows] == ["bob@example.net"] * 2
    assert [row.split()[8] for row in rows] == ["fresh", "abc@example.org"]
    assert "(updated)" in rows[0]  # intended, not completed
    assert "(updated)" not in rows[1]


@pytest.mark.parametrize(
    ("options", "uids"),
    [
        (("--recipient", "Alice@Example.ORG"), ["fresh", "abc@example.org"]),
        (("--recipient", "nobody@example.org"), []),
        (("--uid", "abc@example.org"), ["abc@example.org"]),
        (("--since", "3h"), ["fresh"]),
        (("--since", "1h"), []),
        (("--since", "2026-03-10T11:00:00+00:00"), ["fresh", "abc@example.org"]),
        (("--since", "2026-03-12"), ["fresh"]),
    ],
)
def test_log_shows_what_is_asked_for(
    run: Run, entries: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], uids: list[str]
) -> None:
    assert run("log", "-c", entries, "--json", *options) == 0
    told = capsys.readouterr()
    assert [json.loads(row)["uid"] for row in told.out.splitlines()] == uids
    assert ("no entries" in told.err) == (not uids)


def test_log_json_holds_the_entry_and_nobody_s_calendar(
    run: Run, entries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("log", "-c", entries, "--json", "--uid", "abc@example.org") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["reason"], told["completed"]) == ("updated", "attendee-replied", True)
    assert datetime.fromisoformat(told["time"]) == ENTRY.time
    assert told["recurrence_ids"] == list(ENTRY.recurrence_ids)
    assert (told["entry"], told["undone"], told["undoes"]) == (1, False, None)
    assert not {"former", "written", "etag", "revisions", "tombstones", "displaced"} & set(told)


def test_log_of_a_ledger_that_is_not_there_makes_none(
    run: Run, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write()
    assert run("log", "-c", config) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "imipd log: no entries\n")
    assert not (config.parent / "ledger.db").exists()


def test_no_question_changes_the_tables_of_an_older_version(
    run: Run, entries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon of that version may still be running; its successor brings them up to date."""
    database = entries.with_name("ledger.db")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE ledger_version SET version_num = '0001'")
        connection.commit()
    for command in (("log",), ("undo", "1"), ("explain", "-")):
        assert run(*command[:1], "-c", entries, *command[1:], stdin=request()) == os.EX_TEMPFAIL
        assert "its tables are of an older imipd" in capsys.readouterr().err
    run("check", "-c", entries)
    assert "note  ledger" in capsys.readouterr().out
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM ledger_version").fetchall() == [("0001",)]


# undo


@pytest.fixture
def answered(run: Run, write: Write, calendar: Callable[..., "niquests.Response"]) -> Path:
    """Alice's meeting in which bob has accepted; the configuration."""
    config = write()
    calendar("PUT", "lunch.ics", meeting())
    assert run("pipe", "-c", config, "-r", ALICE, stdin=reply(BOB, "ACCEPTED")) == 0
    return config


def test_undo_says_what_it_would_do_and_does_it(
    run: Run, answered: Path, calendar: Callable[..., "niquests.Response"], capsys: pytest.CaptureFixture[str]
) -> None:
    etag = calendar("GET", "lunch.ics").headers["ETag"]
    assert run("undo", "-c", answered, "--dry-run", "1") == 0
    head, *changes = capsys.readouterr().out.splitlines()
    assert head == f"would be undone: entry 1, updated: attendee-replied, for {ALICE}"
    assert changes[:2] == ["== changes", "@ VEVENT"]
    assert any(row.startswith("-ATTENDEE;") and "PARTSTAT=ACCEPTED" in row for row in changes)
    assert calendar("GET", "lunch.ics").headers["ETag"] == etag

    assert run("undo", "-c", answered, "1") == 0
    done, *changed = capsys.readouterr().out.splitlines()
    number = re.fullmatch(rf"undone: entry 1, updated: attendee-replied, for {ALICE}; this is entry (\d+)", done)
    assert number
    assert changed == changes
    assert b"PARTSTAT=ACCEPTED" not in (calendar("GET", "lunch.ics").content or b"")

    assert run("log", "-c", answered) == 0
    _, newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.split()[0] == number[1]
    assert "undone" in newest
    assert newest.endswith("entry 1, updated: attendee-replied")
    assert "(taken back)" in oldest

    assert run("undo", "-c", answered, "1") == os.EX_DATAERR
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"imipd undo: entry 1: entry {number[1]} has taken it back already\n")


def test_undo_shows_what_somebody_has_changed(
    run: Run, answered: Path, calendar: Callable[..., "niquests.Response"], capsys: pytest.CaptureFixture[str]
) -> None:
    held = calendar("GET", "lunch.ics").content or b""
    calendar("PUT", "lunch.ics", held.replace(b"SUMMARY:", b"LOCATION:Roof\r\nSUMMARY:"))
    for option in ("--dry-run", "--json"):
        assert run("undo", "-c", answered, option, "1") == os.EX_DATAERR
        told = capsys.readouterr()
        head, *changes = told.err.splitlines()
        assert head == "imipd undo: entry 1: somebody has changed the object since"
        assert changes == ["@ VEVENT", "+LOCATION:Roof"]
    assert json.loads(told.out) == {
        "entry": 1,
        "possible": False,
        "undone_by": None,
        "why": "somebody has changed the object since",
        "changes": changes,
    }


def test_undo_json_is_what_a_program_may_rely_on(run: Run, answered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("undo", "-c", answered, "--json", "1") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["changes"][0] == "@ VEVENT"
    assert {name: told[name] for name in ("entry", "possible", "why")} == {"entry": 1, "possible": True, "why": ""}
    assert isinstance(told["undone_by"], int)


def test_undo_of_what_nobody_knows_is_66(run: Run, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """And makes no ledger."""
    config = write()
    assert run("undo", "-c", config, "7") == os.EX_NOINPUT
    assert "imipd undo: entry 7: there is no such entry" in capsys.readouterr().err
    assert not (config.parent / "ledger.db").exists()


def test_undo_ends_in_75_when_the_calendar_is_out_of_reach(
    run: Run, answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered.write_text(re.sub(r"http://127.0.0.1:\d+/", f"http://127.0.0.1:{_free_port()}/", answered.read_text()))
    assert run("undo", "-c", answered, "1") == os.EX_TEMPFAIL
    assert "try again later" in capsys.readouterr().err
    assert run("log", "-c", answered, "--json") == 0
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert told["undone"] is False


# pipe


def test_pipe_brings_a_mail_into_the_calendar(
    run: Run, write: Write, calendar: Callable[..., "niquests.Response"], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write()
    assert run("pipe", "-c", config, "-r", ALICE, "-f", BOB, stdin=request()) == 0
    assert calendar("GET", f"{UID}").status_code == 200 or calendar("GET", f"{UID}.ics").status_code == 200
    assert capsys.readouterr().out == ""
    assert run("log", "-c", config, "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "added"


def test_pipe_passes_the_mail_through_with_its_outcome_on_top(
    run: Run,
    write: Write,
    calendar: Callable[..., "niquests.Response"],
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    sent = mail(BOB, "PUBLISH", "BEGIN:VEVENT\r\nUID:x\r\nEND:VEVENT")
    forged = b"X-Imipd-Outcome: updated\r\n" + sent
    assert run("pipe", "-c", write(), "--passthrough", "-r", ALICE, stdin=forged) == 0
    stamp = b'X-Imipd-Outcome: no_action; reason=published-not-added; uid="x"\r\n'
    assert capsysbinary.readouterr().out == stamp + sent


def test_pipe_passes_nothing_through_that_is_not_done(
    run: Run, write: Write, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    config = write(url=f"http://127.0.0.1:{_free_port()}/")
    assert run("pipe", "-c", config, "--passthrough", "-r", ALICE, stdin=request()) == os.EX_TEMPFAIL
    assert b"BEGIN" not in capsysbinary.readouterr().out


def test_pipe_knows_no_strangers(run: Run, write: Write) -> None:
    assert run("pipe", "-c", write(), "-r", "nobody@example.org", stdin=request()) == os.EX_NOUSER


def test_pipe_takes_strangers_where_the_operator_says_so(run: Run, write: Write) -> None:
    config = write()
    config.write_text(config.read_text().replace("[ledger]", 'unknown_recipients = "accept"\n[ledger]'))
    assert run("pipe", "-c", config, "-r", "nobody@example.org", stdin=request()) == 0


def test_pipe_ends_in_75_without_its_ledger(run: Run, write: Write, tmp_path: Path) -> None:
    config = write()
    config.write_text(config.read_text().replace("/ledger.db", "/nowhere/ledger.db"))
    assert run("pipe", "-c", config, "-r", ALICE, stdin=request()) == os.EX_TEMPFAIL


def test_a_process_of_its_own_logs_to_stderr_and_nobody_s_words(
    write: Write, calendar: Callable[..., "niquests.Response"]
) -> None:
    """JSON, because nobody sits at a terminal; and no library's chatter among it."""
    command = [sys.executable, "-m", "imipd", "pipe", "-c", str(write()), "-r", ALICE]
    ended = subprocess.run(command, input=request(), capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (0, b"")
    (line,) = [json.loads(row) for row in ended.stderr.splitlines()]
    assert (line["event"], line["outcome"], line["reason"]) == ("decided", "added", "invited")
    assert SECRET.encode() not in ended.stderr


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
