"""What is found is what the calendars hold, whatever others do behind our back, and looking costs few requests.

Two nodes share one index. What is asked of the server is counted, not timed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from calendars import servers, started
from imipd.index import Change, Index, Known, Versions
from imipd.ledger.sql import open_ledger
from imipd.store.caldav import CalDavStore
from imipd.store.transport import Wire
from labs import NUMBERS, Real, event, opened
from servers import Server

pytest_plugins = ("postgres",)
BY_INDEX = servers("davical", "sogo")
"""Servers on which lookups go by the index."""


@dataclass
class Nodes:
    """Two nodes with one ledger, and what the user's other clients do."""

    real: Real
    stores: tuple[CalDavStore, CalDavStore]

    def find(self, uid: str, node: int = 0, component: str = "VEVENT") -> list[str]:
        """Return the hrefs that one node finds, unquoted."""
        return sorted(unquote(one.href) for one in self.stores[node].find(self.real.home, uid, component))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """The servers, started when first needed."""
    with started(tmp_path_factory.mktemp) as found:
        yield found


@pytest.fixture(params=servers())
def nodes(request: pytest.FixtureRequest, running: dict[str, Server], tmp_path: Path) -> Iterator[Nodes]:
    """Two nodes over one SQLite file."""
    with opened(running[request.param]) as real, two_nodes(real, f"sqlite:///{tmp_path}/ledger.db") as made:
        yield made


@contextmanager
def two_nodes(real: Real, url: str) -> Iterator[Nodes]:
    """Open two stores that share the ledger at a URL."""
    with (
        closing(open_ledger(url)) as one,
        closing(open_ledger(url)) as two,
        closing(CalDavStore(index=one.index)) as first,
        closing(CalDavStore(index=two.index)) as second,
    ):
        yield Nodes(real, (first, second))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is asked of calendar servers, by method."""
    counted: Counter[str] = Counter()
    request = Wire.request

    def counting(wire: Wire, method: str, path: str, *rest: object) -> object:
        counted[method] += 1
        return request(wire, method, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Wire, "request", counting)
    return counted


@pytest.fixture
def uid() -> str:
    """A UID that no other test uses."""
    return f"{next(NUMBERS)}-lookup@example.org"


@pytest.mark.parametrize("nodes", BY_INDEX, indirect=True)
def test_a_flood_of_strangers_costs_a_listing_each(nodes: Nodes, uid: str, asked: Counter[str]) -> None:
    """As long as nobody writes, no query and no other look at what the calendars hold."""
    for number in range(30):
        nodes.real.put(nodes.real.made[0], f"held{number}.ics", event(f"{uid}{number}"))
    assert nodes.find(uid) == []
    asked.clear()
    for number in range(40):
        assert nodes.find(f"unknown-{number}") == []
    assert (asked["PROPFIND"], asked["REPORT"]) == (40, 0)
    assert asked["GET"] in (0, 40)  # one for each where there is one calendar: see below
    nodes.find("at the other node", node=1)  # discovers
    asked.clear()
    assert nodes.find("unknown", node=1) == []
    assert (asked["PROPFIND"], asked["REPORT"]) == (1, 0)


@pytest.mark.parametrize("nodes", servers("davical"), indirect=True)
def test_what_bears_its_uid_as_a_name_costs_one_request(nodes: Nodes, uid: str, asked: Counter[str]) -> None:
    """Where there is one calendar, which is the rule; a calendar holds a UID once (RFC 4791 §5.3.2.1)."""
    real = nodes.real
    real.home = replace(real.home, url=real.server.origin + real.made[0])
    store = nodes.stores[0]
    written = store.create(replace(real.home, calendar=real.made[0]), uid, "VEVENT", event(uid))
    places = len(store._homes.account(real.home).principal.collections)
    nodes.find(uid)
    asked.clear()
    assert nodes.find(uid) == [unquote(written.href)]
    assert asked["GET"] == 1
    assert places > 1 or asked.total() == 1


@pytest.mark.parametrize("nodes", BY_INDEX, indirect=True)
def test_what_bears_another_name_costs_no_query(nodes: Nodes, uid: str, asked: Counter[str]) -> None:
    """The index knows where it is, at either node; where there is one calendar that is enough, even if it is old."""
    real = nodes.real
    real.put(real.made[0], "another name.ics", event(uid))
    for node in (0, 1):
        assert len(nodes.find(uid, node)) == 1
    asked.clear()
    for node in (0, 1):
        for number in range(2):
            assert nodes.find(uid, node) == [unquote(f"{real.made[0]}another name.ics")]
            (stored,) = nodes.stores[node].find(real.home, uid)
            nodes.stores[node].replace(real.home, stored, event(uid, f"Dinner {node}{number}"))
    is_alone = len(nodes.stores[0]._homes.account(real.home).principal.collections) == 1
    assert asked["GET"] == 8
    assert not is_alone or asked == {"GET": 8, "PUT": 4}


@pytest.mark.parametrize("nodes", BY_INDEX, indirect=True)
def test_only_what_has_changed_is_read(nodes: Nodes, uid: str, asked: Counter[str]) -> None:
    """After one write by somebody else: what has changed since, and that one object."""
    for number in range(5):
        nodes.real.put(nodes.real.made[0], f"held{number}.ics", event(f"{uid}{number}"))
    assert nodes.find(uid) == []
    nodes.real.put(nodes.real.made[0], "new.ics", event(f"{uid}new"))
    asked.clear()
    assert nodes.find(uid) == []
    assert asked["PROPFIND"] + asked["REPORT"] == 4  # the last of them says that nothing has changed since


def test_what_comes_right_after_a_miss_is_found(nodes: Nodes, uid: str) -> None:
    """Several times within one second, at both nodes: SOGo's sync-token counts seconds."""
    for number in range(6):
        name = f"{uid}{number}"
        assert nodes.find(name, number % 2) == []
        nodes.real.put(nodes.real.made[0], f"x{number}.ics", event(name))
        assert nodes.find(name, number % 2) == [f"{nodes.real.made[0]}x{number}.ics"]


