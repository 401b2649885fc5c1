"""The door of the store holds for the fake and for every real server alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

import pytest

from calendars import servers, started
from imipd.store import (
    ConflictError,
    Home,
    NoCalendarError,
    RefusedError,
    Store,
    StoreError,
    UnreachableError,
)
from imipd.store.caldav import CalDavStore
from imipd.store.memory import MemoryStore
from labs import NUMBERS, Real, event, opened
from servers import Server


class Lab(Protocol):
    """A store, and what the user's other clients do behind its back."""

    @property
    def store(self) -> Store: ...

    @property
    def home(self) -> Home: ...

    def add(self, name: str, *components: str) -> str:
        """Make a calendar collection with this display name, for these component types or all; return its href."""

    def put(self, collection: str, name: str, body: bytes) -> None: ...

    def move(self, href: str, to: str) -> None: ...

    def drop(self, href: str) -> None: ...


@dataclass
class Fake:
    """The lab in memory."""

    store: MemoryStore = field(default_factory=MemoryStore)
    home: Home = field(default_factory=lambda: Home("memory:", "alice", "wonderland"))

    def add(self, name: str, *components: str) -> str:
        return self.store.add_collection("alice", name, components=components or ("VEVENT", "VTODO", "VJOURNAL"))

    def put(self, collection: str, name: str, body: bytes) -> None:
        self.store.put(collection, name, body)

    def move(self, href: str, to: str) -> None:
        (stored,) = (one for one in self.store.objects(href[: href.rfind("/") + 1]) if one.href == href)
        self.store.drop(href)
        collection, _, name = to.rpartition("/")
        self.store.put(f"{collection}/", name, stored.body)

    def drop(self, href: str) -> None:
        self.store.drop(href)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """The servers, started when first needed."""
    with started(tmp_path_factory.mktemp) as found:
        yield found


@pytest.fixture(params=servers(fake=True))
def lab(request: pytest.FixtureRequest, running: dict[str, Server]) -> Iterator[Lab]:
    """An account on the fake and on each server."""
    if request.param == "memory":
        fake = Fake()
        fake.add("Calendar")
        yield fake
        return
    with opened(running[request.param]) as real:
        yield real


@pytest.fixture(params=servers())
def real(request: pytest.FixtureRequest, running: dict[str, Server]) -> Iterator[Real]:
    """The same on real servers alone."""
    with opened(running[request.param]) as real:
        yield real


@pytest.fixture
def uid() -> str:
    """A UID that no other test uses."""
    return f"{next(NUMBERS)}-uid@example.org"


def test_an_unknown_uid_is_found_nowhere(lab: Lab, uid: str) -> None:
    """Nothing is an empty tuple, not an error."""
    assert lab.store.find(lab.home, uid) == ()


def test_what_was_created_is_found(lab: Lab, uid: str) -> None:
    """With its href, an ETag and its collection."""
    href = lab.store.create(lab.home, uid, "VEVENT", event(uid)).href
    (stored,) = lab.store.find(lab.home, uid)
    assert unquote(stored.href) == unquote(href)
    assert unquote(stored.href) == f"{stored.collection}{uid}.ics"
    assert stored.etag
    assert b"SUMMARY:Lunch\r\n" in stored.body


def test_an_object_under_any_file_name_is_found(lab: Lab, uid: str) -> None:
    """The UID says which it is (RFC 4791 §4.1), in whichever collection."""
    other = lab.add("Other")
    lab.put(other, "a name with spaces & umläuts.ics", event(uid))
    (stored,) = lab.store.find(lab.home, uid)
    assert stored.collection == other
    lab.store.replace(lab.home, stored, event(uid, "Dinner"))
    assert b"SUMMARY:Dinner" in lab.store.find(lab.home, uid)[0].body


@pytest.mark.parametrize("lab", servers("cyrus", fake=True), indirect=True)
def test_every_copy_is_found(lab: Lab, uid: str) -> None:
    """Two calendars that hold one UID are two finds (rule A7)."""
    for name in ("One", "Two"):
        lab.put(lab.add(name), "x.ics", event(uid))
    assert len(lab.store.find(lab.home, uid)) == 2


