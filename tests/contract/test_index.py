"""What every index keeps of collections: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imipd.index import Change, Index, Known, Seen, Unwritten, Versions
from imipd.ledger import Ledger, LedgerError
from imipd.ledger.database import open_database
from imipd.ledger.memory import MemoryLedger
from imipd.ledger.schema import bring_up_to_date
from imipd.ledger.sql import SqlLedger, open_ledger
from ledgers import SQL_URLS, url_of

pytest_plugins = ("postgres",)

WORK, HOME = "alice https://dav.example.org/alice/work/", "alice https://dav.example.org/alice/home/"
HOSTILE = {
    "NUL": "a\0b",
    "half a character": "a\udc80b",
    "all of Unicode": "ü€😀\n\t'\"--;\\%_",
    "longer than an index takes": "💥é" * 50_000,
}


@pytest.fixture(params=["fake", *SQL_URLS])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened: Ledger
    opened = MemoryLedger() if request.param == "fake" else open_ledger(url_of(request.param, request, tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def index(ledger: Ledger) -> Index:
    return ledger.index


def seen(**uids: str) -> dict[str, Seen]:
    """Return objects by path, with their UIDs; the ETag is made of both."""
    return {f"/{path}.ics": Seen(f'"{path} {uid}"', frozenset(filter(None, uid.split()))) for path, uid in uids.items()}


def learn(index: Index, before: str, after: str, *gone: str, **uids: str) -> None:
    index.learn(WORK, Change(before, after, frozenset(f"/{path}.ics" for path in gone), seen(**uids)))


def where(index: Index, uid: str) -> Known:
    return index.known((WORK,), uid).get(WORK, Known())


def test_what_was_never_read_is_not_known(index: Index) -> None:
    assert index.known((WORK, HOME), "u") == {}
    assert index.versions(WORK) == Versions()


def test_what_was_read_is_known_for_the_state_that_it_was_in(index: Index) -> None:
    """A UID that is not there is known not to be there; of another collection nothing is known."""
    learn(index, "", "s1", a="u v", b="w", c="")
    assert where(index, "u") == where(index, "v") == Known("s1", ("/a.ics",))
    assert where(index, "elsewhere") == Known("s1")
    assert index.known((HOME, WORK), "w") == {WORK: Known("s1", ("/b.ics",))}
    assert index.versions(WORK) == Versions("s1", {path: one.etag for path, one in seen(a="u v", b="w", c="").items()})
    assert index.versions(HOME) == Versions()


def test_a_change_takes_the_place_of_what_was(index: Index) -> None:
    """What is gone goes, what has changed is what it is now, the rest stays."""
    learn(index, "", "s1", a="u", b="v", c="w")
    learn(index, "s1", "s2", "b", a="x", d="v")
    assert [where(index, uid).paths for uid in "uvwx"] == [(), ("/d.ics",), ("/c.ics",), ("/a.ics",)]
    assert set(index.versions(WORK).etags) == {"/a.ics", "/c.ics", "/d.ics"}
    learn(index, "s2", "s3")
    assert where(index, "w") == Known("s3", ("/c.ics",))


@pytest.mark.parametrize("before", ["", "s0", "s2"])
def test_a_change_of_another_state_is_left(index: Index, before: str) -> None:
    """Somebody was quicker: what was read against another state does not fit what is known."""
    learn(index, "", "s1", a="u")
    learn(index, before, "s3", "a", b="v")
    assert where(index, "u") == Known("s1", ("/a.ics",))
    assert where(index, "v") == Known("s1")


def test_of_many_at_once_one_is_first(index: Index) -> None:
    """Whole, or not at all."""
    learn(index, "", "s")
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda number: learn(index, "s", f"s{number}", **{f"p{number}": "u", f"q{number}": "u"}), range(8))
        )
    known = where(index, "u")
    number = known.state.removeprefix("s")
    assert sorted(known.paths) == [f"/p{number}.ics", f"/q{number}.ics"]


def test_one_uid_may_be_in_several_places(index: Index) -> None:
    learn(index, "", "s1", a="u", b="u")
    assert sorted(where(index, "u").paths) == ["/a.ics", "/b.ics"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_makes_a_calendar_unwritable(index: Index, text: str) -> None:
    """UIDs, ETags and states are chosen by others; two that differ at their end stay two."""
    held = Seen(text, frozenset({text, text + "x"}))
    index.learn(text, Change("", text, frozenset(), {"/a.ics": held}))
    index.learn(text, Change(index.versions(text).state, "s2", frozenset(), {"/b.ics": Seen("", frozenset({text}))}))
    assert sorted(index.known((text,), text)[text].paths) == ["/a.ics", "/b.ics"]
    assert index.known((text,), text + "x")[text].paths == ("/a.ics",)
    assert index.known((text,), text + "y")[text] == Known("s2")


def test_an_index_that_may_only_be_read_learns_nothing(index: Index) -> None:
    learn(index, "", "s1", a="u")
    reader = Unwritten(index)
    learn(reader, "s1", "s2", "a")
    assert where(reader, "u") == where(index, "u") == Known("s1", ("/a.ics",))
    assert reader.versions(WORK) == index.versions(WORK)


@pytest.mark.parametrize("kind", SQL_URLS)
def test_what_nobody_has_read_for_long_is_forgotten(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With all that was in it; it can be read again."""
    ledger = open_ledger(url_of(kind, request, tmp_path))
    learn(ledger.index, "", "s1", a="u")
    ledger.prune(datetime.now(UTC) + timedelta(days=89))
    assert where(ledger.index, "u") == Known("s1", ("/a.ics",))
    ledger.prune(datetime.now(UTC) + timedelta(days=91))
    assert where(ledger.index, "u") == Known()
    learn(ledger.index, "", "s2")
    assert where(ledger.index, "u") == Known("s2")
    ledger.close()


def test_a_change_is_taken_over_whole_or_not_at_all(tmp_path: Path) -> None:
    """The disk is full in the middle of it: the state must not say that all was read."""
    database = open_database(f"sqlite:///{tmp_path}/ledger.db")
    bring_up_to_date(database)
    index = SqlLedger(database, 30).index
    learn(index, "", "s1", a="u")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 60")
    with pytest.raises(LedgerError, match="full"):
        learn(index, "s1", "s2", "a", **{f"p{number}": f"v{number}" for number in range(5000)})
    assert where(index, "u") == Known("s1", ("/a.ics",))
    database.engine.dispose()
