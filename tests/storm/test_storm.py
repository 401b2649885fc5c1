"""Nothing is lost, done twice or told that was not written, and nobody else's change goes under: on a bad day."""

import random
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import pytest

from daemons import Daemon, free_place, serving
from postgres import postgres
from servers import Server, radicale

from .proxy import Fault, Proxy, proxied
from .weather import WORK, Calendar, Letter, Queue, Writer, answer, answers, check, invitations, told

CONFIG = """\
[lmtp]
listen = {listen}
[ledger]
url = "%s"
[caldav]
url = "{url}"
timeout = "1s"
[policy]
invitations = "add"
changes_per_hour = 0
[[account]]
addresses = ["alice@example.org"]
user = "alice"
password = "wonderland"
"""
pytest_plugins = ("postgres",)
pytestmark = pytest.mark.e2e

UIDS = ("lunch@example.org", "dinner@example.org")
PEOPLE = tuple(f"p{number}@example.net" for number in range(5))
METHODS = ("PROPFIND", "REPORT", "GET", "PUT")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "radicale"
    folder.mkdir()
    with radicale(folder) as running:
        yield running


@contextmanager
def node(folder: Path, url: str, ledger: str, place: str = "") -> Iterator[Daemon]:
    """Run imipd with a ledger of the test's choice."""
    folder.mkdir(exist_ok=True)
    with serving(folder, url, (place or free_place(),), text=CONFIG % ledger) as daemon:
        yield daemon


