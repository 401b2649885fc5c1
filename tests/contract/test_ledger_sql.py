"""What both databases of the ledger do beyond the door: hostile values, several processes, the tables."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from imipd.ledger import LedgerError, Query, schema
from imipd.ledger.database import open_database
from imipd.ledger.schema import bring_up_to_date
from imipd.ledger.sql import open_ledger
from imipd.ledger.tables import HEAD, METADATA, VERSION_TABLE
from imipd.memory import NOTHING, Revision
from ledgers import BOB, ENTRY, GONE, NOON, SQL_URLS, recalled, url_of

pytest_plugins = ("postgres",)


@pytest.fixture(params=SQL_URLS)
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def test_times_come_back_in_utc(sql_url: str) -> None:
    """A mail's Date keeps its instant and loses its offset; a DTSTAMP without a zone is UTC."""
    tokyo = timezone(timedelta(hours=9))
    odd = Revision("bob@example.net", "", 1, datetime(2026, 3, 10, 12), NOON.astimezone(tokyo))
    ledger = open_ledger(sql_url)
    ledger.complete(replace(ENTRY, time=NOON.astimezone(tokyo), revisions=(odd,), tombstones=()))
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found is not None
    for revision in (*ledger.recall(ENTRY.account, ENTRY.uid).revisions, *found.entry.revisions):
        assert revision.dtstamp == datetime(2026, 3, 10, 12, tzinfo=UTC)
        assert revision.date == NOON
        assert revision.date.utcoffset() == timedelta(0)
    assert found.entry.time.tzinfo is UTC
    ledger.close()


