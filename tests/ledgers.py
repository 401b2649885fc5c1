"""What the suites of the ledger share: an entry with everything in it, and where the databases are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imipd.ledger import Entry, Ledger
from imipd.memory import Memory, Revision, Tombstone

NOON = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
BOB = Revision("bob@example.net", "", 1, NOON - DAY, NOON, "dave@example.net")
GONE = Tombstone("bob@example.net", "20260310T100000Z", 2, NOON)
ENTRY = Entry(
    digest="d1",
    recipient="alice@example.org",
    account="alice",
    time=NOON,
    message_id="<1@example.net>",
    originator="bob@example.net",
    method="REPLY",
    uid="abc@example.org",
    recurrence_ids=("20260310T100000Z", ""),
    outcome="updated",
    reason="attendee-replied",
    detail="2.0;Success",
    href="/alice/work/abc.ics",
    duration=0.25,
    revisions=(BOB,),
    tombstones=(GONE,),
    displaced=Memory((replace(BOB, sequence=0),), (replace(GONE, dtstamp=None),)),
    former=b"BEGIN:VCALENDAR\r\n\xff\0END:VCALENDAR\r\n",
    written=b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    etag='"2"',
)

SQL_URLS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)]


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/ledger.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def recalled(ledger: Ledger) -> tuple[set[Revision], set[Tombstone]]:
    memory = ledger.recall(ENTRY.account, ENTRY.uid)
    assert len(memory.revisions) == len(set(memory.revisions))
    return set(memory.revisions), set(memory.tombstones)
