"""Whatever goes wrong while the index is used or made, an event that exists is found, or the mail comes again."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

import pytest

from faults import CALENDAR, HOME, Answered, Asked, Liar, Reset, Says, calendar, liar, multistatus, response
from imipd.index import Change, Known, MemoryIndex, Versions
from imipd.ledger import LedgerError
from imipd.store import Home, RefusedError, UnreachableError
from imipd.store.caldav import CalDavStore

INVALID = Says(403, b'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>')
CUT_OFF = f"<D:response><D:href>{CALENDAR}</D:href><D:status>HTTP/1.1 507 There is more</D:status></D:response>"
GONE = "<D:response><D:href>{}</D:href><D:status>HTTP/1.1 404 Gone</D:status></D:response>"


def event(uid: str) -> bytes:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode()


@dataclass
class Held:
    """A calendar on the server, and all that has become of it: its state is how often it has changed."""

    server: Liar
    history: list[tuple[str, str | None]] = field(default_factory=list)
    """Names and the UIDs that they have held since; None: deleted."""
    faults: dict[str, Callable[[Asked], Answered | None]] = field(default_factory=dict)
    """By question, as in `asked`; None: no fault this time."""
    asked: list[str] = field(default_factory=list)
    """`list`, `etags`, `sync-collection`, `calendar-multiget`, `calendar-query`, `GET`."""
    page: int = 1000
    """How many changes one answer to sync-collection tells."""

    def __post_init__(self) -> None:
        self.server.answers["PROPFIND", HOME] = lambda asked: self._answered("list", asked)
        self.server.answers["PROPFIND", CALENDAR] = lambda asked: self._answered("etags", asked)
        self.server.answers["REPORT", CALENDAR] = lambda asked: self._answered(
            re.findall(rb"(sync-collection|calendar-multiget|calendar-query)", asked.body)[0].decode(), asked
        )

    def put(self, name: str, uid: str) -> None:
        self.history.append((name, uid))
        self.server.answers["GET", CALENDAR + name] = lambda asked: self._answered("GET", asked)

    def drop(self, name: str) -> None:
        self.history.append((name, None))

    @property
    def objects(self) -> dict[str, tuple[str, str]]:
        """UID and ETag by name."""
        numbered = {name: (uid, f'"{number}"') for number, (name, uid) in enumerate(self.history)}
        return {name: (uid, etag) for name, (uid, etag) in numbered.items() if uid is not None}

    def _answered(self, question: str, asked: Asked) -> Answered:
        self.asked.append(question)
        fault = self.faults[question](asked) if question in self.faults else None
        answers: Mapping[str, Callable[[bytes], Answered]] = {
            "list": lambda _body: multistatus(calendar(CALENDAR, self._state())),
            "etags": self._etags,
            "sync-collection": self._synchronized,
            "calendar-multiget": self._contents,
            "calendar-query": self._query,
            "GET": lambda _body: self._got(asked.path.removeprefix(CALENDAR)),
        }
        return fault or answers[question](asked.body)

    def _state(self) -> str:
        return f"<D:sync-token>t{len(self.history)}</D:sync-token><CS:getctag>c{len(self.history)}</CS:getctag>"

    def _etags(self, _body: bytes) -> Answered:
        return multistatus(calendar(CALENDAR, self._state()), *self._some(self.objects))

    def _synchronized(self, body: bytes) -> Answered:
        since = int((re.findall(rb"<d:sync-token>t(\d+)<", body) or [b"0"])[0])
        until = min(since + self.page, len(self.history))
        names = dict.fromkeys(name for name, _ in self.history[since:until])
        told = [GONE.format(CALENDAR + name) for name in names if name not in self.objects] if since else []
        more = [CUT_OFF] if until < len(self.history) else []
        token = f"<D:sync-token>t{until}</D:sync-token>"
        return multistatus(*self._some([name for name in names if name in self.objects]), *told, *more, token)

    def _contents(self, body: bytes) -> Answered:
        names = re.findall(rf"<d:href>{CALENDAR}([^<]+)<", body.decode())
        return multistatus(*self._some(names, "<C:calendar-data>{}</C:calendar-data>"))

    def _query(self, body: bytes) -> Answered:
        wanted = re.findall(r"text-match[^>]*>([^<]*)<", body.decode())[0]
        return multistatus(*self._some([name for name, (uid, _) in self.objects.items() if wanted in uid]))

    def _some(self, names: Sequence[str] | Mapping[str, object], data: str = "") -> list[str]:
        held = [(name, *self.objects[name]) for name in names if name in self.objects]
        return [
            response(CALENDAR + name, f"<D:getetag>{etag}</D:getetag>{data.format(escape(event(uid).decode()))}")
            for name, uid, etag in held
        ]

    def _got(self, name: str) -> Answered:
        uid, etag = self.objects.get(name, ("", ""))
        return Says(200, event(uid), (("ETag", etag),)) if etag else Says(404)


@pytest.fixture
def held() -> Iterator[Held]:
    """A calendar of three events, none of them named after its UID."""
    with liar() as server:
        held = Held(server)
        for name in ("a", "b", "c"):
            held.put(f"{name}.ics", f"uid-{name}")
        yield held


@pytest.fixture
def home(held: Held) -> Home:
    return Home(held.server.url, "alice", "wonderland", timeout=1.5)


@pytest.fixture
def store() -> Iterator[CalDavStore]:
    store = CalDavStore(index=MemoryIndex())
    yield store
    store.close()


def names(store: CalDavStore, home: Home, uid: str) -> list[str]:
    return [stored.href.removeprefix(CALENDAR) for stored in store.find(home, uid)]


def test_without_faults_no_query_is_sent(held: Held, store: CalDavStore, home: Home) -> None:
    """The stage for everything below."""
    assert names(store, home, "uid-b") == ["b.ics"]
    assert held.asked == ["list", "list", "sync-collection", "calendar-multiget", "GET"]
    held.asked.clear()
    assert names(store, home, "uid-d") == []
    assert held.asked == ["list"]
    held.put("d.ics", "uid-d")
    held.drop("b.ics")
    held.asked.clear()
    assert names(store, home, "uid-d") == ["d.ics"]
    assert held.asked == ["list", "sync-collection", "calendar-multiget", "GET"]
    assert names(store, home, "uid-b") == []


FAULTS: dict[str, Answered] = {
    "reset": Reset(),
    "400": Says(400),
    "403": Says(403),
    "404": Says(404),
    "500": Says(500),
    "507": Says(507),
    "no multistatus": Says(207, b"<html/>"),
    "cut": Says(207, multistatus().body, cut=20),
    "nothing": Says(207, b""),
    "empty": multistatus(),
    "elsewhere": multistatus(response("http://evil.example/x.ics"), "<D:sync-token>t9</D:sync-token>"),
    "another object's fault": multistatus(GONE.format(CALENDAR + "x.ics").replace("404", "500")),
}


@pytest.mark.parametrize("question", ["sync-collection", "calendar-multiget"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_known", [False, True])
def test_where_the_index_cannot_be_made_a_query_is_sent(
    held: Held, store: CalDavStore, home: Home, question: str, fault: str, is_known: bool
) -> None:
    """What cannot be told apart from nothing is nothing to rely on; when the fault is over all is well."""
    if is_known:
        assert names(store, home, "uid-b") == ["b.ics"]
    held.put("d.ics", "uid-d")
    held.asked.clear()
    held.faults[question] = lambda _asked: FAULTS[fault]
    assert names(store, home, "uid-d") == ["d.ics"]
    assert names(store, home, "uid-a") == ["a.ics"]
    assert names(store, home, "uid-e") == []
    assert "calendar-query" in held.asked
    held.faults.clear()
    assert names(store, home, "uid-d") == ["d.ics"]
    held.asked.clear()
    assert names(store, home, "uid-e") == []
    assert "calendar-query" not in held.asked


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda body: body.replace(b"END:VCALENDAR", b""),
        lambda body: body.replace(b'"3"', b'"7"').replace(b"UID:uid-d", b"UID:uid-z"),
        lambda body: re.sub(rb"<C:calendar-data>.*</C:calendar-data>", b"", body, flags=re.DOTALL),
        lambda body: body.replace(b"d.ics", b"x.ics"),
    ],
    ids=["cut", "of another version", "without the event", "of another object"],
)
def test_what_is_read_must_be_what_was_asked_for(
    held: Held, store: CalDavStore, home: Home, spoilt: Callable[[bytes], bytes]
) -> None:
    """Else its UID would be missing in an index that says to be complete."""
    assert names(store, home, "uid-b") == ["b.ics"]
    held.put("d.ics", "uid-d")

    def spoil(asked: Asked) -> Answered:
        good = held._contents(asked.body)
        assert isinstance(good, Says)
        return replace(good, body=spoilt(good.body))

    held.faults["calendar-multiget"] = spoil
    assert names(store, home, "uid-d") == ["d.ics"]
    held.faults.clear()
    assert names(store, home, "uid-d") == ["d.ics"]


LISTING: dict[str, tuple[Answered, type[Exception]]] = {
    "reset": (Reset(), UnreachableError),
    "cut": (Says(207, multistatus(calendar(CALENDAR)).body, cut=80), UnreachableError),
    "500": (Says(500), UnreachableError),
    "html": (Says(200, b"<html/>"), UnreachableError),
    "401": (Says(401), RefusedError),
    "404": (Says(404), RefusedError),
    "no calendar": (multistatus(), RefusedError),
}


@pytest.mark.parametrize("fault", LISTING)
def test_a_listing_that_fails_is_no_answer(held: Held, store: CalDavStore, home: Home, fault: str) -> None:
    """Never "unknown": what the index says counts for a state, and nobody says which it is."""
    assert names(store, home, "uid-d") == []
    answer, meaning = LISTING[fault]
    held.faults["list"] = lambda _asked: answer
    with pytest.raises(meaning):
        store.find(home, "uid-d")
    held.faults.clear()
    assert names(store, home, "uid-d") == []


@pytest.mark.parametrize("gone_from", ["sync-collection", "calendar-multiget", "GET"])
def test_a_server_that_goes_away_in_between_has_not_answered(
    held: Held, store: CalDavStore, home: Home, gone_from: str
) -> None:
    """From some question on it answers nothing any more."""
    assert names(store, home, "uid-d") == []
    held.put("d.ics", "uid-d")
    later = ("list", "sync-collection", "calendar-multiget", "calendar-query", "GET")
    for question in later[later.index(gone_from) :]:
        held.faults[question] = lambda _asked: Says(503)
    with pytest.raises(UnreachableError):
        store.find(home, "uid-d")
    held.faults.clear()
    assert names(store, home, "uid-d") == ["d.ics"]


def test_a_state_that_the_server_has_forgotten_costs_a_whole_list(held: Held, store: CalDavStore, home: Home) -> None:
    """RFC 6578 §3.2, valid-sync-token. What is known already is not read again, what is gone goes."""
    assert names(store, home, "uid-b") == ["b.ics"]
    held.put("d.ics", "uid-d")
    held.drop("a.ics")
    held.faults["sync-collection"] = lambda asked: INVALID if b"<d:sync-token>t3<" in asked.body else None
    held.asked.clear()
    assert names(store, home, "uid-d") == ["d.ics"]
    assert held.asked == ["list", "sync-collection", "sync-collection", "calendar-multiget", "GET"]
    assert held.server.asked[-2].body.count(b"href>") == 2
    held.asked.clear()
    assert names(store, home, "uid-a") == []
    assert names(store, home, "uid-b") == ["b.ics"]
    assert held.asked == ["list", "GET"]


def test_an_answer_that_is_cut_goes_on(held: Held, store: CalDavStore, home: Home) -> None:
    """RFC 6578 §3.6: 507 for the collection, and a token for the rest."""
    held.page = 2
    for number in range(5):
        held.put(f"{number}.ics", f"uid-{number}")
    assert names(store, home, "uid-4") == ["4.ics"]
    assert held.asked.count("sync-collection") == 4
    held.put("late.ics", "uid-late")
    held.drop("0.ics")
    held.drop("1.ics")
    assert names(store, home, "uid-late") == ["late.ics"]
    assert names(store, home, "uid-1") == []
    assert "calendar-query" not in held.asked


def test_a_server_that_never_ends_is_left(held: Held, store: CalDavStore, home: Home) -> None:
    """It says each time that there is more: then a query is sent."""
    held.page = 0
    assert names(store, home, "uid-b") == ["b.ics"]
    assert held.asked.count("sync-collection") < 5


def test_what_the_index_names_and_is_not_there_is_looked_for_again(held: Held, store: CalDavStore, home: Home) -> None:
    """Moved between the listing and the GET: the second look finds it, and what always moves the query."""
    assert names(store, home, "uid-b") == ["b.ics"]
    moves = iter(range(100))

    def move(asked: Asked) -> Answered | None:
        number = next(moves)
        if number < 2:
            held.drop(asked.path.removeprefix(CALENDAR))
            held.put(f"moved{number}.ics", "uid-b")
        return None

    held.faults["GET"] = move
    assert names(store, home, "uid-b") == ["moved1.ics"]
    assert "calendar-query" not in held.asked
    again = iter(range(100))
    held.faults["list"] = lambda _asked: held.put("b.ics", f"uid-{next(again)}") or held.drop("b.ics")  # type: ignore[func-returns-value]
    assert names(store, home, "uid-b") == ["moved1.ics"]


def test_another_uid_where_the_index_named_one_is_no_find(held: Held, store: CalDavStore, home: Home) -> None:
    """Nor is it "unknown" before all was asked again; a server may have changed nothing but what it holds."""
    assert names(store, home, "uid-b") == ["b.ics"]
    lies = iter([Says(200, event("uid-other"), (("ETag", '"9"'),))])
    held.faults["GET"] = lambda _asked: next(lies, None)
    held.asked.clear()
    assert names(store, home, "uid-b") == ["b.ics"]
    assert held.asked == ["GET", "list", "GET"]


def test_a_server_that_tells_no_state_is_queried(held: Held, store: CalDavStore, home: Home) -> None:
    """Nothing of the index is used."""
    held.faults["list"] = lambda _asked: multistatus(calendar(CALENDAR))
    assert names(store, home, "uid-b") == ["b.ics"]
    assert names(store, home, "uid-d") == []
    assert not {"sync-collection", "calendar-multiget"} & set(held.asked)


@pytest.mark.parametrize(
    ("lookup", "asked"),
    [
        ("sync", {"list", "sync-collection", "calendar-multiget", "GET"}),
        ("ctag", {"list", "etags", "calendar-multiget", "GET"}),
        ("query", {"list", "calendar-query", "GET"}),
    ],
)
def test_the_operator_chooses_the_way(held: Held, store: CalDavStore, home: Home, lookup: str, asked: set[str]) -> None:
    """`caldav.lookup`; each way finds the same."""
    home = replace(home, lookup=lookup)
    for _ in range(2):
        assert names(store, home, "uid-b") == ["b.ics"]
        assert names(store, home, "uid-d") == []
    held.put("d.ics", "uid-d")
    held.drop("b.ics")
    assert names(store, home, "uid-d") == ["d.ics"]
    assert names(store, home, "uid-b") == []
    assert set(held.asked) == asked
    states = {name for name in (b"sync-token", b"getctag") for each in held.server.asked if name in each.body}
    assert states == {"sync": {b"sync-token"}, "ctag": {b"getctag"}, "query": set()}[lookup]


def test_a_name_that_is_too_long_to_keep_is_queried(held: Held, store: CalDavStore, home: Home) -> None:
    """And nothing is kept of that calendar."""
    held.put("x" * 1000 + ".ics", "uid-x")
    assert names(store, home, "uid-x") == ["x" * 1000 + ".ics"]
    assert names(store, home, "uid-d") == []
    assert held.asked.count("calendar-query") >= 2


def test_misses_at_one_moment_share_a_listing(held: Held, store: CalDavStore, home: Home) -> None:
    """One that began after each of them had come; a flood of strangers is not a flood of requests."""
    assert names(store, home, "uid-b") == ["b.ics"]
    held.asked.clear()
    begun, guesses = threading.Event(), threading.Semaphore(0)

    def wait(_asked: Asked) -> None:
        if not begun.is_set():
            begun.set()
            for _ in range(8):
                assert guesses.acquire(timeout=30)

    held.faults["list"] = wait
    for number in range(8):
        held.server.answers["GET", f"{CALENDAR}unknown-{number}.ics"] = lambda _asked: guesses.release() or Says(404)  # type: ignore[func-returns-value]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: names(store, home, f"unknown-{number}"), range(8)))
    assert found == [[]] * 8
    assert held.asked in (["list"], ["list", "list"])


class OvertakenIndex(MemoryIndex):
    """Between two questions to it another node brings it up to date."""

    meanwhile: Callable[[], object] | None = None

    def versions(self, collection: str) -> Versions:
        happens, self.meanwhile = self.meanwhile, None
        if happens:
            happens()
        return super().versions(collection)


def test_what_another_node_reads_meanwhile_is_not_missed(held: Held, home: Home) -> None:
    """It has read what this one finds unchanged, and did not know before."""
    index, home = OvertakenIndex(), replace(home, lookup="ctag")
    store, other = CalDavStore(index=index), CalDavStore(index=index)
    assert names(store, home, "uid-d") == []
    held.put("d.ics", "uid-d")
    index.meanwhile = lambda: other.find(home, "unknown")
    assert names(store, home, "uid-d") == ["d.ics"]
    assert index.meanwhile is None
    store.close()
    other.close()


class FailingIndex(MemoryIndex):
    """The database is away."""

    fails: str = "known"

    def known(self, collections: Sequence[str], uid: str) -> Mapping[str, Known]:
        self._fail("known")
        return super().known(collections, uid)

    def versions(self, collection: str) -> Versions:
        self._fail("versions")
        return super().versions(collection)

    def learn(self, collection: str, change: Change) -> None:
        self._fail("learn")
        super().learn(collection, change)

    def _fail(self, name: str) -> None:
        if name == self.fails:
            raise LedgerError("away")


@pytest.mark.parametrize("fails", ["known", "versions", "learn"])
def test_a_ledger_that_fails_defers_the_mail(held: Held, home: Home, fails: str) -> None:
    """As everywhere: what is decided could not be written down either."""
    index = FailingIndex()
    index.fails = fails
    store = CalDavStore(index=index)
    with pytest.raises(LedgerError):
        store.find(home, "uid-b")
    assert "calendar-query" not in held.asked
    store.close()
