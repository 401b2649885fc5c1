"""A calendar server that is busy is waited for a little, and what it turned away is sent again as it was."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from correspondence import ALICE, BOB, meeting, reply
from faults import CALENDAR, ICALENDAR, OBJECT, UID, Answered, Asked, Liar, Says, liar
from imipd import config
from imipd.accounts.configured import Directory
from imipd.cli import assembly
from imipd.envelope import DONE, Envelope
from imipd.ledger.memory import MemoryLedger
from imipd.store import Home, Stored, UnreachableError
from imipd.store.caldav import CalDavStore
from imipd.store.transport import Session
from imipd.store.turns import Waiting
from servers import xandikos

STORED = Stored(OBJECT, '"1"', CALENDAR, ICALENDAR)
CHANGED = ICALENDAR.replace(b"Lunch", b"Dinner")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[Liar]:
    with liar() as script:
        yield script


@pytest.fixture
def store(clock: Clock) -> Iterator[CalDavStore]:
    store = CalDavStore(waiting=Waiting(seconds=5.0, now=lambda: clock.time, sleep=clock.sleep))
    yield store
    store.close()


@pytest.fixture
def home(server: Liar) -> Home:
    return Home(server.url, "alice", "wonderland")


def after(seconds: int | str) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(seconds)),)


CALLS: dict[str, tuple[tuple[str, str], Callable[[CalDavStore, Home], object]]] = {
    "find": (("GET", OBJECT), lambda store, home: store.find(home, UID)),
    "replace": (("PUT", OBJECT), lambda store, home: store.replace(home, STORED, CHANGED)),
    "create": (("PUT", OBJECT), lambda store, home: store.create(home, UID, "VEVENT", CHANGED)),
    "remove": (("DELETE", OBJECT), lambda store, home: store.remove(home, STORED)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("busy", [Says(423), Says(423, headers=after(1)), Says(429, headers=after(1))])
def test_a_busy_server_is_asked_again(server: Liar, store: CalDavStore, home: Home, call: str, busy: Says) -> None:
    """With the same condition and the same body."""
    key, carry_out = CALLS[call]
    turns = itertools.chain([busy, busy], itertools.repeat(server.answers[key]))
    server.answers[key] = lambda asked: _of(next(turns), asked)
    carry_out(store, home)
    asked = [(each.headers, each.body) for each in server.asked if (each.method, each.path) == key]
    assert len(asked) == 3
    assert asked[0] == asked[1] == asked[2]


def _of(answer: Answered | Callable[[Asked], Answered], asked: Asked) -> Answered:
    return answer(asked) if callable(answer) else answer


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("busy", [Says(423), Says(423, headers=after(2)), Says(503, headers=after(2))])
def test_a_server_that_stays_busy_is_given_up(
    server: Liar, store: CalDavStore, home: Home, clock: Clock, call: str, busy: Says
) -> None:
    """After five seconds, in which it was asked again."""
    key, carry_out = CALLS[call]
    server.answers[key] = busy
    store.addresses(home)
    with pytest.raises(UnreachableError, match=str(busy.status)):
        carry_out(store, home)
    assert len(clock.slept) >= 2
    # A lookup asks where the object most likely is, and then where it is said to be.
    assert 2.0 < sum(clock.slept) <= 5.0 * (2 if call == "find" else 1)


@pytest.mark.parametrize(
    "busy",
    [
        *(Says(423, headers=after(3600)), Says(429), Says(503), Says(503, headers=after(3600)), Says(500)),
        *(Says(503, headers=after("Fri, 31 Dec 2027 23:59:59 GMT")), Says(503, headers=after("9" * 400))),
    ],
)
def test_who_wants_more_time_than_there_is_or_names_none_is_given_up_at_once(
    server: Liar, store: CalDavStore, home: Home, clock: Clock, busy: Says
) -> None:
    """The MTA has the mail, and more patience."""
    server.answers["PUT", OBJECT] = busy
    with pytest.raises(UnreachableError):
        store.replace(home, STORED, CHANGED)
    assert server.times("PUT") == 1
    assert clock.slept == []


def test_where_one_write_is_taken_at_a_time_our_own_take_turns(server: Liar, store: CalDavStore, home: Home) -> None:
    """From the first 423 on."""
    inside, together = Counter[str](), list[int]()
    answers = iter([Says(423)])

    def one_by_one(asked: Asked) -> Says:
        inside[asked.method] += 1
        together.append(inside[asked.method])
        time.sleep(0.01)  # so that others would come meanwhile
        inside[asked.method] -= 1
        return next(answers, Says(204))

    server.answers["PUT", OBJECT] = one_by_one
    store.replace(home, STORED, CHANGED)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store.replace(home, STORED, CHANGED), range(24)))
    assert together == [1] * 26


class Counting(Session):
    """Connections that note each request and its answer."""

    def __init__(self) -> None:
        super().__init__(20)
        self.lock = threading.Lock()
        self.said = Counter[tuple[str, int]]()

    def send(self, request: Any, **kwargs: Any) -> Any:
        answer = super().send(request, **kwargs)
        with self.lock:
            self.said[request.method, answer.status_code or 0] += 1
        return answer


def test_sixteen_at_once_answer_into_one_calendar_of_xandikos(tmp_path: Path) -> None:
    """All are taken at the first attempt; each costs a PUT, and a few are turned away before they take turns."""
    (tmp_path / "server").mkdir()
    names = [f"lunch-{number}@example.org" for number in range(40)]
    with xandikos(tmp_path / "server") as server, closing(CalDavStore()) as store:
        store._homes._sessions[None] = counting = Counting()
        home = Home(server.url, "alice", "any")
        for name in names:
            store.create(home, name, "VEVENT", meeting(uid=name))
        counting.said.clear()
        file = tmp_path / "imipd.toml"
        file.write_text(
            f'[lmtp]\nlisten = "127.0.0.1:0"\n[policy]\nchanges_per_hour = 0\n[[account]]\naddresses = ["{ALICE}"]\n'
            f'user = "alice"\nurl = "{server.url}"\npassword = "any"\n'
        )
        settings = config.load(file, {})
        house = assembly.furnished(settings, Directory(settings, {}), store, MemoryLedger())
        mails = [Envelope(BOB, (ALICE,), reply(BOB, "ACCEPTED", uid=name)) for name in names]
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(house.deliver, mails))
        assert {status.code for (status,) in answers} == {DONE.code}
        assert all(b"PARTSTAT=ACCEPTED" in store.find(home, name)[0].body for name in names)
    assert counting.said["PUT", 204] == len(names)
    assert counting.said["PUT", 423] < len(names)
