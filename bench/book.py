"""What was measured: figures by case and contender, and everything that went wrong; pure."""

from dataclasses import dataclass, field
from statistics import median

NAMES = {"radicale": "Radicale", "xandikos": "Xandikos", "cyrus": "Cyrus", "sogo": "SOGo", "davical": "DAViCal"}


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names a case: what is done, where, and on how many connections."""

    work: str
    """replies, updates, cancels, plain, mixed, strangers."""
    server: str
    events: int
    """In the calendar."""
    connections: int = 1
    shape: str = ""
    """What is special about the account or the daemon."""

    def __str__(self) -> str:
        where = f"{self.work} on {NAMES[self.server]}, {self.events:,} events" if self.server else self.work
        return ", ".join(part for part in (where, self.shape, _connections(self.connections)) if part)


def _connections(number: int) -> str:
    return "1 connection" if number == 1 else f"{number} connections"


@dataclass
class Figures:
    """What one contender did in one case."""

    rates: list[float] = field(default_factory=list)
    """Jobs a second, one for each round."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, of all rounds."""
    costs: list[float] = field(default_factory=list)
    """Milliseconds of imipd's CPU for one job, one for each round."""

    def add(self, rate: float, latencies: tuple[float, ...], cpu: float) -> None:
        """Add a round, in which imipd took so many seconds of CPU."""
        self.rates.append(rate)
        self.latencies += latencies
        self.costs.append(cpu / len(latencies) * 1000)

    @property
    def rate(self) -> float:
        """Return the median of the rounds."""
        return median(self.rates)

    def percentile(self, part: float) -> float:
        """Return a latency in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000


@dataclass(frozen=True, slots=True)
class Row:
    """A figure by which imipd is judged."""

    name: str
    values: tuple[float, ...]
    """One for each round."""
    unit: str = "×"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        """Return the median."""
        return median(self.values)

    @property
    def is_reached(self) -> bool | None:
        """Return whether the target is reached; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


@dataclass
class Book:
    """All of one run."""

    problems: list[str] = field(default_factory=list)
    """What failed: no figure of this run counts."""
    remarks: list[str] = field(default_factory=list)
    """What peers failed to do."""
    figures: dict[tuple[Key, str], Figures] = field(default_factory=dict)
    firsts: dict[Key, float] = field(default_factory=dict)
    """Seconds of the very first job of imipd."""
    rows: list[Row] = field(default_factory=list)

    def of(self, key: Key, contender: str) -> Figures:
        """Return the figures of one contender in one case."""
        return self.figures.setdefault((key, contender), Figures())

    def rates(self, key: Key, contender: str) -> list[float]:
        """Return the rates, none where it was not measured."""
        found = self.figures.get((key, contender))
        return found.rates if found else []

    def ratio(self, over: tuple[Key, str], under: tuple[Key, str]) -> tuple[float, ...]:
        """Return the ratio of two rates, round by round; none where one was not measured."""
        return tuple(a / b for a, b in zip(self.rates(*over), self.rates(*under), strict=False))
