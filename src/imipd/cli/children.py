"""The children of a process: each is forked, says when it is up, and is missed when it ends, however it ends.

The rule here: who forks has one thread, no event loop, and nothing open that a child could break. Not multiprocessing
(Python 3.11): its children would not end as `main` ends, with our exit codes and nothing secret in a traceback; those
whose parent was killed would notice one after the other; and each fork that fails leaves four files open.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STEADY = 30.0
"""Seconds that a child has to live for the next to follow at once."""
SHORTEST, LONGEST = 0.5, 30.0
"""Seconds until the next follows one that did not; twice as long each time."""

Work = Callable[[Callable[[], None]], int]
"""What a child does; it is handed what says that it is up, and returns its exit code."""


@dataclass
class Post:
    """What one child at a time does."""

    name: str
    work: Work
    worker: int = 0
    pid: int = 0
    up: bool = False
    stale: bool = False
    """Whether what it was started with is no longer so."""
    failures: int = 0
    """How many children in a row ended before they were up."""
    due: float = 0.0
    _pause: float = 0.0
    _begun: float = 0.0
    pipe: int = -1

    def began(self, pid: int, pipe: int) -> None:
        """Note who does it now."""
        self.pid, self.pipe, self._begun = pid, pipe, time.monotonic()
        self.up = self.stale = False

    def heard(self) -> bool:
        """Read what the child says; False where it has ended."""
        if not os.read(self.pipe, 1):
            return False
        self.up, self.failures = True, 0
        return True

    def ended(self) -> int:
        """Note that nobody does it, and when the next may; return the exit code, negative for a signal."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pipe)
        self.missed(time.monotonic() - self._begun)
        return status

    def missed(self, lived: float) -> None:
        """Note when the next may follow one that has lived so long."""
        self.failures += not self.up
        self._pause = 0.0 if lived >= STEADY else min(max(2 * self._pause, SHORTEST), LONGEST)
        self.due = time.monotonic() + self._pause
        self.pid, self.pipe, self.up = 0, -1, False

    def tell(self, number: int) -> None:
        """Send its child a signal."""
        if self.pid:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Give up, in another child, what is between its child and the parent."""
        if self.pid:
            os.close(self.pipe)


class Children:
    """Begins children and hears from them, and of signals."""

    def __init__(self, posts: Sequence[Post]) -> None:
        self._posts = posts
        self._pid = os.getpid()
        self.lifeline, self._life = os.pipe()
        """What a child reads the end of when its parent is gone, and what the parent holds for that."""
        self._signals, self._noticed = socket.socketpair()
        self._noticed.setblocking(False)
        signal.set_wakeup_fd(self._noticed.fileno())
        for number in HEEDED:
            signal.signal(number, lambda *_: None)

    def begin(self, post: Post) -> Callable[[], int] | None:
        """Fork. Return in the child what it shall do, in the parent None. Raises OSError."""
        ours, theirs = os.pipe()
        # A signal would be lost on a child that has the parent's handlers yet.
        signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
        try:
            pid = os.fork()
            if not pid:
                os.close(ours)
                self._leave()
                return partial(post.work, partial(_say_up, theirs))
            post.began(pid, ours)
        except OSError:
            os.close(ours)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
            if os.getpid() == self._pid:
                os.close(theirs)
        return None

    def hear(self, until: float) -> Iterator[int | Post]:
        """Wait, at most until then, for signals and for children that are up or have ended."""
        pipes = {post.pipe: post for post in self._posts if post.pid}
        patience = max(0.0, until - time.monotonic())
        signals = self._signals.fileno()
        ready = select.select([signals, *pipes], [], [], min(patience, LONGEST))[0]
        if signals in ready:
            yield from set(self._signals.recv(64))
        yield from [pipes[each] for each in ready if each in pipes]

    def end(self) -> None:
        """Let the children know that the parent is gone."""
        os.close(self._life)

    def _leave(self) -> None:
        """Be a child: heed no signal yet but those that end a process, and hold nothing of the parent's."""
        signal.set_wakeup_fd(-1)
        for number in HEEDED:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
        for each in (self._signals, self._noticed):
            each.close()
        with suppress(OSError):
            os.close(self._life)
        for post in self._posts:
            post.close()


def _say_up(pipe: int) -> None:
    os.write(pipe, b"1")
