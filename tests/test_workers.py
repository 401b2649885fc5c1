"""imipd serve with several processes: each takes mail, none is missed for long, and together they are one daemon."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from correspondence import ALICE, BOB, message_id, plain, reply
from daemons import CONFIG, PATIENCE, Daemon, free_place, serving
from faults import Liar, liar
from imipd.ingress import Settings
from imipd.ingress.endpoint import Place
from storm.weather import Queue, answer
from test_web import asked, figures

DAVE = "dave@example.org"
TWO = "[serve]\nworkers = 2\n"
MESSAGES = ("imipd_messages_total", "REPLY", "no_action", "unknown-uid")


@pytest.fixture
def calendars() -> Iterator[Liar]:
    with liar() as server:
        yield server


@pytest.fixture
def page() -> str:
    return free_place()


@pytest.fixture
def daemon(tmp_path: Path, calendars: Liar, page: str) -> Iterator[Daemon]:
    places = (free_place(), f"unix:{tmp_path}/lmtp.sock")
    with serving(tmp_path, calendars.url, places, f'{TWO}[web]\nlisten = "{page}"\n') as running:
        yield running


def children(pid: int) -> list[int]:
    """Return the processes that one has started: here the workers, then the page, unless one was replaced."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def private(daemon: Daemon) -> Path:
    """Return the folder that the processes share; the parent holds it open."""
    held = [Path(os.readlink(each)) for each in Path(f"/proc/{daemon.process.pid}/fd").iterdir()]
    (found,) = [each for each in held if each.name.startswith("imipd-")]
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    return found


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 3 * PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def deciders(daemon: Daemon) -> set[int]:
    """Return which workers have decided something."""
    return {line["worker"] for line in daemon.logged() if line["event"] == "decided"}


def number(page: str, *name: str) -> float:
    return figures(asked(page, "/metrics")[1]).get(name, 0.0)


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_each_worker_takes_mail(daemon: Daemon, tmp_path: Path, way: str) -> None:
    there = daemon if way == "tcp" else replace(daemon, place=f"unix:{tmp_path}/lmtp.sock")

    def all_have() -> bool:
        there.send(plain())
        return deciders(daemon) == {1, 2}

    until(all_have)
    (ready,) = [line for line in daemon.logged() if line["event"] == "ready"]
    assert ready["listen"] == [daemon.place, f"unix:{tmp_path}/lmtp.sock"]


def test_the_parent_has_one_thread_and_takes_no_mail(daemon: Daemon) -> None:
    """A second one could hold a lock in the very moment of a fork."""
    daemon.send(plain())
    assert len(children(daemon.process.pid)) == 3
    assert os.listdir(f"/proc/{daemon.process.pid}/task") == [str(daemon.process.pid)]


def test_the_figures_of_all_add_up_and_never_go_back(daemon: Daemon, page: str) -> None:
    sent = 0
    while deciders(daemon) != {1, 2} or sent < 10:
        daemon.send(reply(BOB, "ACCEPTED", minute=sent + 1))
        sent += 1
    assert number(page, *MESSAGES) == sent
    assert number(page, "imipd_answers_total", "done") == sent
    assert number(page, "imipd_mail_seconds_count") == sent
    assert number(page, "imipd_workers") == 2
    os.kill(children(daemon.process.pid)[0], signal.SIGKILL)
    until(lambda: number(page, "imipd_worker_starts_total") == 3 and number(page, "imipd_workers") == 2)
    assert number(page, *MESSAGES) == sent
    daemon.send(reply(BOB, "ACCEPTED", minute=sent + 1))
    assert number(page, *MESSAGES) == sent + 1
    assert number(page, "imipd_mails_in_flight") == 0


def test_a_worker_is_killed_and_another_takes_its_place(daemon: Daemon, page: str, calendars: Liar) -> None:
    """Under load: what it had not answered comes again from the MTA; nothing is lost, and nothing told twice."""
    letters = [answer("meeting@example.org", BOB, "ACCEPTED", minute + 1) for minute in range(80)]
    queue = Queue([daemon.place], list(letters))
    running = threading.Thread(target=queue.run)
    running.start()
    for enough in (10, 30, 50):
        until(lambda enough=enough: queue.done >= enough)  # type: ignore[misc]
        starts = number(page, "imipd_worker_starts_total")
        os.kill(children(daemon.process.pid)[-1 if enough == 30 else 0], signal.SIGKILL)
        until(lambda starts=starts: number(page, "imipd_worker_starts_total") > starts)  # type: ignore[misc]
    running.join()
    assert not queue.refused
    until(lambda: number(page, "imipd_workers") == 2)
    assert asked(page, "/readyz") == (200, "ready\n")
    told = Counter(each.entry.message_id for each in daemon.told() if each.completed)
    assert told == {letter.message_id: 1 for letter in letters}


def test_sigterm_finishes_the_mails_of_all(daemon: Daemon, calendars: Liar, tmp_path: Path) -> None:
    """Under load: what it does not take any more it takes after the next start, and nothing is told twice."""
    letters = [answer("meeting@example.org", BOB, "ACCEPTED", minute + 1) for minute in range(60)]
    queue = Queue([daemon.place], list(letters))
    running = threading.Thread(target=queue.run)
    running.start()
    until(lambda: queue.done >= 10)
    folder = private(daemon)
    assert daemon.end() == 0
    assert not folder.exists()
    assert [line["finished"] for line in daemon.logged() if "finished" in line] == [True, True]
    assert all(each.completed for each in daemon.told())
    (tmp_path / "again").mkdir()
    text = CONFIG.replace("{folder}", str(tmp_path))
    with serving(tmp_path / "again", calendars.url, (daemon.place,), TWO, text):
        running.join()
    assert not queue.refused
    assert Counter(each.entry.message_id for each in daemon.told()) == {letter.message_id: 1 for letter in letters}