def sqlite_of(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.db"


def once(method: str, fault: Fault, times: int = 1) -> Callable[[str], Fault | None]:
    """Return the script that spoils the first requests with this method."""
    left = [times]

    def script(asked: str) -> Fault | None:
        if asked != method or not left[0]:
            return None
        left[0] -= 1
        return fault

    return script


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Proxy, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with radicale(folder) as server, proxied(server.url) as proxy:
        uids = [f"{method}.{fault}@example.org" for method, fault in product(METHODS, Fault)]
        Calendar(server).make(uids, PEOPLE)
        yield server, proxy, folder


@pytest.fixture(scope="module")
def daemon(lab: tuple[Server, Proxy, Path]) -> Iterator[Daemon]:
    _, proxy, folder = lab
    with node(folder / "imipd", proxy.url, sqlite_of(folder)) as running:
        yield running


@pytest.mark.parametrize(("method", "fault"), list(product(METHODS[1:], Fault)))
def test_a_request_is_spoilt(lab: tuple[Server, Proxy, Path], daemon: Daemon, method: str, fault: Fault) -> None:
    arrives(lab, daemon.place, method, fault)


@pytest.mark.parametrize("fault", Fault)
def test_discovery_is_spoilt(lab: tuple[Server, Proxy, Path], fault: Fault) -> None:
    """It is asked once by a process, so that each case has one of its own."""
    _, proxy, folder = lab
    with node(folder / f"imipd-{fault}", proxy.url, sqlite_of(folder)) as daemon:
        arrives(lab, daemon.place, "PROPFIND", fault)


def arrives(lab: tuple[Server, Proxy, Path], place: str, method: str, fault: Fault) -> None:
    server, proxy, folder = lab
    minute = list(product(METHODS, Fault)).index((method, fault)) + 1
    letter = answer(f"{method}.{fault}@example.org", PEOPLE[0], "ACCEPTED", minute)
    name = f"{letter.uid}.ics"
    if method == "REPORT":  # it asks for what is new and under an unusual name
        Calendar(server).ask("MOVE", WORK + name, Destination=f"{server.origin}{WORK}moved-{name}")
        name = f"moved-{name}"
    proxy.script = once(method, fault)
    queue = Queue([place], [letter])
    queue.run(1)
    assert proxy.injected[method, fault] == 1
    assert not queue.refused
    check_one(letter, name, Calendar(server), sqlite_of(folder))


def check_one(letter: Letter, name: str, calendar: Calendar, ledger: str) -> None:
    """The answer is in the calendar, and told once."""
    stored = calendar.ask("GET", WORK + name)[2].replace(b"\r\n ", b"")
    (line,) = [row for row in stored.splitlines() if letter.attendee.encode() in row]
    assert f"PARTSTAT={letter.partstat}".encode() in line
    assert told(ledger, letter.message_id) == ["updated: attendee-replied"]


class TestStorm:
    """A quarter of all requests goes wrong, four mails are under way at a time, and alice writes too."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_of_the_calendar(self, seed: int, tmp_path: Path, server: Server) -> None:
        calendar, letters = Calendar(server), everything(seed)
        calendar.make(UIDS, PEOPLE)
        writer = Writer(calendar, UIDS, 20)
        with (
            proxied(server.url, often(seed)) as proxy,
            node(tmp_path / "imipd", proxy.url, sqlite_of(tmp_path)) as daemon,
        ):
            writer.start()
            queue = Queue([daemon.place], list(letters))
            queue.run()
            writer.join()
        assert not queue.refused
        assert proxy.injected.total() > 5
        check(letters, calendar, sqlite_of(tmp_path))
        assert not writer.lost(b"".join(calendar.objects()))

    def test_of_a_node_that_is_killed_and_stopped(self, tmp_path: Path, server: Server) -> None:
        """Every second time with kill -9, while mails are under way; each time it comes back at the same place."""
        calendar, letters, place = Calendar(server), everything(4), free_place()
        calendar.make(UIDS, PEOPLE)
        queue = Queue([place], list(letters))
        running = threading.Thread(target=queue.run)
        running.start()
        for deaths, enough in enumerate(range(3, len(letters) - 4, 4)):
            with node(tmp_path / f"imipd{deaths}", server.url, sqlite_of(tmp_path), place) as daemon:
                under_way(queue, running, enough)
                daemon.process.send_signal(signal.SIGKILL if deaths % 2 else signal.SIGTERM)
                daemon.process.wait()
        with node(tmp_path / "imipd", server.url, sqlite_of(tmp_path), place):
            running.join()
        assert not queue.refused
        check(letters, calendar, sqlite_of(tmp_path))


class TestLedger:
    """What is kept there cannot be kept for a while: the mail waits, and nothing is written that is not told."""

    def test_is_locked(self, tmp_path: Path, server: Server) -> None:
        calendar, letters = Calendar(server), everything(5)
        calendar.make(UIDS, PEOPLE)
        with node(tmp_path / "imipd", server.url, sqlite_of(tmp_path)) as daemon:
            lock = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, timeout=60)
            lock.execute("BEGIN EXCLUSIVE")
            queue = Queue([daemon.place], list(letters))
            running = threading.Thread(target=queue.run)
            running.start()
            running.join(7)
            assert not queue.done
            lock.execute("ROLLBACK")
            lock.close()
            running.join()
        assert not queue.refused
        check(letters, calendar, sqlite_of(tmp_path))

    def test_is_on_a_full_disk(self, tmp_path: Path, server: Server) -> None:
        calendar, letters = Calendar(server), everything(6)
        calendar.make(UIDS, PEOPLE)
        with small_disk(tmp_path / "disk") as disk, node(tmp_path / "imipd", server.url, sqlite_of(disk)) as daemon:
            filler = disk / "filler"
            fill(filler)
            queue = Queue([daemon.place], list(letters))
            running = threading.Thread(target=queue.run)
            running.start()
            running.join(3)
            assert running.is_alive()
            assert b"PARTSTAT=ACCEPTED" not in b"".join(calendar.objects())
            filler.unlink()
            running.join()
            assert not queue.refused
            check(letters, calendar, sqlite_of(disk))
            assert daemon.end() == 0


class TestPostgreSQL:
    """Several nodes, one ledger, one calendar."""

    def test_two_nodes_get_the_same_mails_in_a_storm(self, tmp_path: Path, server: Server, postgres_url: str) -> None:
        calendar, letters = Calendar(server), everything(7)
        calendar.make(UIDS, PEOPLE)
        writer = Writer(calendar, UIDS, 10)
        with ExitStack() as stack:
            proxy = stack.enter_context(proxied(server.url, often(7)))
            nodes = [stack.enter_context(node(tmp_path / name, proxy.url, postgres_url)) for name in ("one", "two")]
            writer.start()
            queue = Queue([each.place for each in nodes], list(letters), everywhere=True)
            queue.run()
            writer.join()
        assert not queue.refused
        check(letters, calendar, postgres_url)
        assert not writer.lost(b"".join(calendar.objects()))

    def test_two_nodes_share_the_mails_and_one_dies(self, tmp_path: Path, server: Server, postgres_url: str) -> None:
        calendar, letters = Calendar(server), everything(8)
        calendar.make(UIDS, PEOPLE)
        with node(tmp_path / "one", server.url, postgres_url) as one:
            with node(tmp_path / "two", server.url, postgres_url) as two:
                queue = Queue([one.place, two.place], list(letters))
                running = threading.Thread(target=queue.run)
                running.start()
                under_way(queue, running, 6)
                two.process.kill()
            queue.places = [one.place]
            running.join()
        assert not queue.refused
        check(letters, calendar, postgres_url)

    def test_the_database_goes_and_comes_back(self, tmp_path: Path, server: Server) -> None:
        calendar, letters = Calendar(server), everything(9)
        calendar.make(UIDS, PEOPLE)
        with postgres() as database, node(tmp_path / "imipd", server.url, database.url) as daemon:
            queue = Queue([daemon.place], list(letters))
            running = threading.Thread(target=queue.run)
            running.start()
            under_way(queue, running, 2)
            database.stop()
            running.join(2)
            assert running.is_alive()
            database.start()
            running.join()
            assert not queue.refused
            check(letters, calendar, database.url)


def under_way(queue: Queue, running: threading.Thread, enough: int) -> None:
    """Wait until so many mails have been taken, and the others are still to come."""
    while queue.done < enough:
        running.join(0.01)
        assert running.is_alive()


def everything(seed: int) -> list[Letter]:
    """Return answers in any order, two of each Attendee to each meeting, and invitations among them."""
    dice = random.Random(seed)
    letters = [*answers(UIDS, PEOPLE, 2, dice), *invitations(4)]
    dice.shuffle(letters)
    return letters


def often(seed: int) -> Callable[[str], Fault | None]:
    """Return the script that spoils a quarter of all requests."""
    dice = random.Random(seed)
    return lambda _method: dice.choice(list(Fault)) if dice.random() < 0.25 else None


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of four mebibytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        while shutil.disk_usage(path.parent).free:
            try:
                file.write(b"x" * 4096)
            except OSError:
                return
