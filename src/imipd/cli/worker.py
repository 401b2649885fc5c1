"""What the children of `workers` do: one takes mail, the page shows the figures of all.

The rule here: whatever is opened is opened in the child.
"""

import os
import select
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog

from imipd.accounts.configured import Directory
from imipd.config import Config
from imipd.gateway import Lanes
from imipd.ingress.endpoint import Place, Share
from imipd.web import several
from imipd.web.metrics import Metrics
from imipd.web.several import Several

from . import assembly, logs, serve, watch
from .children import HEEDED
from .roll import Roll

log = structlog.get_logger("imipd")


@dataclass(frozen=True, slots=True)
class Ground:
    """What parent and children have in common."""

    folder: Path
    """Private; the figures are there, and in `lanes` what keeps messages in order."""
    roll: Roll
    places: Mapping[str, tuple[Place, ...]]
    reload: Callable[[], Config]

    @property
    def lanes(self) -> Path:
        """Return the folder that keeps messages for one event in order."""
        return self.folder / "lanes"

    @property
    def all_places(self) -> Iterator[Place]:
        """Return the places of all listeners."""
        for places in self.places.values():
            yield from places

    def share(self, number: int) -> dict[str, list[Share]]:
        """Return the sockets of one worker, by listener; those of the others are closed, or they would outlive them."""
        self.shut(all_but=number)
        return {name: [place.shares[number - 1] for place in places] for name, places in self.places.items()}

    def shut(self, all_but: int = 0) -> None:
        """Close the sockets of all, or of all others."""
        for place in self.all_places:
            for worker, share in enumerate(place.shares, 1):
                if worker != all_but:
                    share.close()


def work(ground: Ground, number: int, current: tuple[Config, Directory], lifeline: int, up: Callable[[], None]) -> int:
    """Take mail until told to stop, or until the parent is gone. Return the exit code. Raises LedgerError."""
    logs.as_worker(number)
    several.keep(ground.folder, number)
    settings, directory = current
    metrics = Metrics()
    duties = serve.Duties(
        web=None,
        prunes=number == 1,
        up=lambda _listen: up(),
        stopping=lambda: None,
        shares=ground.share(number),
        lifeline=lifeline,
    )
    with assembly.opened_for(directory, settings, watch.by(metrics), lanes=Lanes(ground.lanes)) as house:
        code = serve.lived(serve.Daemon(house, metrics, ground.reload, duties))
    # Not by getppid(): the kernel names another parent only a moment after the pipe has ended.
    if select.select([lifeline], [], [], 0)[0]:
        _tidy(ground.folder, number)
    return code


def _tidy(folder: Path, number: int) -> None:
    """Remove what the parent would have removed; the last one succeeds."""
    for file in folder.glob(f"*_{number}.db"):
        file.unlink()
    if not list(folder.glob("*.db")):
        shutil.rmtree(folder, ignore_errors=True)


def show(ground: Ground, settings: Config, lifeline: int, up: Callable[[], None]) -> int:
    """Answer over HTTP until the parent has gone: while the workers stop, it says so."""
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN)
    ground.shut()
    with closing(assembly.ledger(settings)) as ledger:
        try:
            page = watch.page(
                settings.web,
                Several(ground.folder, lambda: ground.roll.crew),
                lambda: ground.roll.trouble or watch.trouble(ledger),
            )
        except OSError as error:
            log.error("cannot listen", error=str(error))
            return os.EX_TEMPFAIL
        up()
        # Not read: a worker's event loop may have made it non-blocking, for all who hold it (libuv).
        select.select([lifeline], [], [])
        if page:
            page.close()
    return os.EX_OK
