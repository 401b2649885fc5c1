"""The bench runs from end to end, in small: every figure that it promises is there, and what fails is found."""

import json
from pathlib import Path

import pytest

from bench import jobs, report
from bench.book import Book, Key, Row
from bench.cases import answers, ours
from bench.course import measured
from bench.daemon import imipd, now
from bench.load import Lmtp
from bench.peers import aiosmtpd
from bench.plan import FULL, TOPICS, USUAL, Plan, narrowed
from bench.profile import read
from bench.rounds import Case, Contender, run
from bench.stands import standing

DOCS = Path(__file__).parents[1] / "docs" / "bench"
SMALL = Plan(
    {"radicale": (10, 20)},
    servers=("radicale",),
    rounds=1,
    seconds=0.1,
    connections=(1, 2),
    plain=(1, 2),
    flood=20,
    large=100_000,
    unknown=3,
    starts=1,
    middle=20,
)
PROMISED = (
    "plain mail, 1 connection, against aiosmtpd",
    "plain mail, 2 connections, against aiosmtpd",
    "1 % replies, 2 connections, against aiosmtpd",
    "replies on Radicale, 10 events, 1 connection, against the floor",
    "replies on Radicale, 20 events, 1 connection, against the floor",
    "replies on Radicale, 20 events, 2 connections, against the floor",
    "replies on Radicale, 20 events against 10, by that of the floor",
    "replies on Radicale, 20 events, other names, 1 connection, against the floor",
    "replies on Radicale, 20 events, three calendars, 1 connection, against the floor",
    "updates on Radicale, 20 events, 1 connection, against replies",
    "cancels on Radicale, 20 events, 1 connection, against replies",
    "3 messages with unknown UIDs on Radicale, 20 events, each",
    "CPU of imipd for one REPLY on Radicale, 20 events",
    "peak memory, 20 mails of 5 KB through 2 connections",
    "peak memory by size, one mail of 0.0954 MiB without a calendar part",
    "peak memory by size, one mail of 0.0954 MiB with a REPLY",
    "imipd pipe, a REPLY, against python3 -c pass",
    "imipd pipe, mail without a calendar part, against python3 -c pass",
    "imipc, against python3 -I -S -c pass",
    "plain mail, serve.workers, 2 connections: 2 against 1",
    "the very first of the replies on Radicale, 20 events, 1 connection",
)


def test_everything_is_measured_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = Book()
    measured(SMALL, book)
    assert report.tell(SMALL, book, tmp_path) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    named = {row["name"]: row for row in found["rows"]}
    assert set(PROMISED) <= set(named)
    assert all(row["median"] > 0 for row in named.values())
    assert found["servers"]["radicale"].startswith("3.")
    printed = capsys.readouterr().out
    assert all(name in printed for name in PROMISED)


def test_no_figure_without_its_check(tmp_path: Path) -> None:
    """Who answers 250 and writes nothing is found out, and the run fails."""
    with standing("radicale", {"a10": 10}, tmp_path) as stand, aiosmtpd() as deaf:
        held = stand.held["a10"]
        case = answers([held], Key("replies", "radicale", 10), [Contender("floor", lambda: Lmtp(deaf))], 1)
        book = Book()
        run(case, case.contenders[0], 0.1, book)
    assert "does not say ACCEPTED" in book.problems[0]
    assert report.tell(SMALL, book, tmp_path) == 1
    assert not (tmp_path / "figures.json").exists()


def test_the_ledger_is_held_against_what_was_meant(tmp_path: Path) -> None:
    with standing("radicale", {"a10": 10}, tmp_path) as stand, imipd(tmp_path / "imipd", stand) as daemon:
        held = stand.held["a10"]
        case = Case(Key("unknown UIDs", "radicale", 10), lambda k, n: jobs.strangers([held], k, n), (ours(daemon),), 1)
        book = Book()
        run(case, case.contenders[0], 5.0, book)
        assert book.problems == []
        told = daemon.untold(jobs.replies([held], 1, 1)[0], now())
        assert told == ["the ledger says nothing, meant was updated: attendee-replied (1 times)"]


def test_the_page_shows_what_was_measured() -> None:
    found = json.loads((DOCS / "figures.json").read_text())
    page = (DOCS / "README.md").read_text()
    assert report.with_tables(page, found) == page


def test_a_row_is_judged_by_its_median() -> None:
    assert Row("more", (1.0, 3.0, 9.0), at_least=3.0).is_reached
    assert Row("less", (1.0, 3.0, 9.0), "ms", at_most=2.0).is_reached is False
    assert Row("shown", (1.0,)).is_reached is None


def test_words_choose_topics_and_servers() -> None:
    plan = narrowed(USUAL, ("plain", "radicale"), ("radicale", "xandikos"))
    assert (plan.topics, plan.servers) == (("plain",), ("radicale",))
    everything = narrowed(FULL, (), ("radicale", "cyrus"))
    assert (everything.topics, everything.servers) == (TOPICS, ("radicale", "cyrus"))
    assert everything.left_out == ("xandikos", "sogo", "davical")


def test_a_profile_is_counted_by_functions_and_rooms() -> None:
    thread = "MainThread;_bootstrap (threading.py:1)"
    deliver = "deliver (/opt/imipd/lib/python3.11/site-packages/imipd/gateway/deliver.py:{line})"
    find = "find (/checkout/src/imipd/store/caldav.py:7)"
    commit = "commit (/opt/imipd/lib/python3.11/site-packages/sqlalchemy/engine.py:9)"
    found = read(
        [
            f"{thread};{deliver.format(line=1)};{find} 6",
            f"{thread};{deliver.format(line=2)};{commit} 3",
            f"{thread};{find} 1",
        ]
    )
    assert found.looks == 10
    assert found.own["imipd/store/caldav.py find"] == 7
    assert found.called["imipd/gateway/deliver.py deliver"] == 9
    assert found.rooms == {"imipd/store": 7, "sqlalchemy": 3}
