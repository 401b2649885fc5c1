"""Which figures imipd is judged by, and what they have to be."""

from collections.abc import Iterator

from .book import NAMES, Book, Key, Row
from .cases import OWN
from .plan import FEW, PEOPLE, Plan

FLOOR = {
    ("radicale", 1): 0.8,
    ("cyrus", 1): 0.7,
    ("cyrus", 4): 0.85,
    ("sogo", 1): 0.7,
    ("sogo", 4): 0.85,
}
"""Of the rate of a bare client, at the middle size: by server and connections."""
LISTENER = {100: 1.2, 1000: 2.0, 10_000: 20.0}
"""Times the rate of Xandikos' own listener, by the number of events."""
PLAIN, GROWTH, ACCOUNTS = 1.0, 0.9, 1.5
CPU = 5.0
"""Milliseconds of imipd's for one answer."""


def rows(plan: Plan, book: Book) -> list[Row]:
    """Return what can be read off the rates; what was not measured has no row."""
    found = [*_plain(book), *_floor(plan, book), *_growth(plan, book), *_listener(plan, book)]
    found += [
        *_accounts(book),
        *_others(book),
        *_workers(book),
        *_unknown(book),
        *_cpu(plan, book),
        *_first(plan, book),
    ]
    return [row for row in found if row.values]


def _plain(book: Book) -> Iterator[Row]:
    for key, contender in list(book.figures):
        if contender == "aiosmtpd":
            target = PLAIN if key.work == "plain mail" else None
            yield _against(book, key, "aiosmtpd", target, f"{key.work}, {_on(key.connections)}")


def _floor(plan: Plan, book: Book) -> Iterator[Row]:
    for server in plan.servers:
        for size in plan.sizes[server]:
            for number in plan.connections:
                target = FLOOR.get((server, number)) if size == plan.middle else None
                yield _against(book, Key("replies", server, size, number), "floor", target)


def _growth(plan: Plan, book: Book) -> Iterator[Row]:
    """Yield how the rate falls with the size, divided by how that of the floor falls."""
    for server in plan.servers:
        small, large = (Key("replies", server, size) for size in (plan.sizes[server][0], plan.sizes[server][-1]))
        ours = book.ratio((large, "imipd"), (small, "imipd"))
        floor = book.ratio((large, "floor"), (small, "floor"))
        if large != small:
            yield Row(
                f"replies on {NAMES[server]}, {large.events:,} events against {small.events:,}, by that of the floor",
                tuple(a / b for a, b in zip(ours, floor, strict=True)),
                at_least=GROWTH if large.events == 10_000 else None,
            )


def _listener(plan: Plan, book: Book) -> Iterator[Row]:
    for server in plan.servers:
        for size in plan.sizes[server]:
            target = LISTENER.get(size) if server == "xandikos" else None
            for number in plan.connections:
                yield _against(book, Key("replies", server, size, number), OWN, target if number == 1 else None)


def _accounts(book: Book) -> Iterator[Row]:
    one, four = (Key("replies", "cyrus", FEW, number, "four accounts") for number in (1, len(PEOPLE)))
    values = book.ratio((four, "imipd"), (one, "imipd"))
    yield Row("replies to different accounts on Cyrus, 4 connections against 1", values, at_least=ACCOUNTS)
    floor = book.ratio((four, "floor"), (one, "floor"))
    yield Row("the same of the floor", floor)


def _others(book: Book) -> Iterator[Row]:
    """Yield what has no target: accounts of another shape, and other methods against answers."""
    for key, contender in list(book.figures):
        if contender == "imipd" and key.shape in ("other names", "three calendars"):
            yield _against(book, key, "floor")
        if contender == "imipd" and key.work in ("updates", "cancels"):
            replies = Key("replies", key.server, key.events)
            yield Row(f"{key}, against replies", book.ratio((key, "imipd"), (replies, "imipd")))


def _workers(book: Book) -> Iterator[Row]:
    for key, contender in list(book.figures):
        if contender == "workers = 2":
            yield Row(f"{key}: 2 against 1", book.ratio((key, "workers = 2"), (key, "workers = 1")))


def _unknown(book: Book) -> Iterator[Row]:
    for (key, _), figures in book.figures.items():
        if key.work == "unknown UIDs":
            number = len(figures.latencies)
            name = f"{number} messages with unknown UIDs on {NAMES[key.server]}, {key.events:,} events, each"
            yield Row(name, tuple(1000 / rate for rate in figures.rates), "ms")


def _cpu(plan: Plan, book: Book) -> Iterator[Row]:
    for server in plan.servers:
        found = book.figures.get((Key("replies", server, plan.middle), "imipd"))
        values = tuple(found.costs) if found else ()
        yield Row(f"CPU of imipd for one REPLY on {NAMES[server]}, {plan.middle:,} events", values, "ms", at_most=CPU)


def _first(plan: Plan, book: Book) -> Iterator[Row]:
    """Yield what the first answer takes, before imipd knows anything of the account."""
    for server in plan.servers:
        key = Key("replies", server, plan.sizes[server][-1])
        values = (book.firsts[key] * 1000,) if key in book.firsts else ()
        yield Row(f"the very first of the {key}", values, "ms")


def _against(book: Book, key: Key, contender: str, target: float | None = None, name: str = "") -> Row:
    against = "the floor" if contender == "floor" else f"its {OWN}" if contender == OWN else contender
    return Row(f"{name or key}, against {against}", book.ratio((key, "imipd"), (key, contender)), at_least=target)


def _on(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"