@pytest.mark.parametrize("lab", servers("sogo", fake=True), indirect=True)
def test_a_journal_entry_is_found_on_its_own_behalf(lab: Lab, uid: str) -> None:
    """Each type costs a query: what speaks of events and tasks does not ask for journal entries (M9)."""
    href = lab.store.create(lab.home, uid, "VJOURNAL", event(uid, component="VJOURNAL")).href
    assert [unquote(stored.href) for stored in lab.store.find(lab.home, uid, "VJOURNAL")] == [unquote(href)]
    assert lab.store.find(lab.home, uid) == ()


def test_a_task_is_found(lab: Lab, uid: str) -> None:
    """Whatever the component type."""
    lab.store.create(lab.home, uid, "VTODO", event(uid, component="VTODO"))
    assert len(lab.store.find(lab.home, uid)) == 1


def test_a_folded_uid_is_found(lab: Lab) -> None:
    """RFC 5545 §3.1: a fold is no part of the value."""
    uid = f"{next(NUMBERS)}-" + "long" * 30
    folded = event(uid).replace(uid.encode(), f"{uid[:60]}\r\n {uid[60:]}".encode())
    lab.put(lab.add("Other"), "folded.ics", folded)
    assert len(lab.store.find(lab.home, uid)) == 1


def test_a_part_of_a_uid_is_another_uid(lab: Lab) -> None:
    """Xandikos finds substrings, as RFC 4791 §9.7.5 allows; the store does not."""
    other = lab.add("Other")
    for number in range(25):
        lab.put(other, f"{number}.ics", event(f"part-{number}"))
    assert len(lab.store.find(lab.home, "part-1")) == 1
    assert lab.store.find(lab.home, "part-") == ()
    assert lab.store.find(lab.home, "a") == ()


@pytest.mark.parametrize(
    "strange",
    [
        "with space",
        "semi;colon,comma\\backslash",
        "a\"quote'd",
        "<tag>&amp;",
        "slash/../../../etc/passwd",
        "query?x=1#fragment",
        "percent%2f%00",
        "ümläut-日本",
        "..",
        ".",
        ".hidden",
        "tilde~",
        "040000008200E00074C5B7101A82E00800000000",
        "a+b=c:d@example.org",
    ],
)
def test_any_uid_travels(lab: Lab, strange: str) -> None:
    """A UID is chosen by strangers: created, found, refused a second time, replaced and removed."""
    travel(lab, f"{strange}{next(NUMBERS)}" if strange.strip(".") else strange)


@pytest.mark.parametrize("lab", servers("sogo", fake=True), indirect=True)
def test_a_long_uid_travels(lab: Lab) -> None:
    """SOGo 5.8 finds none of more than 255 characters."""
    travel(lab, f"{next(NUMBERS)}" + "L" * 300)


def travel(lab: Lab, uid: str) -> None:
    """Let a UID go the whole way."""
    href = lab.store.create(lab.home, uid, "VEVENT", event(uid)).href
    (stored,) = lab.store.find(lab.home, uid)
    assert unquote(stored.href) == unquote(href)
    with pytest.raises(ConflictError):
        lab.store.create(lab.home, uid, "VEVENT", event(uid))
    lab.store.replace(lab.home, stored, event(uid, "Dinner"))
    (stored,) = lab.store.find(lab.home, uid)
    assert b"SUMMARY:Dinner" in stored.body
    lab.store.remove(lab.home, stored)
    assert lab.store.find(lab.home, uid) == ()


def test_a_change_since_the_find_is_a_conflict(lab: Lab, uid: str) -> None:
    """Nothing is written over what we have not seen (rule S2)."""
    lab.store.create(lab.home, uid, "VEVENT", event(uid))
    (stored,) = lab.store.find(lab.home, uid)
    lab.put(stored.collection, f"{uid}.ics", event(uid, "Theirs"))
    with pytest.raises(ConflictError):
        lab.store.replace(lab.home, stored, event(uid, "Ours"))
    with pytest.raises(ConflictError):
        lab.store.remove(lab.home, stored)
    (stored,) = lab.store.find(lab.home, uid)
    assert b"SUMMARY:Theirs" in stored.body
    lab.store.replace(lab.home, stored, event(uid, "Ours"))
    assert b"SUMMARY:Ours" in lab.store.find(lab.home, uid)[0].body


