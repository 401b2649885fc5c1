"""Messages for one account and UID go one after the other, in a process and among the workers of a daemon."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from imipd.gateway import Lanes, prepare
from imipd.gateway.lanes import LANES

FORKING = multiprocessing.get_context("fork")
PATIENCE = 20.0
ALICE, UID = "alice", "lunch@example.org"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path / "lanes")
    return tmp_path / "lanes"


def hold(folder: Path, said: Connection) -> None:
    with Lanes(folder).alone(ALICE, UID):
        said.send("held")
        said.recv()


@contextmanager
def another(folder: Path) -> Iterator[FORKING.Process]:  # type: ignore[name-defined]
    """Run another process that holds the lane."""
    ours, theirs = FORKING.Pipe()
    process = FORKING.Process(target=hold, args=(folder, theirs), daemon=True)
    process.start()
    assert ours.recv() == "held"
    yield process
    process.kill()
    process.join()


def waits(folder: Path) -> bool:
    """Whether the kernel keeps somebody waiting for one of the files."""
    inodes = {f":{file.stat().st_ino} " for file in folder.iterdir()}
    waiting = [line for line in Path("/proc/locks").read_text().splitlines() if "-> FLOCK" in line]
    return any(inode in line for inode in inodes for line in waiting)


def test_a_worker_waits_for_another_and_goes_on_when_that_one_is_killed(folder: Path) -> None:
    lanes, done = Lanes(folder), threading.Event()

    def work() -> None:
        with lanes.alone(ALICE, UID):
            done.set()

    with another(folder) as process:
        thread = threading.Thread(target=work)
        thread.start()
        end = time.monotonic() + PATIENCE
        while not waits(folder):
            assert time.monotonic() < end, "it does not wait"
        assert not done.is_set()
        process.kill()
        thread.join(PATIENCE)
    assert done.is_set()


def test_other_messages_wait_for_nobody(folder: Path) -> None:
    lane = hash((ALICE, UID)) % LANES
    other = next(uid for uid in map(str, range(99)) if hash((ALICE, uid)) % LANES != lane)
    with another(folder), Lanes(folder).alone(ALICE, other):
        pass
