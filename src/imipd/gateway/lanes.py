"""Messages for one account and UID go one after the other: in a process, and among the workers of one daemon.

Between nodes the ETag alone orders the writes: there is no lock that another node would have to know.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LANES = 256


class Lanes:
    """A lock for each account and UID; some share one, which costs a little time and nothing else."""

    def __init__(self, folder: Path | None = None) -> None:
        """With a folder, keep the other processes out, too, that have it; `prepare` has made its files."""
        self._locks = [threading.Lock() for _ in range(LANES)]
        self._folder = folder

    @contextmanager
    def alone(self, account: str, uid: str | None) -> Iterator[None]:
        """Wait until nobody else is at work on this account and UID, and keep all others waiting."""
        # Workers are forked from one process, so that a text has the same hash in each.
        lane = hash((account, uid)) % LANES
        with self._locks[lane]:
            if self._folder is None:
                yield
                return
            descriptor = os.open(self._folder / str(lane), os.O_RDWR)
            try:
                # The kernel gives it back when a worker dies. One open file each: flock(2) keeps threads apart, too.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


def prepare(folder: Path) -> None:
    """Make the files, so that later nothing is needed that a full disk could refuse. Raises OSError."""
    folder.mkdir(0o700)
    for lane in range(LANES):
        (folder / str(lane)).touch(0o600)
