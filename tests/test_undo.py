"""What an entry did is taken back: the calendar and what is remembered are as if it had never been (S7).

On the fake, on real Radicale and Xandikos, and on both where the server names no version after a write, as Cyrus.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import niquests
import pytest

from calendars import SERVERS
from calendars import servers as every_server
from correspondence import ALICE, BEGIN, BOB, CAROL, TUESDAYS, UID, WEEKLY, cancel, invited, meeting, reply, request
from desks import ALICES, Desk, unfolded, with_policy
from imipd import itip, scenario
from imipd.accounts import Account
from imipd.envelope import Envelope
from imipd.gateway import Bounds, Doors, Gateway
from imipd.gateway.undo import Hindrance, Undoing, undo, undoing
from imipd.ledger import Ledger, Query
from imipd.ledger.memory import MemoryLedger
from imipd.ledger.sql import open_ledger
from imipd.memory import NOTHING
from imipd.store import Home, RefusedError, Store, Stored, UnreachableError, Written
from imipd.store.caldav import CalDavStore
from imipd.store.memory import MemoryStore, Shelf
from servers import Server

NUMBERS = count()
SECOND = f"RECURRENCE-ID:{TUESDAYS[1]}"
MARK, DELETE = with_policy(cancelled="mark"), with_policy(cancelled="delete")


class Case(NamedTuple):
    """A mail, what is stored before it comes, and what becomes of it."""

    account: Account
    stored: bytes | None
    mail: bytes
    outcome: str


MOVED = ("SEQUENCE:1", "DTSTART:20270202T140000Z", "DTEND:20270202T150000Z")
CASES = {
    "added": Case(MARK, None, request(WEEKLY, "X-ODD:a;b"), "added: invited"),
    "answered": Case(MARK, meeting(WEEKLY, "X-MINE:a;b,c"), reply(BOB, "ACCEPTED"), "updated: attendee-replied"),
    "rescheduled": Case(MARK, invited("X-MINE:a;b"), request(*MOVED), "updated: rescheduled"),
    "one called off": Case(MARK, invited(WEEKLY), cancel(SECOND, "SEQUENCE:1"), "updated: instance-cancelled"),
    "one deleted": Case(DELETE, invited(WEEKLY), cancel(SECOND, "SEQUENCE:1"), "updated: instance-cancelled"),
    "called off": Case(MARK, invited(WEEKLY), cancel("SEQUENCE:1"), "updated: cancelled"),
    "deleted": Case(DELETE, invited(WEEKLY), cancel("SEQUENCE:1"), "updated: cancelled"),
}
SOGOS = re.compile(rb"SEQUENCE:\d+\r\n|;RSVP=TRUE")
"""What SOGo 5.8 changes whenever something is written."""
LOWERED = ("rescheduled", "one called off", "called off")


class Nameless(CalDavStore):
    """A store whose server does not say which version a write left."""

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        return replace(super().replace(home, stored, body), etag="")

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        return replace(super().create(home, uid, component, body), etag="")

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        return replace(super().restore(home, href, body), etag="")


class Inventive(MemoryStore):
    """A store that adds a line to whatever is written, as SOGo does."""

    def _keep(self, shelf: Shelf, href: str, body: bytes) -> Stored:
        number = next(NUMBERS)
        return super()._keep(shelf, href, body.replace(b"SUMMARY:", b"X-ADDED:%d\r\nSUMMARY:" % number))


@dataclass
class Room:
    """A calendar of alice's, a ledger, and a clock that goes on with every question."""

    store: Store
    ledger: Ledger
    home: Home
    put: Callable[[bytes], None]
    """Write unconditionally, as her own client does."""
    account: Account = ALICES
    server: str = "memory"
    time: datetime = BEGIN
    doors: Doors = field(init=False)

    def __post_init__(self) -> None:
        self.doors = Doors(self, self.store, self.ledger, self._now)

    def _now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    def account_of(self, address: str) -> Account | None:
        """Serve alice, as the test's policy has it."""
        return replace(self.account, home=self.home) if address == ALICE else None

    def begin(self, case: Case) -> bytes | None:
        """Store what the case begins with, deliver its mail, and return what was stored before that."""
        self.account = case.account
        if case.stored:
            self.put(case.stored)
        before = self.held()
        self.deliver(case.mail)
        return before.body if before else None  # not what was sent: Radicale loses what follows the , in X-MINE

    def deliver(self, mail: bytes) -> str:
        """Deliver a mail as a node that knows of no other, and return what became of it."""
        (status,) = Gateway(self.doors, Bounds()).deliver(Envelope("", (ALICE,), mail))
        assert status.done
        return status.outcomes[0].partition("; uid")[0]

    def held(self) -> Stored | None:
        """Return the one object with the UID."""
        found = self.store.find(self.home, UID)
        assert len(found) < 2
        return found[0] if found else None

    def drop(self) -> None:
        """Delete the object, as her own client does."""
        held = self.held()
        assert held
        self.store.remove(self.home, held)

    def says(self, body: bytes | None) -> bool:
        """Return whether the calendar says the same as `body`."""
        held = self.held()
        if held is None or body is None:
            return held is None and body is None
        one, other = (SOGOS.sub(b"", each) if self.server == "sogo" else each for each in (held.body, body))
        return itip.same(itip.read(one).calendar, itip.read(other).calendar)

    def outcomes(self) -> list[str]:
        """Return what the entries say, the newest first; in brackets what was taken back or not finished."""
        told = {each.number: f"{each.entry.outcome}: {each.entry.reason}" for each in self.ledger.log(Query())}
        open_ = {each.number for each in self.ledger.log(Query()) if each.undone or not each.completed}
        return [f"({told[number]})" if number in open_ else told[number] for number in sorted(told, reverse=True)]

    def undo(self, nth: int) -> Undoing | Hindrance:
        """Take the nth entry back; numbers of a database have gaps."""
        return undo(self.doors, self.numbers()[nth - 1])

    def numbers(self) -> list[int]:
        """Return the numbers of the entries."""
        return sorted(each.number for each in self.ledger.log(Query()))

    def refused(self, nth: int) -> str:
        """Ask to take the nth entry back; nothing is written, and the reason is returned."""
        held, told = self.held(), self.outcomes()
        found = self.undo(nth)
        assert isinstance(found, Hindrance)
        assert (self.held(), self.outcomes()) == (held, told)
        numbers = {str(number): str(place) for place, number in enumerate(self.numbers(), 1)}
        return re.sub(r"\b\d+\b", lambda match: numbers.get(match[0], match[0]), found.why)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Both servers, each started when it is first needed."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def started(kind: str) -> Server:
            if kind not in running:
                running[kind] = stack.enter_context(SERVERS[kind](tmp_path_factory.mktemp(kind)))
            return running[kind]

        yield started