HOSTILE = {
    "NUL": "a\0b",
    "half a character": "a\udc80b",
    "all of Unicode": "ü€😀\n\t'\"--;\\",
    "longer than an index takes": "💥é" * 50_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_from_a_mail_makes_an_entry_unwritable(sql_url: str, text: str) -> None:
    """Else the mail would be deferred until the MTA gives up; and two such texts stay two."""
    ledger = open_ledger(sql_url)
    hostile = replace(
        ENTRY,
        recipient=text,
        account=text,
        message_id=text,
        etag=text,
        originator=text,
        uid=text,
        recurrence_ids=(text,),
        detail=text,
        revisions=(replace(BOB, party=text, recurrence_id=text),),
        tombstones=(replace(GONE, party=text, recurrence_id=text),),
    )
    ledger.postpone("d1", text, NOON, text)
    ledger.intend(hostile)
    ledger.complete(hostile)
    found = ledger.find("d1", text)
    assert found is not None
    assert found.entry.recurrence_ids == (text,)
    assert len(ledger.log(Query(recipient=text, uid=text))) == 1
    assert ledger.standing("", text, text, NOON - timedelta(days=1)).applied == 1
    assert ledger.log(Query(uid=text + "x")) == ()
    memory = ledger.recall(text, text)
    assert (len(memory.revisions), len(memory.tombstones)) == (1, 1)
    # What `find` returned can be completed, and is the same entry.
    ledger.complete(found.entry)
    assert len(ledger.log(Query())) == 1
    assert ledger.recall(text, text) == ledger.recall(found.entry.account, found.entry.uid)
    ledger.close()


@pytest.mark.parametrize(("edge", "hours"), [(datetime.min, 12), (datetime.max, -12)])
def test_no_date_in_a_mail_makes_an_entry_unwritable(sql_url: str, edge: datetime, hours: int) -> None:
    """`Date: Mon, 1 Jan 0001 00:00 +1200` has no UTC that Python knows."""
    date = edge.replace(tzinfo=timezone(timedelta(hours=hours)))
    ledger = open_ledger(sql_url)
    ledger.complete(replace(ENTRY, revisions=(replace(BOB, date=date),)))
    assert len(ledger.recall(ENTRY.account, ENTRY.uid).revisions) == 1
    assert ledger.find(ENTRY.digest, ENTRY.recipient) is not None
    ledger.close()


def test_what_was_completed_is_there_when_opened_again(sql_url: str) -> None:
    ledger = open_ledger(sql_url)
    ledger.complete(ENTRY)
    ledger.close()
    again = open_ledger(sql_url)
    assert recalled(again) == ({BOB}, {GONE})
    again.close()


PROCESS = """
import sys, alembic.command
from dataclasses import replace
from datetime import UTC, datetime
from imipd.ledger import Entry
from imipd.ledger.sql import SqlLedger, open_ledger
from imipd.memory import NOTHING, Revision
name, url = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
ledger = open_ledger(url)
now = datetime(2026, 3, 10, tzinfo=UTC)
parties = [Revision(f"{n}@example.org", "", 0, now, now) for n in range(9)]
for n in range(40):
    entry = Entry(f"{name}-{n}", "r", "a", now, "", "", "REPLY", "u", (), "updated", "attendee-replied",
                  revisions=tuple(parties if n % 2 else reversed(parties)))
    assert ledger.find(entry.digest, entry.recipient) is None
    ledger.intend(entry)
    ledger.complete(entry)
    ledger.postpone("shared", "r", now, name)
ledger.close()
"""


def test_four_processes_may_start_and_write_at_once(sql_url: str) -> None:
    """The first start too, when each of them finds that the tables are missing; none is locked out."""
    processes = [_process(number, sql_url) for number in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 4
    ledger = open_ledger(sql_url)
    assert sum(each.completed for each in ledger.log(Query())) == 160
    assert len(ledger.recall("a", "u").revisions) == 9
    ledger.close()


def _process(number: int, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS, str(number), url]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_of_several_first_starts_one_makes_the_tables(sql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for it, however long it takes, and then have nothing to do."""
    calls = []

    def slow(connection: Connection, name: str) -> None:
        calls.append(name)
        time.sleep(0.3)
        upgrade(connection, name)

    upgrade = schema.upgrade
    monkeypatch.setattr(schema, "upgrade", slow)
    with ThreadPoolExecutor(4) as pool:
        ledgers = list(pool.map(open_ledger, [sql_url] * 4))
    assert len(calls) == 1
    for ledger in ledgers:
        ledger.close()


def test_the_migrations_lead_to_the_tables(sql_url: str) -> None:
    """What a new database gets is what the code reads and writes: tables, columns, types, indexes."""
    database = open_database(sql_url)
    bring_up_to_date(database)
    with database.reading() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == HEAD
    database.engine.dispose()


FIRST_ENTRY = """
INSERT INTO entry (digest, recipient, completed, account, time, message_id, originator, method, uid, recurrence_ids,
                   revisions, tombstones, outcome, reason, detail, href, duration, former)
VALUES ('d1', 'alice@example.org', TRUE, 'alice', '2026-03-10 12:00:00', '', :originator, 'REPLY', 'u', '[]',
        '[]', '[]', 'updated', 'attendee-replied', '', '/x.ics', 0.5, NULL)
"""


def make_first_tables(connection: Connection) -> None:
    """Make the tables that the first version had."""
    config = Config()
    config.set_main_option("script_location", "imipd.ledger:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


@pytest.mark.parametrize(
    ("originator", "kept"), [("bob@example.net", "bob@example.net"), ("ü" * 99999, "ü" * 80 + "…")]
)
def test_entries_of_the_first_tables_are_kept(sql_url: str, originator: str, kept: str) -> None:
    """And what a node that runs the version before still writes can be read."""
    database = open_database(sql_url)
    with database.writing() as connection:
        make_first_tables(connection)
        connection.execute(text(FIRST_ENTRY), {"originator": originator})
    bring_up_to_date(database)
    with database.writing() as connection:
        connection.execute(text(FIRST_ENTRY.replace("'d1'", "'d2'")), {"originator": kept})
    database.engine.dispose()
    ledger = open_ledger(sql_url)
    for digest in ("d1", "d2"):
        found = ledger.find(digest, "alice@example.org")
        assert found is not None
        assert found.entry.originator == kept
        assert (found.entry.written, found.entry.displaced, found.entry.undoes, found.undone) == (
            None,
            NOTHING,
            None,
            False,
        )
    assert ledger.standing("", "alice", kept, datetime(2026, 3, 10, tzinfo=UTC)).applied == 2
    ledger.close()


def test_head_is_the_last_migration() -> None:
    """The constant spares every start the reading of the migrations, so it has to be true."""
    config = Config()
    config.set_main_option("script_location", "imipd.ledger:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_opening_an_up_to_date_ledger_does_not_import_alembic(sql_url: str) -> None:
    """`imipd pipe` opens the ledger for every mail."""
    open_ledger(sql_url).close()
    script = f"from imipd.ledger.sql import open_ledger; open_ledger({sql_url!r}); import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "sqlalchemy" in done.stdout.split()
    assert "alembic" not in done.stdout.split()


@pytest.mark.parametrize(("stamp", "said"), [("9999", "newer imipd"), ("0000", "cannot be brought up to date")])
def test_tables_of_another_imipd_are_left_alone(sql_url: str, stamp: str, said: str) -> None:
    """Written on as if they were ours they might lose what the other version keeps there."""
    database = open_database(sql_url)
    bring_up_to_date(database)
    with database.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :stamp"), {"stamp": stamp})  # noqa: S608
    database.engine.dispose()
    with pytest.raises(LedgerError, match=said):
        open_ledger(sql_url)
