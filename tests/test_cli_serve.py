"""imipd serve as a process: its sockets, its signals, what it tells systemd and its log."""

import os
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from correspondence import ALICE, BOB, SECRET, message_id, plain, reply
from daemons import PATIENCE, Daemon, free_place, serving
from faults import HOME, Liar, liar

DAVE = "dave@example.org"


@pytest.fixture
def calendars() -> Iterator[Liar]:
    with liar() as server:
        yield server


@pytest.fixture(params=[1, 2])
def workers(request: pytest.FixtureRequest) -> int:
    """However many processes it is, it is one daemon."""
    return int(request.param)


@pytest.fixture
def daemon(tmp_path: Path, calendars: Liar, workers: int) -> Iterator[Daemon]:
    more = f'[smtp]\nlisten = "{free_place()}"\n[serve]\nworkers = {workers}\n'
    with serving(tmp_path, calendars.url, (free_place(), f"unix:{tmp_path}/lmtp.sock"), more) as running:
        yield running


def test_it_takes_mail_by_lmtp_on_both_sockets_and_by_smtp(daemon: Daemon, tmp_path: Path) -> None:
    daemon.send(reply(BOB, "ACCEPTED", minute=1))
    replace(daemon, place=f"unix:{tmp_path}/lmtp.sock").send(reply(BOB, "ACCEPTED", minute=2))
    host, port = _listening(daemon)[-1].rsplit(":", 1)
    with smtplib.SMTP(host, int(port)) as smtp:
        smtp.sendmail(BOB, [ALICE], reply(BOB, "ACCEPTED", minute=3))
    assert [each.entry.message_id for each in daemon.told()] == [message_id(minute) for minute in (3, 2, 1)]
    assert {each.entry.reason for each in daemon.told()} == {"unknown-uid"}


def test_its_unix_socket_is_for_its_group_and_goes_with_it(daemon: Daemon, tmp_path: Path) -> None:
    place = tmp_path / "lmtp.sock"
    assert stat.S_IMODE(place.stat().st_mode) == 0o660
    assert daemon.end() == 0
    assert not place.exists()


def test_it_refuses_strangers_at_rcpt(daemon: Daemon) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        daemon.send(plain(), "nobody@example.org")
    assert refused.value.recipients["nobody@example.org"][0] == 550


def test_sigterm_finishes_the_mail_in_hand(daemon: Daemon, calendars: Liar) -> None:
    """The calendar is slow; the MTA hears 250 all the same, then the daemon ends with 0."""
    asked, goes_on = _slow(calendars)
    fates: list[BaseException | None] = []
    sender = threading.Thread(target=lambda: fates.append(_fate(lambda: daemon.send(reply(BOB, "ACCEPTED")))))
    sender.start()
    assert asked.wait(PATIENCE)
    daemon.process.send_signal(signal.SIGTERM)
    _until(lambda: _refuses(daemon))
    assert daemon.process.poll() is None
    goes_on.set()
    sender.join(PATIENCE)
    assert fates == [None]
    assert daemon.process.wait(PATIENCE) == 0
    assert [each.completed for each in daemon.told()] == [True]
    assert all(line["finished"] for line in daemon.logged() if "finished" in line)


def test_sighup_takes_over_a_new_account_and_keeps_its_connections(daemon: Daemon, workers: int) -> None:
    with daemon.connection() as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        lmtp.mail(BOB)
        assert lmtp.rcpt(DAVE)[0] == 550
        _configure(daemon, daemon.config.read_text().replace(f'"{ALICE}"', f'"{ALICE}", "{DAVE}"'))
        _until(lambda: _said(daemon, "configuration read again") == workers)
        assert lmtp.rcpt(DAVE)[0] == 250
    daemon.send(reply(BOB, "ACCEPTED"), DAVE)


def test_sighup_with_a_mistake_in_the_configuration_changes_nothing(daemon: Daemon) -> None:
    _configure(daemon, daemon.config.read_text().replace("[lmtp]", "[lmpt]"))
    _until(lambda: _said(daemon, "the configuration stays as it was") == 1)
    daemon.send(reply(BOB, "ACCEPTED"))
    assert daemon.end() == 0
    line = next(line for line in daemon.logged() if "stays" in line["event"])
    assert "[lmtp]" in line["problems"]


def test_sighup_takes_over_what_an_account_may(daemon: Daemon, workers: int) -> None:
    _configure(daemon, daemon.config.read_text() + '[account.policy]\nsender = "any"\n')
    _until(lambda: _said(daemon, "configuration read again") == workers)
    daemon.send(reply(BOB, "ACCEPTED").replace(b"From: bob", b"From: mallory"))
    assert [each.entry.reason for each in daemon.told()] == ["unknown-uid"]


def test_its_log_is_json_and_holds_nobody_s_words_nor_the_talk_of_libraries(daemon: Daemon) -> None:
    daemon.send(reply(BOB, "ACCEPTED"))
    daemon.send(plain(minute=2))
    assert daemon.end() == 0
    assert {"ready", "decided", "stopping"} <= {line["event"] for line in daemon.logged()}
    assert SECRET not in daemon.log.read_text()


def test_a_socket_that_is_taken_is_named_and_ends_in_75(daemon: Daemon, tmp_path: Path) -> None:
    again = tmp_path / "again.toml"
    again.write_text(daemon.config.read_text())
    command = [sys.executable, "-m", "imipd", "serve", "-c", str(again)]
    ended = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == os.EX_TEMPFAIL
    assert daemon.place.rpartition(":")[2] in ended.stderr.decode()
    daemon.send(reply(BOB, "ACCEPTED"))


def test_a_ledger_that_cannot_be_opened_is_named_and_ends_in_75(daemon: Daemon, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(daemon.config.read_text().replace("/ledger.db", "/nowhere/ledger.db"))
    command = [sys.executable, "-m", "imipd", "serve", "-c", str(wrong)]
    ended = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == os.EX_TEMPFAIL
    assert "nowhere" in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


def _slow(calendars: Liar) -> tuple[threading.Event, threading.Event]:
    """Let the calendar's next answer wait; return what says that it was asked, and what lets it go on."""
    asked, goes_on = threading.Event(), threading.Event()
    honest = calendars.answers["PROPFIND", HOME]

    def answer(_request: object) -> object:
        asked.set()
        goes_on.wait(PATIENCE)
        return honest

    calendars.answers["PROPFIND", HOME] = answer  # type: ignore[assignment]
    return asked, goes_on


def _fate(attempt: Callable[[], None]) -> BaseException | None:
    try:
        attempt()
    except (OSError, AssertionError) as error:
        return error
    return None


def _configure(daemon: Daemon, text: str) -> None:
    daemon.config.write_text(text)
    daemon.process.send_signal(signal.SIGHUP)


def _said(daemon: Daemon, event: str) -> int:
    return [line["event"] for line in daemon.logged()].count(event)


def _refuses(daemon: Daemon) -> bool:
    host, port = daemon.place.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def _listening(daemon: Daemon) -> list[str]:
    places: list[str] = next(line for line in daemon.logged() if line["event"] == "ready")["listen"]
    return places


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