@pytest.fixture
def room() -> Room:
    """A room on the fakes."""
    return _in_memory(MemoryStore())


@pytest.fixture(params=[*every_server(fake=True), "radicale, nameless", "xandikos, nameless"])
def any_room(request: pytest.FixtureRequest, servers: Callable[[str], Server], tmp_path: Path) -> Iterator[Room]:
    """A room on the fakes, and on each server with a ledger in SQLite."""
    kind, _, nameless = request.param.partition(", ")
    if kind == "memory":
        yield _in_memory(MemoryStore())
        return
    server = servers(kind)
    home = Home(server.url, "alice", server.users["alice"] or "none")
    ask = partial(niquests.request, auth=(home.username, home.password), timeout=10)
    if kind == "radicale":
        ask("MKCALENDAR", f"{server.url}alice/work/")
    with (
        closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger,
        closing(Nameless() if nameless else CalDavStore()) as store,
    ):
        for left in store.find(home, UID):
            store.remove(home, left)
        place = urljoin(server.url, f"{store.destination(home, 'VEVENT')}of-her-own.ics")

        def put(body: bytes) -> None:
            answer = ask("PUT", place, data=body, headers={"Content-Type": "text/calendar"})
            assert answer.status_code in (201, 204), answer.text

        yield Room(store, ledger, home, put, server=kind)


def _in_memory(store: MemoryStore) -> Room:
    calendar = store.add_collection("alice", "Calendar")

    def put(body: bytes) -> None:
        store.put(calendar, "of-her-own.ics", body)

    return Room(store, MemoryLedger(), ALICES.home, put)