def test_a_deletion_since_the_find_is_a_conflict(lab: Lab, uid: str) -> None:
    """And does not come back by our write."""
    lab.store.create(lab.home, uid, "VEVENT", event(uid))
    (stored,) = lab.store.find(lab.home, uid)
    lab.drop(stored.href)
    with pytest.raises(ConflictError):
        lab.store.replace(lab.home, stored, event(uid, "Ours"))
    with pytest.raises(ConflictError):
        lab.store.remove(lab.home, stored)
    assert lab.store.find(lab.home, uid) == ()


def test_a_write_tells_which_version_it_left(lab: Lab, uid: str) -> None:
    """All three of these servers name it, though two of them rewrite the body (RFC 4791 §5.3.4)."""
    written = lab.store.create(lab.home, uid, "VEVENT", event(uid))
    (stored,) = lab.store.find(lab.home, uid)
    assert (unquote(written.href), written.etag) == (unquote(stored.href), stored.etag)
    written = lab.store.replace(lab.home, stored, event(uid, "Dinner"))
    (changed,) = lab.store.find(lab.home, uid)
    assert written.etag == changed.etag != stored.etag


def test_what_was_removed_is_put_back_where_it_was(lab: Lab, uid: str) -> None:
    """Under its name and in its calendar, which need not be those of a new object."""
    lab.put(lab.add("Not the default"), "a name with @ & ä.ics", event(uid))
    (stored,) = lab.store.find(lab.home, uid)
    lab.store.remove(lab.home, stored)
    written = lab.store.restore(lab.home, stored.href, stored.body)
    (again,) = lab.store.find(lab.home, uid)
    assert (again.href, again.collection, again.etag) == (stored.href, stored.collection, written.etag)
    with pytest.raises(ConflictError):
        lab.store.restore(lab.home, stored.href, stored.body)


def test_nothing_is_put_back_into_a_calendar_that_is_not_the_accounts(lab: Lab, uid: str) -> None:
    """Such as one that was deleted or handed to somebody else meanwhile."""
    lab.add("Mine")
    with pytest.raises(NoCalendarError):
        lab.store.restore(lab.home, f"/elsewhere/work/{uid}.ics", event(uid))


def test_what_its_owner_moves_to_another_calendar_is_found_there(lab: Lab, uid: str) -> None:
    """Under our eyes, too: it does not come back where it was."""
    lab.store.create(lab.home, uid, "VEVENT", event(uid))
    (stored,) = lab.store.find(lab.home, uid)
    other = lab.add("Elsewhere")
    lab.move(stored.href, f"{other}moved.ics")
    with pytest.raises(ConflictError):
        lab.store.replace(lab.home, stored, event(uid, "Ours"))
    (moved,) = lab.store.find(lab.home, uid)
    assert moved.collection == other
    lab.store.replace(lab.home, moved, event(uid, "Ours"))
    assert b"SUMMARY:Ours" in lab.store.find(lab.home, uid)[0].body


@pytest.mark.parametrize("lab", servers("sogo", fake=True), indirect=True)
def test_a_calendar_for_tasks_alone_takes_no_event(lab: Lab) -> None:
    """Also where it is the configured one (rule S1). SOGo makes no such calendar: all take both."""
    tasks = lab.add("Tasks", "VTODO")
    home = replace(lab.home, calendar="Tasks")
    assert lab.store.destination(home, "VTODO") == tasks
    assert lab.store.destination(home, "VEVENT") != tasks
    for component in ("VEVENT", "VTODO"):
        uid = f"{next(NUMBERS)}@example.org"
        lab.store.create(home, uid, component, event(uid, component=component))
        assert (lab.store.find(lab.home, uid)[0].collection == tasks) == (component == "VTODO")


@pytest.mark.e2e
@pytest.mark.parametrize("real", ["davical"], indirect=True)
def test_one_login_serves_whom_the_url_names(real: Real, uid: str) -> None:
    """DAViCal's administrator, with the principal of alice in the URL: her calendar, and not his."""
    url = real.server.origin + real.server.principal.format(user="alice")
    home = Home(url, "admin", "unused", calendar=real.made[0])
    written = real.store.create(home, uid, "VEVENT", event(uid))
    assert written.href.startswith(real.made[0])
    assert len(real.store.find(home, uid)) == 1


