"""Measuring side by side: the contenders of all cases by turns, round after round, each run checked.

A slow moment of the machine then hits everybody, and a ratio is taken within one round. No figure without its check:
every answer 250, every event as the last job wanted it, the ledger saying what was meant.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .book import Book, Key
from .daemon import Imipd, now
from .floor import unchanged
from .jobs import Job, keep, sent
from .load import Client, drive
from .progress import said

Make = Callable[[int, int], list[list[Job]]]
"""Returns rows of jobs: for so many connections, so many each."""
FIRST = 0.3
"""Seconds of the run that only fills caches."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes the jobs."""

    name: str
    connect: Callable[[], Client]
    imipd: Imipd | None = None
    """The daemon, where it is ours."""
    writes: bool = True
    """Whether it writes into calendars."""


@dataclass(frozen=True, slots=True)
class Case:
    """The same work for every contender."""

    key: Key
    make: Make
    contenders: tuple[Contender, ...]
    at_most: int = 5000
    """Jobs of one connection in one run."""


def measure(cases: Sequence[Case], rounds: int, seconds: float, book: Book) -> None:
    """Run every contender of every case in each round.

    The first time, which fills caches, does not count: a mail that has to come again then is remarked upon.
    """
    for case, contender in _all(cases, 0):
        first = Book(remarks=book.remarks)
        run(case, contender, FIRST, first)
        book.remarks += [f"before the first round: {problem}" for problem in first.problems]
        if contender.imipd:
            book.firsts.setdefault(case.key, first.of(case.key, contender.name).latencies[0])
    for number in range(rounds):
        for case, contender in _all(cases, number):
            run(case, contender, seconds, book)
        said(f"round {number + 1} of {rounds}; {'; '.join(_told(cases, book))}")


def run(case: Case, contender: Contender, seconds: float, book: Book) -> None:
    """Let one contender work for some seconds, check what it did, and write that down."""
    rows = case.make(case.key.connections, case.at_most)
    since, imipd = now(), contender.imipd
    before = imipd.cpu() if imipd else 0.0
    done = drive(contender.connect, rows, seconds)
    cpu = imipd.cpu() - before - imipd.idle * done.seconds if imipd else 0.0
    jobs = list(sent(rows, done.numbers))
    if contender.writes:
        keep(jobs)
    undone = unchanged(jobs) if contender.writes else []
    found = [*done.problems[:3], *undone[:3], *(imipd.untold(jobs, since) if imipd else ())]
    _note(f"{case.key}, {contender.name}", found, book.problems if _is_ours(contender) else book.remarks)
    book.of(case.key, contender.name).add(done.rate, done.latencies, cpu)


def _is_ours(contender: Contender) -> bool:
    """Return whether a failure is one of the measurement: what a peer fails to do is a remark on the peer."""
    return contender.imipd is not None or contender.name == "floor"


def _note(what: str, found: Sequence[str], where: list[str]) -> None:
    for problem in found:
        said(f"{what}: {problem}")
        where.append(f"{what}: {problem}")


def _all(cases: Sequence[Case], number: int) -> Iterator[tuple[Case, Contender]]:
    """Yield every contender, in each round another one first."""
    for case in cases:
        shift = number % len(case.contenders)
        for contender in case.contenders[shift:] + case.contenders[:shift]:
            yield case, contender


def _told(cases: Sequence[Case], book: Book) -> Iterator[str]:
    for case in cases:
        rates = [f"{one.name} {book.of(case.key, one.name).rates[-1]:.1f}" for one in case.contenders]
        yield f"{case.key}: {', '.join(rates)}"
