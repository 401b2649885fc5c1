"""Several processes that take mail, and the parent that keeps them: `serve.workers` above 1.

The parent opens the sockets, forks, listens to signals, and puts another worker in the place of one that has ended.
It takes no mail and keeps neither the ledger nor a calendar open. What its children do is in `worker`.
"""

import fcntl
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from math import inf
from pathlib import Path

import structlog

from imipd.accounts.configured import Directory
from imipd.config import Config, ConfigError
from imipd.gateway import prepare
from imipd.web import several

from . import assembly, listening, serve, worker
from .children import Children, Post
from .listening import Certificates
from .roll import Roll, State
from .worker import Ground

LATEST = serve.DRAIN_SECONDS + 15.0
"""Seconds after which a worker that was told to stop is killed; TimeoutStopSec= in the unit is longer."""
TRIES = 5
"""Workers in a row that ended before they took mail; where no other is left either, a supervisor has to help."""

log = structlog.get_logger("imipd")


def run(settings: Config, reload: Callable[[], Config]) -> int:
    """Serve with several processes until told to stop. Return the exit code, in each of them. Raises LedgerError."""
    directory = assembly.directory(settings, os.environ)
    Certificates(settings)
    # Its tables are brought up to date before anybody else looks at them.
    assembly.ledger(settings).close()
    try:
        places = listening.places(settings, settings.serve.workers)
        ground = Ground(_folder(), Roll(settings.serve.workers), places, reload)
        prepare(ground.lanes)
    except (OSError, ValueError) as error:
        log.error("cannot start", error=str(error))
        return os.EX_TEMPFAIL
    # What is here now is shared with every worker, as long as nobody touches it.
    gc.freeze()
    return Parent(settings, directory, ground).keep()()


def _folder() -> Path:
    """Make the private folder, which stays as long as one of us lives."""
    folder = Path(tempfile.mkdtemp(prefix="imipd-"))
    # Who clears /tmp of what is old passes a locked folder by (tmpfiles.d(5)).
    fcntl.flock(os.open(folder, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX)
    return folder


class Parent:
    """Keeps the workers, and beside them the page."""

    def __init__(self, settings: Config, directory: Directory, ground: Ground) -> None:
        self._settings, self._directory, self._ground = settings, directory, ground
        self._workers = [self._post(number) for number in range(1, settings.serve.workers + 1)]
        self._posts = [*self._workers, *([Post("page", self._show)] if settings.web and settings.web.listen else [])]
        self._children = Children(self._posts)
        self._state = State.STARTING
        self._code = os.EX_OK
        self._latest = inf

    def _post(self, number: int) -> Post:
        def work(up: Callable[[], None]) -> int:
            # The settings are those of the moment in which it is forked.
            return worker.work(self._ground, number, (self._settings, self._directory), self._children.lifeline, up)

        return Post(f"worker {number}", work, number)

    def _show(self, up: Callable[[], None]) -> int:
        return worker.show(self._ground, self._settings, self._children.lifeline, up)

    def keep(self) -> Callable[[], int]:
        """Keep every post manned until told to stop. Return what is left to do: in a child, its work."""
        while self._state is not State.STOPPING or any(post.pid for post in self._workers):
            for post in [post for post in self._vacant() if post.due <= time.monotonic()]:
                if work := self._begin(post):
                    return work
            for heard in self._children.hear(self._until()):
                self._heed(heard)
            if time.monotonic() > self._latest:
                self._latest = inf
                self._tell(signal.SIGKILL)
        return self._leave

    def _vacant(self) -> list[Post]:
        return [post for post in self._posts if not post.pid and self._state is not State.STOPPING]

    def _until(self) -> float:
        """Return when there is something to do even if nobody is heard."""
        return min([self._latest, *(post.due for post in self._vacant())])

    def _begin(self, post: Post) -> Callable[[], int] | None:
        try:
            work = self._children.begin(post)
        except OSError as error:
            log.error("no process to be had", error=str(error))
            post.missed(0.0)
            self._miss(post, os.EX_TEMPFAIL)
            return None
        if not work and post.worker:
            self._ground.roll.started()
        return work

    def _heed(self, heard: int | Post) -> None:
        if isinstance(heard, Post):
            self._hear(heard)
        elif heard == signal.SIGHUP:
            self._read_again()
        else:
            self._stop(os.EX_OK)

    def _hear(self, post: Post) -> None:
        if not post.heard():
            self._miss(post, post.ended())
            return
        if post.worker:
            self._ground.roll.manned(post.worker, post.pid)
        if post.stale:
            post.tell(signal.SIGHUP)
        if self._state is State.STARTING and all(each.up for each in self._posts):
            self._enter(State.READY)
            serve.announced([address for place in self._ground.all_places for address in place.addresses])

    def _miss(self, post: Post, code: int) -> None:
        if post.worker:
            self._ground.roll.manned(post.worker, 0)
            several.ended(self._ground.folder, post.worker)
        if self._state is State.STOPPING:
            return
        log.error("a process has ended", process=post.name, code=code, again=round(post.due - time.monotonic(), 1))
        hopeless = post.failures >= TRIES and not any(each.up for each in self._workers)
        if self._state is State.STARTING or hopeless:
            self._stop(code if code == os.EX_CONFIG else os.EX_TEMPFAIL)

    def _stop(self, code: int) -> None:
        """Let nobody in any more, and the workers finish what they have."""
        if self._state is State.STOPPING:
            return
        self._enter(State.STOPPING)
        self._code, self._latest = code, time.monotonic() + LATEST
        log.info("stopping", workers=len(self._workers))
        serve.announced_end()
        for place in self._ground.all_places:
            place.close()
        self._tell(signal.SIGTERM)

    def _enter(self, state: State) -> None:
        self._state = state
        self._ground.roll.enter(state)

    def _tell(self, number: int) -> None:
        for post in self._workers:
            post.tell(number)

    def _read_again(self) -> None:
        """Look at the new configuration before the workers do: one with mistakes reaches none of them."""
        try:
            settings = self._ground.reload()
            directory = assembly.directory(settings, os.environ)
            Certificates(settings)
        except ConfigError as error:
            log.error("the configuration stays as it was", problems=str(error))
            return
        self._settings, self._directory = listening.as_opened(self._settings, settings), directory
        for post in self._workers:
            # One that is not up yet was forked with the old one.
            post.stale = not post.up
            if post.up:
                post.tell(signal.SIGHUP)

    def _leave(self) -> int:
        """Be the last: the page has told until now that we stop."""
        self._children.end()
        for post in [post for post in self._posts if post.pid]:
            post.ended()
        shutil.rmtree(self._ground.folder, ignore_errors=True)
        log.info("stopped")
        return self._code