def test_what_others_rename_move_delete_and_write_anew(nodes: Nodes, uid: str) -> None:
    """The index says something else each time."""
    real = nodes.real
    home, other = real.made[0], real.add("Other")
    real.put(home, "one.ics", event(uid))
    assert nodes.find(uid) == [f"{home}one.ics"]
    real.drop(f"{home}one.ics")
    real.put(home, "two.ics", event(uid))
    assert nodes.find(uid) == [f"{home}two.ics"]
    real.move(f"{home}two.ics", f"{other}two.ics")
    (moved,) = nodes.find(uid)
    assert moved.startswith(other)  # SOGo chooses the name
    real.drop(quote(moved))
    assert nodes.find(uid) == []
    real.put(other, "three.ics", event(f"{uid}-2"))
    assert nodes.find(uid) == []
    assert nodes.find(f"{uid}-2") == [f"{other}three.ics"]
    real.drop(f"{other}three.ics")
    real.put(other, "three.ics", event(uid))
    assert nodes.find(uid, node=1) == [f"{other}three.ics"]
    assert nodes.find(f"{uid}-2", node=1) == []


@pytest.mark.parametrize("nodes", servers("sogo"), indirect=True)
def test_a_move_there_and_back_leaves_nothing_behind(nodes: Nodes, uid: str) -> None:
    """A calendar is as it was, and its state may be the same again (Radicale, Xandikos)."""
    real = nodes.real
    home, other = real.made[0], real.add("Other")
    real.put(home, "it.ics", event(uid))
    assert nodes.find(uid) == [f"{home}it.ics"]
    real.move(f"{home}it.ics", f"{other}it.ics")
    assert nodes.find(uid, node=1) == [f"{other}it.ics"]
    real.move(f"{other}it.ics", f"{home}it.ics")
    for node in (0, 1):
        assert nodes.find(uid, node) == [f"{home}it.ics"]


@pytest.mark.parametrize("nodes", servers("cyrus"), indirect=True)
def test_every_copy_is_found(nodes: Nodes, uid: str) -> None:
    """Two calendars that hold one UID are two finds (rule A7), also where one bears the UID as its name."""
    one, two = nodes.real.made[0], nodes.real.add("Two")
    nodes.real.put(one, f"{uid}.ics", event(uid))
    assert nodes.find(uid) == [f"{one}{uid}.ics"]
    nodes.real.put(two, "copy.ics", event(uid))
    for node in (0, 1):
        assert nodes.find(uid, node) == sorted([f"{one}{uid}.ics", f"{two}copy.ics"])
    nodes.real.drop(one + quote(f"{uid}.ics"))
    assert nodes.find(uid) == [f"{two}copy.ics"]