@pytest.mark.parametrize("name", CASES)
def test_what_was_done_is_taken_back(any_room: Room, name: str) -> None:
    """And stays so when its mail comes again, until the undo is taken back in turn."""
    room, case = any_room, CASES[name]
    before = room.begin(case)
    changed, remembered = room.held(), room.ledger.recall("alice", UID)
    assert room.outcomes() == [case.outcome]
    assert not room.says(before)

    assert isinstance(undoing(room.doors, room.numbers()[0]), Undoing)
    assert (room.held(), room.outcomes()) == (changed, [case.outcome])

    done = room.undo(1)
    if room.server == "sogo" and name in LOWERED:  # it takes no SEQUENCE below the one that it holds
        assert isinstance(done, Hindrance)
        assert "the calendar server refuses it: PUT" in done.why
        assert room.held() == changed
        assert room.outcomes() == ["error: calendar-refused", case.outcome]
        return
    assert isinstance(done, Undoing)
    assert done.number == room.numbers()[1]
    assert room.says(before)
    assert room.ledger.recall("alice", UID) == NOTHING
    assert room.outcomes() == ["updated: undone", f"({case.outcome})"]
    assert room.deliver(case.mail) == "no_action; reason=undone-here"
    assert room.says(before)
    assert room.refused(1) == "entry 2 has taken it back already"

    assert isinstance(room.undo(2), Undoing)
    assert room.says(changed.body if changed else None)
    assert {*room.ledger.recall("alice", UID).revisions} == {*remembered.revisions}
    assert room.outcomes() == ["updated: undone", "(updated: undone)", case.outcome]
    again = room.deliver(case.mail)
    assert again in ("no_action; reason=no-change", "no_action; reason=deleted-here", "no_action; reason=unknown-uid")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_somebody_has_changed_since_is_left_alone(any_room: Room, case: Case) -> None:
    """A note that alice has made on it; where it was deleted, an event that she has made anew."""
    any_room.begin(case)
    held = any_room.held()
    hers = (held.body if held else invited()).replace(b"SUMMARY:", b"X-NOTE:Bring soup\r\nSUMMARY:")
    if held:
        any_room.store.replace(any_room.home, held, hers)
    else:
        any_room.put(hers)
    found = undoing(any_room.doors, any_room.numbers()[0])
    assert isinstance(found, Hindrance)
    if held is None:
        assert found.why == "somebody has written the object anew since"
    else:
        assert found.why == "somebody has changed the object since"
        assert "+X-NOTE:Bring soup" in scenario.changes(found.left, found.found)
    assert any_room.refused(1) == found.why


def test_an_object_that_somebody_has_deleted_is_not_made_again(any_room: Room) -> None:
    any_room.begin(CASES["answered"])
    any_room.drop()
    assert any_room.refused(1) == "somebody has deleted the object since"


def test_the_later_change_is_to_be_taken_back_first(any_room: Room) -> None:
    """Then the earlier one; what remains is what was there at first, and what was remembered of it."""
    room = any_room
    room.put(meeting())
    before = room.held()
    assert before
    for mail in (reply(BOB, "TENTATIVE"), reply(BOB, "DECLINED", minute=2), reply(CAROL, "ACCEPTED", minute=3)):
        room.deliver(mail)
    assert room.refused(1) == "entries 3, 2 changed it later. Undo them first, in this order"
    assert room.refused(2) == "entry 3 changed it later. Undo that first"
    second, third = (room.ledger.numbered(number) for number in room.numbers()[1:])
    assert second
    assert third
    assert [each.party for each in second.entry.displaced.revisions] == [BOB]
    assert third.entry.displaced == NOTHING
    for number in (3, 2):
        assert isinstance(room.undo(number), Undoing)
    (tentative,) = room.ledger.recall("alice", UID).revisions
    assert (tentative.party, tentative.dtstamp) == (BOB, BEGIN + timedelta(minutes=1))
    held = room.held()
    assert held
    assert b"PARTSTAT=TENTATIVE" in unfolded(held.body)
    assert isinstance(room.undo(1), Undoing)
    assert room.says(before.body)
    assert room.ledger.recall("alice", UID) == NOTHING


def test_a_change_after_an_undo_stands_in_the_way_of_doing_it_again(room: Room) -> None:
    room.begin(CASES["answered"])
    room.undo(1)
    room.deliver(reply(CAROL, "ACCEPTED", minute=2))
    assert room.refused(2) == "entry 3 changed it later. Undo that first"
    room.undo(3)
    assert isinstance(room.undo(2), Undoing)
    assert room.says(room.ledger.numbered(room.numbers()[0]).entry.written)  # type: ignore[union-attr]


def test_an_undo_of_something_earlier_stands_in_the_way_too(room: Room) -> None:
    room.begin(CASES["answered"])
    room.deliver(reply(CAROL, "ACCEPTED", minute=2))
    for number in (2, 1):
        assert isinstance(room.undo(number), Undoing)
    assert room.refused(3) == "entry 4 changed it later. Undo that first"
    for number in (4, 3):
        assert isinstance(room.undo(number), Undoing)
    assert room.outcomes()[-2:] == ["updated: attendee-replied"] * 2


