"""What the ledger says and leaves behind when its database fails."""

import sqlite3
import stat
import threading
import traceback
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from imipd.ledger import LedgerError, Query
from imipd.ledger.database import open_database
from imipd.ledger.schema import bring_up_to_date
from imipd.ledger.sql import SqlLedger, open_ledger
from imipd.memory import NOTHING
from ledgers import ENTRY, GONE

pytest_plugins = ("postgres",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def with_pragma(path: Path, pragma: str) -> SqlLedger:
    """Return a ledger at `path` whose one connection has obeyed `pragma`."""
    database = open_database(f"sqlite:///{path}")
    bring_up_to_date(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql(pragma)
    return SqlLedger(database, 30)


def test_the_file_is_its_owners_alone(path: Path) -> None:
    """It holds who meets whom; so do the two files that SQLite keeps beside it."""
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.intend(ENTRY)
    files = sorted(path.parent.iterdir())
    assert [each.name for each in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    ledger.close()


def test_sqlite_is_set_to_lose_nothing(path: Path) -> None:
    """WAL, and a sync at every commit: before the MTA hears 250 the entry is on the disk."""
    database = open_database(f"sqlite:///{path}")
    with database.reading() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        answers = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert answers == ["wal", 2, 1, 15000]
    database.engine.dispose()


def test_a_full_disk_leaves_nothing_half_written(path: Path) -> None:
    """The entry would fit, what it leaves to remember does not: neither is there."""
    ledger = with_pragma(path, "PRAGMA max_page_count = 40")
    many = tuple(replace(GONE, sequence=number) for number in range(2000))
    ledger.intend(ENTRY)
    ledger.postpone(ENTRY.digest, ENTRY.recipient, ENTRY.time, "503")
    with pytest.raises(LedgerError, match=r"ledger .*ledger\.db: database or disk is full\. Make room") as caught:
        ledger.complete(replace(ENTRY, tombstones=many[:1500]))
    assert ENTRY.uid not in "".join(traceback.format_exception(caught.value))
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found is not None
    assert not found.completed
    assert ledger.recall(ENTRY.account, ENTRY.uid) == NOTHING
    ledger.complete(ENTRY)
    assert ledger.recall(ENTRY.account, ENTRY.uid) != NOTHING
    ledger.close()


def test_a_disk_that_is_full_at_the_first_start_leaves_no_tables(path: Path) -> None:
    """The next start, with room, begins anew."""
    database = open_database(f"sqlite:///{path}")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 5")
    with pytest.raises(LedgerError, match="disk is full"):
        bring_up_to_date(database)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0
    database.engine.dispose()
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.complete(ENTRY)
    ledger.close()


def test_a_file_that_may_not_be_written(path: Path) -> None:
    """Reading goes on."""
    ledger = with_pragma(path, "PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match=r"ledger\.db: attempt to write a readonly database\. Let imipd's user"):
        ledger.intend(ENTRY)
    assert ledger.log(Query()) == ()
    ledger.close()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=rf"the directory {tmp_path}/missing is missing\. Make it"):
        open_ledger(f"sqlite:///{tmp_path}/missing/ledger.db")


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"unable to open database file\. It has to be a file"):
        open_ledger(f"sqlite:///{tmp_path}")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="name too long"):
        open_ledger(f"sqlite:///{tmp_path}/{'x' * 300}")


def test_a_file_of_something_else(path: Path) -> None:
    """It is left as it was."""
    path.write_bytes(b"no database\n" * 1000)
    with pytest.raises(LedgerError, match=r"file is not a database\. Put a backup back"):
        open_ledger(f"sqlite:///{path}")
    assert path.read_bytes() == b"no database\n" * 1000


def test_a_damaged_file(path: Path) -> None:
    """It opens, since its first pages are whole; the call that reads the others says so."""
    ledger = open_ledger(f"sqlite:///{path}")
    for number in range(50):
        ledger.complete(replace(ENTRY, digest=f"d{number}"))
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 8192))
    damaged = open_ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerError, match=r"malformed\. Put a backup back"):
        damaged.log(Query())
    damaged.close()


def test_a_file_that_another_process_keeps_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the wait the mail is deferred; readers do not wait at all."""
    monkeypatch.setattr("imipd.ledger.database.BUSY_SECONDS", 0.1)
    database = open_database(f"sqlite:///{path}")
    bring_up_to_date(database)
    ledger = open_ledger(f"sqlite:///{path}")
    with database.writing():
        with pytest.raises(LedgerError, match=r"database is locked\. Another process"):
            ledger.intend(ENTRY)
        assert ledger.find(ENTRY.digest, ENTRY.recipient) is None
    ledger.intend(ENTRY)
    ledger.close()
    database.engine.dispose()


def test_a_new_file_that_another_process_is_filling(path: Path) -> None:
    """SQLite does not wait by itself before it switches to WAL."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, other.execute, ["COMMIT"])
    timer.start()
    open_ledger(f"sqlite:///{path}").close()
    timer.join()
    other.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.db",
        "mysql://imipd:hunter2@localhost/ledger",
        "postgresql://imipd:hunter2@localhost:hunter2/ledger",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:ledger.db?uri=true",
    ],
)
def test_a_url_that_names_no_ledger(url: str) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.url") as caught:
        open_ledger(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert 'Write "sqlite:////var/lib/imipd/ledger.db" or "postgresql://' in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://imipd:hunter2@127.0.0.1:1/ledger",
        "postgresql://127.0.0.1:1/ledger?user=imipd&password=hunter2",
        "postgresql://imipd:hunter2@127.0.0.1:1/ledger?nonsense=1",
    ],
)
def test_the_password_is_in_no_text(url: str) -> None:
    """Not in what is logged, not in the traceback."""
    with pytest.raises(LedgerError, match=r"ledger postgresql://127\.0\.0\.1:1/ledger: .* Is the server up") as caught:
        open_ledger(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.e2e
def test_a_restarted_server_costs_no_mail(postgres_url: str) -> None:
    """The connections of the pool are all dead, and the next call does not notice."""
    ledger = open_ledger(postgres_url)
    ledger.intend(ENTRY)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'imipd'")
    ledger.complete(ENTRY)
    ledger.close()
