"""Several workers, and everybody answers at once: nothing is lost, nothing done twice, nobody hears a 5xx."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import niquests
import pytest

from calendars import started
from correspondence import meeting
from daemons import Daemon, free_place, serving
from imipd import itip
from imipd.store import Home
from imipd.store.caldav import CalDavStore
from servers import Server
from test_workers import children, deciders

from .test_storm import CONFIG, sqlite_of, under_way
from .weather import Letter, Queue, answers

pytestmark = pytest.mark.e2e

UID = "lunch@example.org"
PEOPLE = tuple(f"p{number}@example.net" for number in range(6))
WORKERS = 3
TEXT = f"{CONFIG.replace('1s', '60s')}[serve]\nworkers = {WORKERS}\n"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with started(tmp_path_factory.mktemp) as running:
        yield running


def home(server: Server) -> Home:
    return Home(server.url, "alice", server.users["alice"] or "none")


def arranged(server: Server, uid: str) -> None:
    """Let alice have a meeting with all the people."""
    if server.makes_no_calendar:
        url = f"{server.origin}{server.home.format(user='alice')}work/"
        niquests.request("MKCALENDAR", url, auth=("alice", "wonderland"), timeout=20)
    lines = [f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{address}" for address in PEOPLE]
    with closing(CalDavStore()) as store:
        store.create(home(server), uid, "VEVENT", meeting(*lines, uid=uid))


def said(server: Server, uid: str) -> dict[str, str]:
    """Return what stands there of each of them."""
    with closing(CalDavStore()) as store:
        (found,) = store.find(home(server), uid)
    return {party.address: party.partstat for party in itip.read(found.body).attendees if party.address in PEOPLE}


def last(letters: Sequence[Letter]) -> dict[str, str]:
    """Return what each has answered last."""
    in_order = sorted(letters, key=lambda letter: int(letter.message_id[1:].partition("@")[0]))
    return {letter.attendee: letter.partstat for letter in in_order}


def told(daemon: Daemon) -> Counter[str]:
    found = daemon.told()
    assert all(each.completed for each in found)
    assert {each.entry.reason for each in found} <= {"attendee-replied", "stale", "no-change"}
    return Counter(each.entry.message_id for each in found)


@pytest.mark.parametrize("kind", ["radicale", "xandikos", "cyrus", "sogo"])
def test_answers_to_one_event_wait_for_each_other(servers: dict[str, Server], tmp_path: Path, kind: str) -> None:
    """Whichever worker they reach: so nobody meets a conflict, and no mail has to come again."""
    server = servers[kind]
    arranged(server, UID)
    letters = answers([UID], PEOPLE, 6, random.Random(kind))
    text = (TEXT % sqlite_of(tmp_path)).replace("wonderland", server.users["alice"] or "none")
    with serving(tmp_path, server.url, (free_place(),), text=text) as daemon:
        queue = Queue([daemon.place], list(letters))
        queue.run(8)
        assert not queue.refused
        assert queue.tries == dict.fromkeys((letter.message_id for letter in letters), 1)
        assert told(daemon) == queue.tries
        assert len(deciders(daemon)) == WORKERS
    assert said(server, UID) == last(letters)


def test_workers_are_killed_while_they_write(servers: dict[str, Server], tmp_path: Path) -> None:
    """With kill -9, one after the other: what was written is completed, what was not is done by the next."""
    server, uid = servers["radicale"], "dinner@example.org"
    arranged(server, uid)
    letters = answers([uid], PEOPLE, 10, random.Random(5))
    with serving(tmp_path, server.url, (free_place(),), text=TEXT % sqlite_of(tmp_path)) as daemon:
        queue = Queue([daemon.place], list(letters))
        running = threading.Thread(target=queue.run, args=(8,))
        running.start()
        for enough in range(5, 50, 9):
            under_way(queue, running, enough)
            os.kill(children(daemon.process.pid)[0], signal.SIGKILL)
        running.join()
        assert not queue.refused
        assert told(daemon) == {letter.message_id: 1 for letter in letters}
    assert said(server, uid) == last(letters)
