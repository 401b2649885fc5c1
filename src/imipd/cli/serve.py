"""imipd serve: the daemon. SIGTERM finishes the mails in hand, SIGHUP reads the configuration again."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable

import sdnotify
import structlog

from imipd import config
from imipd.config import Config, ConfigError
from imipd.envelope import Envelope, Status
from imipd.ingress import Listener
from imipd.ingress.threads import DeliveryThreads
from imipd.ledger import LedgerError
from imipd.web.metrics import Metrics

from . import assembly, listening, logs, watch
from .assembly import House
from .listening import Certificates

DRAIN_SECONDS = 60.0
PRUNE_SECONDS = 6 * 3600.0

log = structlog.get_logger("imipd")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code."""
    settings = config.load(arguments.config, os.environ)
    logs.begin(settings)
    metrics = Metrics()
    try:
        with assembly.opened(settings, os.environ, watch.by(metrics)) as house:
            return asyncio.run(_Daemon(house, metrics, lambda: config.load(arguments.config, os.environ)).serve())
    except LedgerError as error:
        print(f"imipd: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL


class _Daemon:
    """A house with its listeners; on SIGHUP another house takes its place."""

    def __init__(self, house: House, metrics: Metrics, reload: Callable[[], Config]) -> None:
        self._house = house
        self._metrics = metrics
        self._reload = reload
        self._certificates = Certificates(house.config)
        self._stop = asyncio.Event()
        self._state = "starting"

    async def serve(self) -> int:
        """Open the listeners, work until told to stop, finish the mails in hand."""
        deliver, at_once = self._metrics.measured(self._deliver), self._metrics.measured(self._at_once)
        threads = DeliveryThreads(deliver, at_once, self._house.config.serve.threads)
        listeners = self._listeners(threads)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        try:
            page = watch.page(self._house.config.web, self._metrics, self._trouble)
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

    async def _work(self, listeners: list[Listener]) -> None:
        notifier = sdnotify.SystemdNotifier()
        log.info("ready", listen=[address for listener in listeners for address in listener.addresses])
        notifier.notify("READY=1")
        self._state = ""
        pruning = asyncio.create_task(self._prune())
        await self._stop.wait()
        self._state = "stopping"
        notifier.notify("STOPPING=1")
        pruning.cancel()
        log.info("stopping", finished=await _drained(listeners))

    def _listeners(self, threads: DeliveryThreads) -> list[Listener]:
        return listening.listeners(self._house.config, self._certificates, self._serves, threads)

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
        self._house = assembly.furnished(settings, directory, old.store, old.ledger, watch.by(self._metrics))
        log.info("configuration read again", file=str(settings.file))

    async def _prune(self) -> None:
        """Forget old entries, now and then."""
        while True:
            try:
                gone = await asyncio.to_thread(self._house.ledger.prune, assembly.now())
                log.debug("pruned", entries=gone)
            except LedgerError as error:
                log.warning("not pruned", error=str(error))
            await asyncio.sleep(PRUNE_SECONDS)


async def _drained(listeners: list[Listener]) -> bool:
    return all(await asyncio.gather(*(listener.drain(DRAIN_SECONDS) for listener in listeners)))
