"""The figures of several processes as one: each keeps its own in files, and whoever shows them adds them up.

A worker that takes the place of another goes on where that one stopped, so no counter goes back.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works."""

    pids: Mapping[int, int]
    """The process of each worker that takes mail."""
    starts: int
    """How many workers have been started."""


def keep(folder: Path, worker: int) -> None:
    """Keep the figures of this process, which are made after this call, in `folder`."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def ended(folder: Path, worker: int) -> None:
    """Forget what a worker was just doing; what it has done stays."""
    mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class Several:
    """What `/metrics` shows of several processes."""

    def __init__(self, folder: Path, crew: Callable[[], Crew]) -> None:
        self.registry = CollectorRegistry()
        PlatformCollector(registry=self.registry)
        self._folder, self._crew = folder, crew
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Add up what the workers keep; tell of the workers, and of each what a process tells of itself."""
        # Empty is a file that a worker is just making: the library cannot read it (prometheus-client 0.26).
        files = [str(file) for file in self._folder.glob("*.db") if _size(file)]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        crew = self._crew()
        yield GaugeMetricFamily("imipd_workers", "Workers that take mail.", len(crew.pids))
        yield CounterMetricFamily("imipd_worker_starts", "Workers that were started.", crew.starts)
        found: dict[str, Metric] = {}
        for worker, pid in crew.pids.items():
            for one in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                kept = found.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                kept.samples += [each._replace(labels={"worker": str(worker)}) for each in one.samples]
        yield from found.values()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