def test_a_calendar_that_came_since_is_looked_at(nodes: Nodes, uid: str) -> None:
    """And one that is gone is forgotten; made anew under its name, it is another."""
    assert nodes.find(uid) == []
    new = nodes.real.add("New")
    nodes.real.put(new, "it.ics", event(uid))
    assert nodes.find(uid) == [f"{new}it.ics"]
    nodes.real.drop(new)
    nodes.real.made.remove(new)
    assert nodes.find(uid) == []


@pytest.mark.parametrize("nodes", servers("sogo"), indirect=True)
def test_a_journal_entry_is_found_on_its_own_behalf(nodes: Nodes, uid: str) -> None:
    """As by a query (M9); the index knows it all the same."""
    nodes.real.put(nodes.real.made[0], "entry.ics", event(uid, component="VJOURNAL"))
    for node in (0, 1):
        assert nodes.find(uid, node) == []
        assert len(nodes.find(uid, node, "VJOURNAL")) == 1


STRANGE = ["semi;colon,comma\\backslash", "<tag>&amp;\"'", "ümläut-日本 with space", "a", "percent%2f", "+=:/?#[]"]


@pytest.mark.parametrize("strange", STRANGE)
def test_any_uid_under_any_name(nodes: Nodes, strange: str) -> None:
    """Also a part of another one; SOGo finds none of more than 255 characters."""
    number = next(NUMBERS)
    strange += str(number)
    nodes.real.put(nodes.real.made[0], f"é{number}.ics", event(strange))
    nodes.real.put(nodes.real.made[0], f"longer{number}.ics", event(f"{strange}x"))
    for node in (0, 1):
        assert len(nodes.find(strange, node)) == 1
        assert nodes.find(strange[:-1], node) == []


class Interrupted:
    """An `Index`; before the first lesson, or the second question, something happens."""

    def __init__(self, index: Index, *, lesson: Callable[[], None] | None = None) -> None:
        self._index = index
        self._lessons = [lesson] if lesson else []
        self.questions: list[Callable[[], None]] = []

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        if self.questions:
            self.questions.pop()()
        return self._index.known(collections, uid)

    def versions(self, collection: str) -> Versions:
        return self._index.versions(collection)

    def learn(self, collection: str, change: Change) -> None:
        if self._lessons:
            self._lessons.pop()()
        self._index.learn(collection, change)


