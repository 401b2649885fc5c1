"""imipd serve: the daemon. SIGTERM finishes the mails in hand, SIGHUP reads the configuration again.

What runs in one process is here; `workers` runs several of it.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sdnotify
import structlog

from imipd import config
from imipd.config import Config, ConfigError
from imipd.config.settings import Web
from imipd.envelope import Envelope, Status
from imipd.ingress import Listener
from imipd.ingress.endpoint import Share
from imipd.ingress.threads import DeliveryThreads
from imipd.ledger import LedgerError
from imipd.web.metrics import Metrics

from . import assembly, heap, listening, logs, watch
from .assembly import House
from .listening import Certificates
from .loop import loop_factory

DRAIN_SECONDS = 60.0
PRUNE_SECONDS = 6 * 3600.0

log = structlog.get_logger("imipd")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code."""
    settings = config.load(arguments.config, os.environ)
    logs.begin(settings)
    heap.settle()
    reload = partial(config.load, arguments.config, os.environ)
    try:
        if settings.serve.workers > 1:
            from . import workers  # noqa: PLC0415  one process needs nothing of it

            return workers.run(settings, reload)
        metrics = Metrics()
        with assembly.opened(settings, os.environ, watch.by(metrics)) as house:
            return lived(Daemon(house, metrics, reload, Duties(settings.web)))
    except LedgerError as error:
        print(f"imipd: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL


def lived(daemon: "Daemon") -> int:
    """Run a daemon to its end and return the exit code."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        log.debug("event loop", of=type(runner.get_loop()).__module__)
        return runner.run(daemon.serve())


def announced(listen: Sequence[str]) -> None:
    """Say that mail is taken, to the log and to systemd."""
    log.info("ready", listen=listen)
    sdnotify.SystemdNotifier().notify("READY=1")


def announced_end() -> None:
    """Tell systemd that the end has begun."""
    sdnotify.SystemdNotifier().notify("STOPPING=1")


@dataclass(frozen=True, slots=True)
class Duties:
    """What a daemon sees to besides its mails: alone to everything, as a worker to what its parent leaves to it."""

    web: Web | None
    prunes: bool = True
    up: Callable[[Sequence[str]], None] = announced
    stopping: Callable[[], None] = announced_end
    shares: Mapping[str, Sequence[Share]] | None = None
    """Sockets that were opened before, by the listener's name."""
    lifeline: int | None = None
    """A pipe that ends with the parent."""


class Daemon:
    """A house with its listeners; on SIGHUP another house takes its place."""

    def __init__(self, house: House, metrics: Metrics, reload: Callable[[], Config], duties: Duties) -> None:
        self._house = house
        self._metrics = metrics
        self._reload = reload
        self._duties = duties
        self._certificates = Certificates(house.config)
        self._stop = asyncio.Event()
        self._state = "starting"

    async def serve(self) -> int:
        """Open the listeners, work until told to stop, finish the mails in hand."""
        deliver, at_once = self._metrics.measured(self._deliver), self._metrics.measured(self._at_once)
        threads = DeliveryThreads(deliver, at_once, self._house.config.serve.threads)
        listeners = self._listeners(threads)
        self._heed()
        try:
            page = watch.page(self._duties.web, self._metrics, self._trouble)
            for listener in listeners:
                await listener.start()
        except (OSError, ValueError) as error:
            log.error("cannot listen", error=str(error))
            await _drained(listeners)
            return os.EX_TEMPFAIL
        await self._work(listeners)
        threads.close()
        if page:
            page.close()
        return os.EX_OK

    def _heed(self) -> None:
        """Listen to signals, and whether the parent is still there."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        if self._duties.lifeline is not None:
            loop.add_reader(self._duties.lifeline, self._orphaned, self._duties.lifeline)

    def _orphaned(self, lifeline: int) -> None:
        """End as if told to, so that the sockets are free for who comes next."""
        asyncio.get_running_loop().remove_reader(lifeline)
        log.error("the parent is gone")
        self._stop.set()

    async def _work(self, listeners: list[Listener]) -> None:
        self._duties.up([address for listener in listeners for address in listener.addresses])
        self._state = ""
        pruning = asyncio.create_task(self._prune())
        await self._stop.wait()
        self._state = "stopping"
        self._duties.stopping()
        pruning.cancel()
        log.info("stopping", finished=await _drained(listeners))

    def _listeners(self, threads: DeliveryThreads) -> list[Listener]:
        found = self._house.config
        return listening.listeners(found, self._certificates, self._serves, threads, shares=self._duties.shares)

    def _serves(self, address: str) -> bool:
        return self._house.serves(address)

    def _deliver(self, envelope: Envelope) -> tuple[Status, ...]:
        return self._house.deliver(envelope)

    def _at_once(self, envelope: Envelope) -> tuple[Status, ...] | None:
        return self._house.at_once(envelope)

    def _trouble(self) -> str:
        """Return what keeps us from taking mail."""
        return self._state or watch.trouble(self._house.ledger)

    def _read_again(self) -> None:
        """Take over accounts, policies, limits and certificates; the sockets and the ledger stay until a restart."""
        old = self._house
        try:
            settings = self._reload()
            directory = assembly.directory(settings, os.environ)
            self._certificates.read(settings)
        except ConfigError as error:
            log.error("the configuration stays as it was", problems=str(error))
            return
        for change in listening.late_changes(old.config, settings):
            log.warning(f"{change} changes at the next start")
        self._house = assembly.furnished(
            settings, directory, old.store, old.ledger, watch.by(self._metrics), lanes=old.lanes
        )
        log.info("configuration read again", file=str(settings.file))

    async def _prune(self) -> None:
        """Forget old entries, now and then."""
        while self._duties.prunes:
            try:
                gone = await asyncio.to_thread(self._house.ledger.prune, assembly.now())
                log.debug("pruned", entries=gone)
            except LedgerError as error:
                log.warning("not pruned", error=str(error))
            await asyncio.sleep(PRUNE_SECONDS)


async def _drained(listeners: list[Listener]) -> bool:
    return all(await asyncio.gather(*(listener.drain(DRAIN_SECONDS) for listener in listeners)))