def test_a_uid_under_another_name_is_a_conflict(lab: Lab, uid: str) -> None:
    """RFC 4791 §5.3.2.1 no-uid-conflict: Radicale says it with 409, Xandikos with 412."""
    other = lab.add("Other")
    lab.put(other, "another.ics", event(uid))
    with pytest.raises(ConflictError):
        lab.store.create(replace(lab.home, calendar=other), uid, "VEVENT", event(uid))


def test_a_new_object_goes_to_the_configured_calendar(lab: Lab) -> None:
    """Named by display name, path or URL (rule S1)."""
    other = lab.add("Other one")
    url = f"{lab.server.origin}{other}" if isinstance(lab, Real) else other
    for calendar in ("Other one", other, url):
        uid = f"{next(NUMBERS)}@example.org"
        lab.store.create(replace(lab.home, calendar=calendar), uid, "VEVENT", event(uid))
        assert lab.store.find(lab.home, uid)[0].collection == quote(unquote(other))


def test_a_configured_calendar_that_is_not_there_is_named(lab: Lab, uid: str) -> None:
    """The operator reads what to write instead."""
    with pytest.raises(NoCalendarError, match="Nowhere"):
        lab.store.create(replace(lab.home, calendar="Nowhere"), uid, "VEVENT", event(uid))
    with pytest.raises(NoCalendarError, match="Nowhere"):
        lab.store.destination(replace(lab.home, calendar="Nowhere"), "VEVENT")


def test_where_a_new_object_goes_can_be_asked_before(lab: Lab, uid: str) -> None:
    """`imipd check` tells it; what create answers lies below it (rule S1)."""
    other = lab.add("Yet another")
    home = replace(lab.home, calendar="Yet another")
    assert unquote(lab.store.destination(home, "VEVENT")) == unquote(other)
    written = lab.store.create(home, uid, "VEVENT", event(uid))
    assert written.href.startswith(lab.store.destination(home, "VEVENT"))


@pytest.mark.e2e
@pytest.mark.parametrize("lab", ["cyrus"], indirect=True)
def test_cyrus_holds_a_uid_once(lab: Lab, uid: str) -> None:
    """In all calendars of a user: there is no copy to be found."""
    lab.put(lab.add("One"), "x.ics", event(uid))
    with pytest.raises(AssertionError, match="403"):
        lab.put(lab.add("Two"), "x.ics", event(uid))


@pytest.mark.parametrize("lab", servers("davical", "sogo", fake=True), indirect=True)
def test_one_of_many_writers_wins(lab: Lab, uid: str) -> None:
    """All others hear a conflict, or of a locked collection (Xandikos: 423)."""
    (winner,) = written_at_once(lab, uid)
    assert winner.encode() in lab.store.find(lab.home, uid)[0].body


@pytest.mark.e2e
@pytest.mark.parametrize("lab", ["davical", "sogo"], indirect=True)
def test_the_last_of_many_writers_wins(lab: Lab, uid: str) -> None:
    """They look at the ETag first and write then: of two at the same moment both may succeed."""
    winners = written_at_once(lab, uid)
    body = lab.store.find(lab.home, uid)[0].body
    assert any(winner.encode() in body for winner in winners)


def written_at_once(lab: Lab, uid: str) -> list[str]:
    """Let eight threads replace one version; return what those wrote who were told that they succeeded."""
    lab.store.create(lab.home, uid, "VEVENT", event(uid))
    (stored,) = lab.store.find(lab.home, uid)

    def write(number: int) -> str | StoreError:
        try:
            lab.store.replace(lab.home, stored, event(uid, f"Writer {number}"))
        except (ConflictError, UnreachableError) as error:
            return error
        return f"SUMMARY:Writer {number}"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(write, range(8)))
    return [result for result in results if isinstance(result, str)]


def test_threads_find_their_own(lab: Lab) -> None:
    """One store serves a pool of threads; no answer goes to the wrong one."""
    other = lab.add("Other")
    names = [f"thread-{number}-{next(NUMBERS)}" for number in range(12)]
    for name in names:
        lab.put(other, f"{name}.ics", event(name, name))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda name: lab.store.find(lab.home, name), names * 2))
    assert [len(stored) for stored in found] == [1] * 24
    assert all(f"SUMMARY:{name}".encode() in stored.body for name, (stored,) in zip(names * 2, found, strict=True))