def test_a_tombstone_that_was_there_before_is_there_again(room: Room) -> None:
    """What was called off before it was known, and was deleted when it was known."""
    room.account = DELETE
    room.deliver(cancel("SEQUENCE:1"))
    before = room.ledger.recall("alice", UID)
    room.put(invited("SEQUENCE:1"))
    room.deliver(cancel("SEQUENCE:1", minute=2))
    assert room.outcomes()[0] == "updated: cancelled"
    assert room.ledger.recall("alice", UID).tombstones != before.tombstones
    room.undo(2)
    assert room.ledger.recall("alice", UID) == before
    assert len(before.tombstones) == 1


def test_an_undo_may_be_taken_back_and_done_again_and_again(room: Room) -> None:
    """Whether by its own number or by that of the last undo: each has an entry of its own."""
    room.begin(CASES["rescheduled"])
    for number in (1, 2, 1, 4, 5, 6):
        found = room.undo(number)
        assert isinstance(found, Undoing), found
    assert len(room.outcomes()) == 7
    assert room.outcomes()[-1] == "updated: rescheduled"
    assert not room.says(CASES["rescheduled"].stored)


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        (reply(BOB, "ACCEPTED", uid="unknown"), "it changed nothing: no_action: unknown-uid"),
        (request().replace(b"From: bob@", b"From: eve@"), "it changed nothing: error: sender-is-not-the-organizer"),
    ],
)
def test_what_changed_nothing_cannot_be_taken_back(room: Room, mail: bytes, why: str) -> None:
    room.deliver(mail)
    assert room.refused(1) == why


@pytest.mark.parametrize("number", [0, -1, 2, 10**30])
def test_there_is_no_such_entry(room: Room, number: int) -> None:
    room.begin(CASES["added"])
    found = undo(room.doors, number)
    assert isinstance(found, Hindrance)
    assert not found.known


def test_an_entry_goes_with_its_former_object(room: Room) -> None:
    """After `keep_days` there is nothing left to put back."""
    room.begin(CASES["deleted"])
    room.ledger.prune(room.time + timedelta(days=31))
    found = undo(room.doors, 1)
    assert isinstance(found, Hindrance)
    assert found.why == "there is no such entry, or it is older than ledger.keep_days"


def test_an_entry_that_was_only_intended_is_its_mails_to_finish(room: Room) -> None:
    room.begin(CASES["answered"])
    (recorded,) = room.ledger.log(Query())
    found = room.ledger.find(recorded.entry.digest, ALICE)
    assert found
    room.ledger.intend(found.entry)
    assert room.refused(1) == "it was begun and is not finished: its mail comes again and finishes it"


def test_an_entry_of_a_version_that_kept_nothing_is_left_alone(room: Room) -> None:
    room.begin(CASES["added"])
    (recorded,) = room.ledger.log(Query())
    room.ledger.complete(replace(recorded.entry, written=None, former=None))
    assert "did not keep what it wrote" in room.refused(1)


def test_an_account_that_is_gone_is_said(room: Room) -> None:
    room.begin(CASES["added"])
    room.account = replace(room.account, name="somebody else")
    assert room.refused(1) == "alice@example.org has no account alice in the configuration any more"


def test_an_event_that_was_moved_to_another_calendar_is_left_there() -> None:
    store = MemoryStore()
    room = _in_memory(store)
    room.begin(CASES["added"])
    held = room.held()
    assert held
    store.drop(held.href)
    moved = store.put(store.add_collection("alice", "Private"), "moved.ics", held.body)
    assert room.refused(1) == f"the event is somewhere else now: {moved.href}"


def test_what_was_deleted_comes_back_where_it_was() -> None:
    """Not where a new event would go."""
    store = MemoryStore()
    room = _in_memory(store)
    before = store.put(store.add_collection("alice", "Private"), "of her own.ics", invited())
    room.account = DELETE
    room.deliver(cancel("SEQUENCE:1"))
    room.undo(1)
    (again,) = store.find(room.home, UID)
    assert (again.href, again.collection, again.body) == (before.href, before.collection, before.body)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_lines_that_the_server_adds_are_nobody_s_change(case: Case) -> None:
    """It says which version that is, and so does the object: undone as long as nobody else writes."""
    room = _in_memory(Inventive())
    room.begin(case)
    changed = room.held()
    for number in (1, 2, 3):
        done = room.undo(number)
        assert isinstance(done, Undoing), done
        assert done.entry.former == (changed.body if changed else None)
        changed = room.held()


