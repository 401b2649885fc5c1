"""What the ledger costs a message: statements, transactions and connections are counted, never timed."""

import re
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from imipd.ledger import LedgerError
from imipd.ledger.database import open_database
from imipd.ledger.schema import bring_up_to_date
from imipd.ledger.sql import SqlLedger, open_ledger
from ledgers import ENTRY, NOON


def test_what_is_asked_before_every_write_is_answered_from_indexes(tmp_path: Path) -> None:
    """However many entries one account has: in a flood, too."""
    database = open_database(f"sqlite:///{tmp_path}/ledger.db")
    bring_up_to_date(database)
    ledger, asked = SqlLedger(database, 30), list[tuple[str, Any]]()
    event.listen(database.engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    ledger.standing("d1", "alice", "bob@example.net", NOON)
    questions = [said for said in asked if said[0].startswith("SELECT")]
    with database.reading() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", said).all() for text, said in questions]
    used = [re.findall(r"USING (?:COVERING )?INDEX (\w+)", str(plan)) for plan in plans]
    assert used == [["entry_applied"], ["sqlite_autoindex_entry_1", "entry_uid"]]
    assert "SCAN" not in str(plans)
    database.engine.dispose()


def test_a_message_costs_two_transactions_and_few_statements(tmp_path: Path) -> None:
    """What only reads begins none, and what was intended is not written a second time."""
    database = open_database(f"sqlite:///{tmp_path}/ledger.db")
    bring_up_to_date(database)
    ledger, said = SqlLedger(database, 30), list[str]()
    event.listen(database.engine, "before_cursor_execute", lambda *of: said.append(" ".join(of[2].split()[:3])))
    event.listen(database.engine, "commit", lambda _: said.append("COMMIT"))
    ledger.recall(ENTRY.account, ENTRY.uid)
    ledger.standing(ENTRY.digest, ENTRY.account, ENTRY.originator, NOON)
    ledger.find(ENTRY.digest, ENTRY.recipient)
    assert [text.split()[0] for text in said] == ["SELECT"] * 4
    said.clear()
    ledger.intend(ENTRY)
    ledger.complete(replace(ENTRY, tombstones=()), as_intended=True)
    intended = ["BEGIN IMMEDIATE", "INSERT INTO entry", "COMMIT"]
    remembered = ["INSERT INTO revision", "DELETE FROM postponed", "COMMIT"]
    assert said == [*intended, "BEGIN IMMEDIATE", "UPDATE entry SET", *remembered]
    database.engine.dispose()


def test_every_thread_keeps_its_connection(tmp_path: Path) -> None:
    """However many there are: opening one costs more than all that a message asks."""
    database = open_database(f"sqlite:///{tmp_path}/ledger.db")
    opened = list[object]()
    event.listen(database.engine, "connect", lambda *of: opened.append(of[0]))
    for _ in range(2):
        with ExitStack() as held:
            for _ in range(20):
                held.enter_context(database.reading()).exec_driver_sql("SELECT 1")
    assert len(opened) == 20
    database.engine.dispose()


def test_threads_that_write_wait_for_each_other_and_not_for_sqlite(tmp_path: Path) -> None:
    """It would let them sleep and ask again; here who waits begins when the one before is done."""
    database, begun = open_database(f"sqlite:///{tmp_path}/ledger.db"), list[str]()
    bring_up_to_date(database)
    ledger = SqlLedger(database, 30)
    event.listen(database.engine, "before_cursor_execute", lambda *of: begun.append(of[2]))
    with ThreadPoolExecutor(1) as pool:
        with database.writing():
            begun.clear()
            waiting = pool.submit(ledger.intend, ENTRY)
            assert wait((waiting,), timeout=0.2).not_done
            assert begun == []
        waiting.result()
    assert begun[0] == "BEGIN IMMEDIATE"
    database.engine.dispose()


def test_a_thread_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after an error can be written again."""
    monkeypatch.setattr("imipd.ledger.database.BUSY_SECONDS", 0.1)
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert isinstance(ledger, SqlLedger)
    with ThreadPoolExecutor(1) as pool, ledger._database.writing():
        error = pool.submit(ledger.intend, ENTRY).exception()
    assert isinstance(error, LedgerError)
    assert str(error) == (
        f"ledger {tmp_path}/ledger.db: database is locked."
        " Another process kept it locked for 15 s: is a backup reading it?"
    )
    ledger.intend(ENTRY)
    ledger.close()
