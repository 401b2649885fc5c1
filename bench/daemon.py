"""The imipd that is measured: a process of its own, with the default configuration, and what it costs the machine."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemons import Daemon, free_place, serving
from imipd.ledger import Query
from imipd.ledger.sql import open_ledger

from .jobs import Job
from .letters import message_id
from .stands import PASSWORD, Stand

CONFIG = """\
[lmtp]
listen = {listen}
[ledger]
url = "sqlite:///{folder}/ledger.db"
[policy]
changes_per_hour = 0
"""
"""Defaults, except for what a bench must have: no limit on how much one originator may change (rule S8)."""
ACCOUNT = """\
[[account]]
addresses = ["{account}@example.org"]
user = "{account}"
password = "{password}"
url = "{root}"
"""
OUTCOMES = {
    "REPLY": "updated: attendee-replied",
    "REQUEST": "updated: details-changed",
    "CANCEL": "updated: cancelled",
}
UNKNOWN = "no_action: unknown-uid"
SETTLING, IDLE = 0.5, 1.0
"""Seconds after the start, and for which it is watched without work."""
CPUCLOCK_SCHED = 2  # linux/posix-timers.h


@dataclass(frozen=True, slots=True)
class Imipd:
    """A running imipd."""

    daemon: Daemon
    idle: float = 0.0
    """Seconds of CPU that it takes in a second without work."""

    @property
    def place(self) -> str:
        """Return where it takes LMTP."""
        return self.daemon.place

    def cpu(self) -> float:
        """Return the seconds of CPU that it has taken so far, with all its processes."""
        return sum(_cpu(pid) for pid in _family(self.daemon.process.pid))

    def peak(self) -> float:
        """Return the most memory that its processes have held, in MiB."""
        return sum(_peak(pid) for pid in _family(self.daemon.process.pid)) / 1024

    def untold(self, jobs: Iterable[Job], since: datetime) -> list[str]:
        """Return the messages of which the ledger does not say what was meant."""
        with closing(open_ledger(f"sqlite:///{self.daemon.config.parent}/ledger.db")) as ledger:
            log = ledger.log(Query(since=since, limit=10**6))
        told = {each.entry.message_id: f"{each.entry.outcome}: {each.entry.reason}" for each in log if each.completed}
        wrong: Counter[str] = Counter()
        for job in jobs:
            if not job.method:
                continue
            meant = OUTCOMES[job.method] if job.says else UNKNOWN
            if (said := told.get(message_id(job.tick), "nothing")) != meant:
                wrong[f"the ledger says {said}, meant was {meant}"] += 1
        return [f"{text} ({number} times)" for text, number in wrong.items()]


@contextmanager
def imipd(folder: Path, stand: Stand, more: str = "") -> Iterator[Imipd]:
    """Run `imipd serve` for all accounts of a stand; `more` is further sections of its configuration."""
    accounts = "".join(
        ACCOUNT.format(account=account, password=PASSWORD, root=root) for account, root in stand.roots.items()
    )
    folder.mkdir()
    with serving(folder, "", (free_place(),), more + accounts, CONFIG) as daemon:
        fresh = Imipd(daemon)
        time.sleep(SETTLING)
        before = fresh.cpu()
        time.sleep(IDLE)
        yield replace(fresh, idle=(fresh.cpu() - before) / IDLE)


def now() -> datetime:
    """Return since when the ledger is asked about what is sent from now on."""
    return datetime.now(UTC) - timedelta(seconds=1)


def _family(pid: int) -> list[int]:
    """Return a process and all that it has started (Linux)."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in file.read_text().split()] if file.exists() else []
    return [pid, *(one for child in children for one in _family(child))]


def _cpu(pid: int) -> float:
    """Return user and system time of a process, with its threads that are gone.

    The number of its clock is that of clock_getcpuclockid(3), which Python does not have; /proc counts in hundredths.
    """
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def _peak(pid: int) -> int:
    """Return VmHWM in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