def test_a_calendar_made_after_discovery_is_looked_at(lab: Lab, uid: str) -> None:
    """A new calendar's first answer is no stranger."""
    assert lab.store.find(lab.home, uid) == ()
    lab.put(lab.add("New"), "new.ics", event(uid))
    assert len(lab.store.find(lab.home, uid)) == 1


def test_a_calendar_deleted_after_discovery_stops_nothing(lab: Lab, uid: str) -> None:
    """Discovered anew, what is left is found."""
    if isinstance(lab, Fake):
        pytest.skip("the fake remembers nothing")
    gone = lab.add("Gone")
    lab.store.create(lab.home, uid, "VEVENT", event(uid))
    assert len(lab.store.find(lab.home, uid)) == 1
    lab.drop(gone)
    assert len(lab.store.find(lab.home, uid)) == 1


def test_what_others_share_is_not_ours() -> None:
    """A shared calendar may hold somebody else's copy of the UID (rule A7)."""
    fake = Fake()
    shared = fake.store.add_collection("bob", "Shared", shared_with=("alice",))
    fake.store.add_collection("alice", "Read-only", writable=False)
    stored = fake.store.put(shared, "x.ics", event("shared"))
    with pytest.raises(NoCalendarError):
        fake.store.find(fake.home, "shared")
    fake.add("Calendar")
    assert fake.store.find(fake.home, "shared") == ()
    with pytest.raises(RefusedError):
        fake.store.remove(fake.home, stored)


def test_the_fake_fails_on_demand() -> None:
    """So that others can test what they do then."""
    fake = Fake()
    fake.add("Calendar")
    fake.store.failures.append(UnreachableError("no connection"))
    with pytest.raises(UnreachableError):
        fake.store.find(fake.home, "x")
    assert fake.store.find(fake.home, "x") == ()


@pytest.mark.parametrize("below", ["root", "principal", "home", "calendar"])
def test_discovery_starts_anywhere(real: Real, uid: str, below: str) -> None:
    """At the root, a principal, a home set or a calendar: always all calendars of the account."""
    real.put(real.add("Other"), "x.ics", event(uid))
    starts = {
        "root": urlsplit(real.server.url).path,
        "principal": real.server.principal.format(user="alice"),
        "home": real.server.home.format(user="alice"),
        "calendar": real.made[0],
    }
    assert len(real.store.find(replace(real.home, url=real.server.origin + starts[below]), uid)) == 1


@pytest.mark.parametrize("real", servers("radicale", "xandikos"), indirect=True)
@pytest.mark.parametrize("below", ["principal", "home"])
def test_the_url_of_somebody_else_is_never_the_calendar_of_who_logs_in(real: Real, below: str) -> None:
    """Alice may not look into bob's calendars: what is meant for him must not land in hers."""
    path = getattr(real.server, below).format(user="bob")
    with pytest.raises(RefusedError):
        real.store.destination(replace(real.home, url=real.server.origin + path), "VEVENT")


@pytest.mark.parametrize("real", servers("sogo"), indirect=True)
@pytest.mark.parametrize("start", ["/", "/.well-known/caldav"])
def test_discovery_starts_at_the_host(real: Real, uid: str, start: str) -> None:
    """RFC 6764 §5; SOGo leaves the well-known URI to the web server in front of it."""
    real.put(real.add("Other"), "x.ics", event(uid))
    assert len(real.store.find(replace(real.home, url=real.server.origin + start), uid)) == 1


def test_no_address_is_made_of_a_path(real: Real) -> None:
    """A path in calendar-user-address-set is none (Radicale: its only value; Xandikos without EMAIL has nothing)."""
    assert real.store.addresses(real.home) == real.server.addresses


def test_an_account_without_calendars_is_told_so(running: dict[str, Server], uid: str) -> None:
    """Radicale makes the principal at login, but no calendar."""
    home = Home(running["radicale"].url, "bob", "builder")
    with pytest.raises(NoCalendarError, match="no calendar"):
        CalDavStore().find(home, uid)


def test_a_wrong_password_is_refused_and_not_told(running: dict[str, Server], uid: str) -> None:
    """401; the text names the URL and what happened, never a secret."""
    home = Home(running["radicale"].url, "alice", "not-wonderland")
    with pytest.raises(RefusedError, match="401") as caught:
        CalDavStore().find(home, uid)
    assert "not-wonderland" not in str(caught.value) + repr(caught.value.__cause__) + repr(home)