@pytest.mark.parametrize("nodes", BY_INDEX, indirect=True)
def test_what_moves_from_the_last_calendar_to_the_first_is_seen(nodes: Nodes, uid: str, tmp_path: Path) -> None:
    """After the first was in its old state, and before the last is read."""
    real = nodes.real
    home, other = real.made[0], real.add("Other")
    with closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        index = Interrupted(ledger.index)
        with closing(CalDavStore(index=index)) as store:
            assert store.find(real.home, "unknown") == ()
            real.put(other, "it.ics", event(uid))
            index.questions = [lambda: real.move(f"{other}it.ics", f"{home}it.ics"), lambda: None]
            assert [stored.href for stored in store.find(real.home, uid)] == [f"{home}it.ics"]
            assert not index.questions


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
@pytest.mark.parametrize("kind", BY_INDEX)
def test_what_one_node_has_read_does_not_undo_what_another_knows(
    running: dict[str, Server], kind: str, database: str, uid: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Both read the same collection; it changes between, and the slower one has read what is over by now."""
    url = f"sqlite:///{tmp_path}/ledger.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    with opened(running[kind]) as real, two_nodes(real, url) as nodes, closing(open_ledger(url)) as ledger:
        home = real.made[0]
        assert nodes.find(uid) == []
        real.put(home, "one.ics", event(f"{uid}-1"))

        def meanwhile() -> None:
            real.put(home, "two.ics", event(f"{uid}-2"))
            real.drop(f"{home}one.ics")
            assert nodes.find(f"{uid}-2") == [f"{home}two.ics"]

        slow = CalDavStore(index=Interrupted(ledger.index, lesson=meanwhile))
        slow.find(real.home, "unknown")
        slow.close()
        for node in (0, 1):
            assert nodes.find(f"{uid}-2", node) == [f"{home}two.ics"]
            assert nodes.find(f"{uid}-1", node) == []


NAMES, UIDS = ("p.ics", "q.ics", "r s.ics"), ("u1", "u2", "u3")
places = st.tuples(st.integers(0, 1), st.sampled_from(NAMES))
deeds = st.one_of(
    st.tuples(st.just("put"), places, st.sampled_from(UIDS)),
    st.tuples(st.just("drop"), places),
    st.tuples(st.just("move"), places, places),
    st.tuples(st.just("find"), st.integers(0, 1), st.sampled_from(UIDS)),
    st.tuples(st.just("find"), st.integers(0, 1), st.sampled_from(UIDS)),
)


@pytest.mark.parametrize("nodes", BY_INDEX, indirect=True)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=st.lists(deeds, min_size=8, max_size=24))
def test_what_is_found_is_what_is_there(nodes: Nodes, done: list[tuple[object, ...]]) -> None:
    """Whatever another client writes, moves and deletes, and whichever node looks."""
    Run(nodes, done).everything()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("nodes", servers("xandikos", "cyrus", "davical", "sogo"), indirect=True)
@given(done=st.lists(deeds, min_size=8, max_size=24))
def test_what_is_found_in_the_only_calendar_is_what_is_there(nodes: Nodes, done: list[tuple[object, ...]]) -> None:
    """There the index counts as a guess, even where it is old. Radicale makes no calendar of its own."""
    for href in nodes.real.made:
        nodes.real.drop(href)
    nodes.real.made.clear()
    Run(nodes, done, "Alone").everything()


class Run:
    """One run of deeds in new calendars, beside a model of what these hold."""

    def __init__(self, nodes: Nodes, done: list[tuple[object, ...]], *names: str) -> None:
        self._nodes = nodes
        self._done = done
        self._mark = f"-{next(NUMBERS)}@example.org"
        self._calendars = [nodes.real.add(name) for name in names or ("Left", "Right")]
        self._held: dict[tuple[int, str], str] = {}
        self._everywhere = nodes.real.server.principal.startswith("/dav/principals/")

    def everything(self) -> None:
        for name, *how in self._done:
            there = [self._in_calendar(place) if isinstance(place, tuple) else place for place in how]
            getattr(self, f"_{name}")(*there)
        for node in (0, 1):
            for uid in UIDS:
                self._find(node, uid)
        for calendar in self._calendars:
            self._nodes.real.drop(calendar)
            self._nodes.real.made.remove(calendar)

    def _in_calendar(self, place: tuple[int, str]) -> tuple[int, str]:
        """Return a place in a calendar that there is."""
        return place[0] % len(self._calendars), place[1]

    def _put(self, place: tuple[int, str], uid: str) -> None:
        if place not in self._held and self._is_free(place[0], uid):
            self._nodes.real.put(self._calendars[place[0]], place[1], event(uid + self._mark))
            self._held[place] = uid

    def _drop(self, place: tuple[int, str]) -> None:
        if self._held.pop(place, None):
            self._nodes.real.drop(self._href(place))

    def _move(self, place: tuple[int, str], to: tuple[int, str]) -> None:
        uid = self._held.get(place)
        # Xandikos renames nothing.
        if uid and to not in self._held and place[0] != to[0] and self._is_free(to[0], uid, apart_from=place):
            self._nodes.real.move(self._href(place), self._href(to))
            self._held[to] = self._held.pop(place)

    def _find(self, node: int, uid: str) -> None:
        held = sorted(unquote(self._href(place)) for place, one in self._held.items() if one == uid)
        assert self._nodes.find(uid + self._mark, node) == held

    def _href(self, place: tuple[int, str]) -> str:
        return self._calendars[place[0]] + quote(place[1])

    def _is_free(self, calendar: int, uid: str, apart_from: tuple[int, str] | None = None) -> bool:
        """Return whether the server takes this UID there: once in a calendar; Cyrus takes it once for a user."""
        return not any(
            one == uid and place != apart_from and (self._everywhere or place[0] == calendar)
            for place, one in self._held.items()
        )
