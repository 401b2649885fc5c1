"""Connections to calendar servers: used again, never for too long, and each exchange ends in time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from faults import CALENDAR, ICALENDAR, OBJECT, UID, Liar, Says, liar
from imipd.store import ConflictError, Home, Stored, StoreError, UnreachableError, transport
from imipd.store.caldav import CalDavStore

STORED = Stored(OBJECT, '"1"', CALENDAR, ICALENDAR)


@pytest.fixture
def server() -> Iterator[Liar]:
    with liar() as script:
        yield script


@pytest.fixture
def store() -> Iterator[CalDavStore]:
    store = CalDavStore()
    yield store
    store.close()


@pytest.fixture
def home(server: Liar) -> Home:
    return Home(server.url, "alice", "wonderland", timeout=1.0)


def test_one_connection_serves_many_requests(server: Liar, store: CalDavStore, home: Home) -> None:
    """Also those of other accounts, after refusals, and after answers without a body."""
    server.answers["PUT", OBJECT] = Says(204)
    for name in ("alice", "bob"):
        account = Home(server.url, name, "wonderland")
        (stored,) = store.find(account, UID)
        store.replace(account, stored, ICALENDAR)
        with pytest.raises(ConflictError):
            store.replace(account, Stored("/nowhere/x.ics", '"1"', "/nowhere/", b""), ICALENDAR)
    assert len(server.asked) > 10
    assert server.connections == 1


def test_an_answer_that_is_too_large_is_not_read(
    server: Liar, store: CalDavStore, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LARGEST", 1000)
    server.answers["GET", OBJECT] = Says(200, b" " * 5000 + ICALENDAR, (("ETag", '"1"'),))
    with pytest.raises(UnreachableError, match="larger than 1000 bytes"):
        store.find(home, UID)


WRITES: list[Callable[[CalDavStore, Home, Stored], object]] = [
    lambda store, home, stored: store.replace(home, stored, ICALENDAR),
    lambda store, home, stored: store.remove(home, stored),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_version_cannot_smuggle_a_header_in(
    server: Liar, store: CalDavStore, home: Home, write: Callable[[CalDavStore, Home, Stored], object]
) -> None:
    """An ETag goes back as it came, and a folded one would end its line."""
    server.answers["GET", OBJECT] = Says(200, ICALENDAR, (("ETag", '"1"\r\n X-Evil: 1'),))
    (stored,) = store.find(home, UID)
    with suppress(StoreError):
        write(store, home, stored)
    assert not any("X-Evil" in asked.headers for asked in server.asked)


def test_many_who_need_a_discovery_share_one(server: Liar, store: CalDavStore, home: Home) -> None:
    """When what was remembered is too old under load, the server is not asked by everybody."""
    store.addresses(home)
    once = server.times("PROPFIND")
    store._homes.forget(home)
    here = server.answers["PROPFIND", "/"]
    assert isinstance(here, Says)
    # Slow enough that all would ask.
    server.answers["PROPFIND", "/"] = lambda _asked: (server.over.wait(0.2), here)[1]
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: store.addresses(home), range(8))) == {("alice@example.org",)}
    assert server.times("PROPFIND") == 2 * once