def test_sighup_reaches_all(daemon: Daemon) -> None:
    seen: set[int] = set()
    daemon.config.write_text(daemon.config.read_text().replace(f'"{ALICE}"', f'"{ALICE}", "{DAVE}"'))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: {line["worker"] for line in daemon.logged() if line["event"] == "configuration read again"} == {1, 2})
    while seen != {1, 2}:
        daemon.send(plain(), DAVE)
        seen = deciders(daemon)


def test_a_worker_that_comes_later_has_the_configuration_of_the_others(daemon: Daemon, page: str) -> None:
    """What cannot change while they listen it has as they have it, too."""
    text = daemon.config.read_text().replace(f'"{ALICE}"', f'"{ALICE}", "{DAVE}"')
    daemon.config.write_text(text.replace(daemon.place, free_place()).replace("ledger.db", "other.db"))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: {line["worker"] for line in daemon.logged() if line["event"] == "configuration read again"} == {1, 2})
    for pid in children(daemon.process.pid)[:2]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: number(page, "imipd_worker_starts_total") == 4 and number(page, "imipd_workers") == 2)
    daemon.send(reply(BOB, "ACCEPTED"), DAVE)
    assert [each.entry.recipient for each in daemon.told(message_id(1))] == [DAVE]


def test_the_parent_is_killed_and_leaves_nobody_behind(daemon: Daemon, page: str, tmp_path: Path) -> None:
    """The workers notice, finish, and give the sockets up, so that a supervisor can start it anew."""
    orphans, folder = children(daemon.process.pid), private(daemon)
    daemon.process.kill()
    daemon.process.wait()
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in orphans))
    for text in (daemon.place, f"unix:{tmp_path}/lmtp.sock", page):
        Place(text, Settings(hostname="h"), 2).close()
    assert not folder.exists()


def test_a_worker_that_cannot_start_is_tried_again_ever_later(daemon: Daemon, page: str, tmp_path: Path) -> None:
    """The other goes on; the page says what is missing; in the end all is as before."""
    (tmp_path / "ledger.db").rename(tmp_path / "away.db")
    (tmp_path / "ledger.db").mkdir()
    os.kill(children(daemon.process.pid)[0], signal.SIGKILL)
    until(lambda: len(pauses(daemon)) >= 3)
    assert pauses(daemon)[:3] == [0.5, 1.0, 2.0]
    assert [line["code"] for line in ended(daemon)][:3] == [-signal.SIGKILL, os.EX_TEMPFAIL, os.EX_TEMPFAIL]
    assert "Traceback" not in daemon.log.read_text()
    assert asked(page, "/readyz") == (503, "1 of 2 workers are missing\n")
    (tmp_path / "ledger.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "ledger.db")
    until(lambda: asked(page, "/readyz") == (200, "ready\n"))


def test_no_worker_can_start_any_more(daemon: Daemon, tmp_path: Path) -> None:
    """The supervisor hears of it."""
    (tmp_path / "ledger.db").rename(tmp_path / "away.db")
    (tmp_path / "ledger.db").mkdir()
    for pid in children(daemon.process.pid)[:2]:
        os.kill(pid, signal.SIGKILL)
    assert daemon.process.wait(3 * PATIENCE) == os.EX_TEMPFAIL


def test_the_page_comes_back(daemon: Daemon, page: str) -> None:
    os.kill(children(daemon.process.pid)[-1], signal.SIGKILL)

    def shown() -> bool:
        try:
            return asked(page, "/readyz") == (200, "ready\n")
        except OSError:
            return False

    until(shown)


def test_a_page_that_is_taken_ends_it_in_75(daemon: Daemon, page: str, tmp_path: Path) -> None:
    again = tmp_path / "again.toml"
    text = daemon.config.read_text().replace(daemon.place, free_place()).replace("lmtp.sock", "other.sock")
    again.write_text(text)
    command = [sys.executable, "-m", "imipd", "serve", "-c", str(again)]
    ended = subprocess.run(command, capture_output=True, timeout=3 * PATIENCE, check=False)
    assert ended.returncode == os.EX_TEMPFAIL
    assert "cannot listen" in ended.stderr.decode()
    daemon.send(plain())


def test_a_password_command_runs_once(tmp_path: Path, calendars: Liar) -> None:
    """Not again for each worker."""
    script = tmp_path / "password"
    script.write_text(f"#!/bin/sh\necho x >> {tmp_path}/runs\necho wonderland\n")
    script.chmod(0o700)
    text = CONFIG.replace('password = "wonderland"', f'password_command = ["{script}"]')
    with serving(tmp_path, calendars.url, (free_place(),), TWO, text) as daemon:
        daemon.send(plain())
    assert (tmp_path / "runs").read_text() == "x\n"


def pauses(daemon: Daemon) -> list[float]:
    """Return how long it waited each time."""
    return [line["again"] for line in ended(daemon)]


def ended(daemon: Daemon) -> list[dict[str, Any]]:
    """Return what was logged of each process that has ended; a worker that cannot start says so without JSON."""
    lines = [json.loads(row) for row in daemon.log.read_text().splitlines() if row.startswith("{")]
    return [line for line in lines if line["event"] == "a process has ended"]
