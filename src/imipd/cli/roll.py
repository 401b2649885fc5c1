"""Who is at work, in memory that parent and children share: the parent writes it, the page reads it."""

import mmap
from enum import IntEnum

from imipd.web.several import Crew


class State(IntEnum):
    """Where the parent stands."""

    STARTING = 0
    READY = 1
    STOPPING = 2


class Roll:
    """Each value is one aligned machine word, so that nobody reads half of it."""

    def __init__(self, workers: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")
        self._workers = range(1, workers + 1)

    def enter(self, state: State) -> None:
        """Note where the parent stands."""
        self._cells[0] = state

    def started(self) -> None:
        """Count a worker that was started."""
        self._cells[1] += 1

    def manned(self, worker: int, pid: int) -> None:
        """Note which process a worker is that takes mail; 0: none."""
        self._cells[1 + worker] = pid

    @property
    def crew(self) -> Crew:
        """Who takes mail."""
        pids = {worker: self._cells[1 + worker] for worker in self._workers}
        return Crew({worker: pid for worker, pid in pids.items() if pid}, self._cells[1])

    @property
    def trouble(self) -> str:
        """What keeps us from taking all mail that we could; empty where nothing does."""
        state, missing = State(self._cells[0]), len(self._workers) - len(self.crew.pids)
        if state is not State.READY:
            return state.name.lower()
        return f"{missing} of {len(self._workers)} workers are missing" if missing else ""