def test_whose_write_came_between_is_not_overwritten(room: Room) -> None:
    """After the look and before the write; the next look finds it."""
    room.begin(CASES["answered"])
    theirs = meeting("LOCATION:Roof")
    looked = room.store.find

    def find(home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        found = looked(home, uid, component)
        room.store.find = looked  # type: ignore[method-assign]
        room.put(theirs)
        return found

    room.store.find = find  # type: ignore[method-assign]
    found = room.undo(1)
    assert isinstance(found, Hindrance)
    assert found.why == "somebody has changed the object since"
    assert room.says(theirs)


class KilledError(Exception):
    """What stands for the end of the process in this one."""


@pytest.mark.parametrize("step", ["find", "intend", "write", "written", "complete"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_interrupted_undo_is_finished_by_the_next(case: Case, step: str) -> None:
    """At every step: the calendar and the ledger end as if it had gone through once."""
    desk, undisturbed = Desk({ALICE: case.account}), Desk({ALICE: case.account})
    for each in (desk, undisturbed):
        each.keep(*([case.stored] if case.stored else []))
        each.deliver(case.mail)
        each.later(hours=1)
    assert isinstance(undo(_doors(undisturbed), 1), Undoing)
    desk.store.instead[step] = [KilledError()]
    with pytest.raises(KilledError):
        undo(_doors(desk), 1)
    desk.later(minutes=5)
    assert isinstance(undo(_doors(desk), 1), Undoing)
    assert desk.bodies() == undisturbed.bodies()
    assert desk.outcomes() == undisturbed.outcomes()
    assert desk.ledger.recall("alice", UID) == undisturbed.ledger.recall("alice", UID) == NOTHING
    assert [each.undone for each in desk.told()] == [False, True]
    assert desk.told()[0].entry.etag in ("", undisturbed.told()[0].entry.etag)
    assert desk.store.taken.count("written") == 2


def test_a_calendar_that_is_out_of_reach_leaves_everything_to_the_next_try() -> None:
    """Whether or not the write has reached it."""
    for step in ("write", "written"):
        desk = Desk()
        desk.deliver(request())
        desk.store.instead[step] = [UnreachableError("no answer")]
        with pytest.raises(UnreachableError):
            undo(_doors(desk), 1)
        assert not desk.told()[-1].undone
        assert isinstance(undo(_doors(desk), 1), Undoing)
        assert desk.bodies() == []
        assert desk.outcomes() == ["updated: undone", "added: invited"]


def test_a_mail_that_comes_again_while_its_undo_is_interrupted_changes_nothing() -> None:
    desk = Desk()
    desk.deliver(request())
    desk.store.instead["complete"] = [KilledError()]
    with pytest.raises(KilledError):
        undo(_doors(desk), 1)
    desk.later(minutes=5)
    (status,) = desk.deliver(request())
    assert status.outcomes == (f'no_action; reason=undone-here; uid="{UID}"',)
    assert isinstance(undo(_doors(desk), 1), Undoing)
    assert desk.outcomes() == ["updated: undone", "added: invited"]
    assert desk.ledger.recall("alice", UID) == NOTHING


def test_what_the_server_refuses_is_told_and_takes_nothing_back() -> None:
    """SOGo takes no SEQUENCE below the one that it holds."""
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply(BOB, "ACCEPTED"))
    remembered = desk.ledger.recall("alice", UID)
    desk.store.instead["write"] = [RefusedError("409")]
    found = undo(_doors(desk), 1)
    assert isinstance(found, Hindrance)
    assert found.why == "the calendar server refuses it: 409"
    assert desk.outcomes() == ["error: calendar-refused", "updated: attendee-replied"]
    assert desk.told()[0].entry.detail == "undo of entry 1, updated: attendee-replied; 409"
    assert desk.ledger.recall("alice", UID) == remembered
    assert not desk.ledger.standing(desk.told()[1].entry.digest, "alice", "", BEGIN).undone
    desk.later(minutes=5)
    assert isinstance(undo(_doors(desk), 1), Undoing)


def test_an_undo_that_was_interrupted_says_what_finishes_it() -> None:
    desk = Desk()
    desk.deliver(request())
    desk.store.instead["write"] = [KilledError()]
    with pytest.raises(KilledError):
        undo(_doors(desk), 1)
    found = undo(_doors(desk), 2)
    assert isinstance(found, Hindrance)
    assert found.why == "it was begun and is not finished: `imipd undo 1` finishes it"


def _doors(desk: Desk) -> Doors:
    return Doors(desk, desk.store, desk.ledger, lambda: desk.time)
