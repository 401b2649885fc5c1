"""The ledger of a pipe: what it writes and reads is what the other writes and reads, to the byte."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import unquote

import pytest

from imipd.ledger import Entry, Ledger, LedgerError, brief, texts
from imipd.ledger.brief import BriefLedger
from imipd.ledger.sql import SqlLedger, open_ledger
from imipd.memory import Memory
from ledger_texts import page
from ledgers import BOB, DAY, ENTRY, GONE, NOON, briefly

TOKYO = timezone(timedelta(hours=9))
HOSTILE = "a\0b\udc80ü€😀\n'\"--;\\"
ENTRIES = [
    ENTRY,
    replace(ENTRY, digest="d2", outcome="no_action", former=None, written=b"", revisions=(), tombstones=()),
    replace(ENTRY, digest="d3", uid=HOSTILE, recipient=HOSTILE, method=HOSTILE, detail=HOSTILE * 1000),
    replace(ENTRY, digest="d4", uid="💥é" * 50_000, originator="x" * 401, message_id="x" * 401),
    replace(ENTRY, digest="d5", time=NOON.astimezone(TOKYO), duration=0.0, recurrence_ids=()),
    replace(ENTRY, digest="d6", revisions=(BOB, replace(BOB, sequence=None, dtstamp=None, date=None, first=None))),
    replace(ENTRY, digest="d7", revisions=(replace(BOB, dtstamp=datetime(2026, 3, 10, 12)),), time=NOON + DAY),
    replace(ENTRY, digest="d8", tombstones=(replace(GONE, dtstamp=datetime(1, 1, 1, tzinfo=TOKYO)),)),
    replace(ENTRY, digest="d9", time=NOON - DAY, revisions=(replace(BOB, sequence=9),)),
]


def dump(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return list(connection.iterdump())


def everything(ledger: Ledger, entry: Entry) -> Iterator[object]:
    yield ledger.find(entry.digest, entry.recipient)
    yield ledger.recall(entry.account, entry.uid)
    yield ledger.is_undone(entry.digest, entry.account)
    yield [ledger.applied(entry.account, entry.originator, entry.time + each) for each in (-DAY, timedelta(), DAY)]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[SqlLedger, BriefLedger]]:
    (tmp_path / "brief").mkdir()
    sql = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert isinstance(sql, SqlLedger)
    ours = briefly(tmp_path / "brief")
    yield sql, ours
    sql.close()
    ours.close()


def test_the_texts_are_those_of_the_statements() -> None:
    """Write them anew: cd tests && ../.venv/bin/python -m ledger_texts > ../src/imipd/ledger/texts.py."""
    assert Path(texts.__file__).read_text() == page()


def test_both_write_and_read_the_same(both: tuple[SqlLedger, BriefLedger], tmp_path: Path) -> None:
    for entry in (*ENTRIES, *ENTRIES[:3]):
        for ledger in both:
            ledger.intend(entry)
        assert dump(tmp_path) == dump(tmp_path / "brief")
        for ledger in both:
            ledger.complete(entry)
        assert dump(tmp_path) == dump(tmp_path / "brief")
        sql, ours = (list(everything(ledger, entry)) for ledger in both)
        assert sql == ours
        assert [type(each) for each in sql] == [type(each) for each in ours]
    assert len(dump(tmp_path)) > len(ENTRIES)


def test_what_is_undone_is_known_to_be(both: tuple[SqlLedger, BriefLedger], tmp_path: Path) -> None:
    undoing = replace(ENTRY, digest="u", displaced=Memory((BOB,), (GONE,)), undoes=1, revisions=(), tombstones=())
    for ledger in both:
        ledger.complete(ENTRY)
        ledger.intend(undoing)
        assert ledger.is_undone(ENTRY.digest, ENTRY.account)
        assert not ledger.is_undone(ENTRY.digest, "somebody else")
    assert dump(tmp_path) == dump(tmp_path / "brief")
    for ledger in both:
        ledger.complete(undoing)
        assert ledger.is_undone(ENTRY.digest, ENTRY.account)
    assert dump(tmp_path) == dump(tmp_path / "brief")


def test_a_message_that_is_postponed_is_no_more_once_it_is_done(both: tuple[SqlLedger, BriefLedger]) -> None:
    for ledger in both:
        assert ledger.postpone(ENTRY.digest, ENTRY.recipient, NOON, "503") == NOON
        assert ledger.postpone(ENTRY.digest, ENTRY.recipient, NOON + DAY, "503") == NOON
        ledger.complete(ENTRY)
        assert ledger.postpone(ENTRY.digest, ENTRY.recipient, NOON + DAY, "503") == NOON + DAY


def test_what_goes_wrong_is_told_alike_and_leaves_nothing(tmp_path: Path) -> None:
    ledger = briefly(tmp_path)
    ledger._connection.execute("PRAGMA max_page_count = 40")
    with pytest.raises(LedgerError, match=r"ledger .*ledger\.db: database or disk is full\. Make room"):
        ledger.complete(replace(ENTRY, tombstones=tuple(replace(GONE, sequence=number) for number in range(2000))))
    assert ledger.find(ENTRY.digest, ENTRY.recipient) is None
    ledger.complete(ENTRY)
    ledger.close()


def test_a_value_that_the_driver_refuses_leaves_nothing_either(tmp_path: Path) -> None:
    """A SEQUENCE of this size is absent long before (G2)."""
    ledger = briefly(tmp_path)
    with pytest.raises(OverflowError):
        ledger.complete(replace(ENTRY, revisions=(replace(BOB, sequence=2**70),)))
    assert ledger.find(ENTRY.digest, ENTRY.recipient) is None
    ledger.complete(ENTRY)
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found is not None
    assert (found.completed, found.undone) == (True, False)
    assert (type(found.completed), type(found.undone)) == (bool, bool)
    ledger.close()


def test_who_writes_takes_his_turn_before_he_looks(tmp_path: Path) -> None:
    ledger, told = briefly(tmp_path), list[str]()
    ledger._connection.set_trace_callback(told.append)
    ledger.intend(ENTRY)
    ledger.complete(ENTRY)
    ledger.recall(ENTRY.account, ENTRY.uid)
    assert [text for text in told if text.startswith(("BEGIN", "COMMIT"))] == [
        *("BEGIN IMMEDIATE", "COMMIT") * 2,
        *("BEGIN", "COMMIT"),
    ]
    ledger.close()


def test_it_waits_for_another_writer_and_then_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imipd.ledger.file.BUSY_SECONDS", 0.1)
    ledger = briefly(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            ledger.intend(ENTRY)
        assert ledger.find(ENTRY.digest, ENTRY.recipient) is None
        other.execute("ROLLBACK")
    ledger.intend(ENTRY)
    ledger.close()


def test_it_loses_nothing(tmp_path: Path) -> None:
    ledger = briefly(tmp_path)
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    assert [ledger._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked] == ["wal", 2, 1, 15000]
    ledger.close()


@pytest.mark.parametrize(("name", "kind"), [("ledger.db", BriefLedger), ("ä b", BriefLedger), ("100%25", SqlLedger)])
def test_where_there_are_no_tables_yet_the_other_makes_them(tmp_path: Path, name: str, kind: type[Ledger]) -> None:
    """A name that a URL may spell in two ways is left to the other for ever."""
    url = f"sqlite:///{tmp_path}/{name}"
    first = brief.open_ledger(url)
    assert isinstance(first, SqlLedger)
    assert stat.S_IMODE((tmp_path / unquote(name)).stat().st_mode) == 0o600
    first.complete(ENTRY)
    first.close()
    again = brief.open_ledger(url)
    assert type(again) is kind
    assert again.find(ENTRY.digest, ENTRY.recipient) == again.numbered(1) is not None
    again.close()


@pytest.mark.parametrize(("stamp", "said"), [("9999", "newer imipd"), ("0000", "cannot be brought up to date")])
def test_tables_of_another_imipd_are_left_to_the_other(tmp_path: Path, stamp: str, said: str) -> None:
    briefly(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE ledger_version SET version_num = ?", (stamp,))
    with pytest.raises(LedgerError, match=said):
        brief.open_ledger(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.parametrize("url", ["sqlite:////missing/ledger.db", "sqlite:///", "sqlite:///:memory:", "mysql://x/y"])
def test_what_cannot_be_opened_is_told_as_by_the_other(url: str) -> None:
    with pytest.raises(LedgerError) as ours:
        brief.open_ledger(url)
    with pytest.raises(LedgerError) as theirs:
        open_ledger(url)
    assert str(ours.value) == str(theirs.value)


def test_a_file_of_something_else_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database\n" * 1000)
    with pytest.raises(LedgerError, match=r"file is not a database\. Put a backup back"):
        brief.open_ledger(f"sqlite:///{tmp_path}/ledger.db")


def test_it_does_not_import_the_other(tmp_path: Path) -> None:
    briefly(tmp_path).close()
    script = f"from imipd.ledger import brief; ledger = brief.open_ledger('sqlite:///{tmp_path}/ledger.db')\n"
    script += "ledger.recall('a', 'b'); import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "imipd.ledger.texts" in done.stdout.split()
    assert "sqlalchemy" not in done.stdout.split()
