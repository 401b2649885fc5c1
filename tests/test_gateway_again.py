"""The same mail again, and several at once: the calendar and the ledger end as if each had gone through once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from correspondence import ALICE, BOB, CAROL, TUESDAYS, UID, WEEKLY, cancel, invited, meeting, reply, request
from desks import ALICES, USER, Desk, with_policy
from imipd.address import comparable
from imipd.envelope import TRY_AGAIN, Envelope
from imipd.gateway.lanes import LANES
from imipd.ledger import LedgerError
from imipd.store import ConflictError, UnreachableError

MARK, DELETE = with_policy(cancelled="mark"), with_policy(cancelled="delete")
INSTANCE = f"RECURRENCE-ID:{TUESDAYS[1]}"
CASES = {
    "REPLY": (MARK, (meeting(),), reply(BOB, "ACCEPTED"), "updated: attendee-replied"),
    "REQUEST added": (MARK, (), request(), "added: invited"),
    "REQUEST update": (MARK, (invited(),), request("SEQUENCE:1", "LOCATION:Hall"), "updated: details-changed"),
    "CANCEL mark": (MARK, (invited(),), cancel("SEQUENCE:1"), "updated: cancelled"),
    "CANCEL delete": (DELETE, (invited(),), cancel(), "updated: cancelled"),
    "CANCEL instance": (DELETE, (invited(WEEKLY),), cancel(INSTANCE, "SEQUENCE:1"), "updated: instance-cancelled"),
}
STEPS = ("find", "intend", "write", "written", "complete")


class KilledError(Exception):
    """What stands for the end of the process in this one."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_interrupted_delivery_is_finished_by_the_next(case: tuple, step: str) -> None:  # type: ignore[type-arg]
    account, stored, sent, outcome = case
    desk, undisturbed = Desk({ALICE: account}), Desk({ALICE: account})
    for each in (desk, undisturbed):
        each.keep(*stored)
    undisturbed.deliver(sent)
    desk.store.instead[step] = [KilledError()]
    with capture_logs():
        assert desk.deliver(sent) == (TRY_AGAIN,)
    desk.later(minutes=5)
    (status,) = desk.another_node().deliver(Envelope("", (ALICE,), sent))
    assert status.done
    assert desk.bodies() == undisturbed.bodies()
    (recorded,), (wanted,) = desk.told(), undisturbed.told()
    assert desk.outcomes() == [outcome]
    # The ETag may have been lost with the answer to the write.
    assert recorded.entry == replace(wanted.entry, time=recorded.entry.time, etag=recorded.entry.etag)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_mail_that_comes_again_writes_nothing_and_leaves_its_entry(case: tuple) -> None:  # type: ignore[type-arg]
    account, stored, sent, outcome = case
    desk = Desk({ALICE: account})
    desk.keep(*stored)
    desk.deliver(sent)
    held, told = desk.bodies(), desk.told()
    for _ in range(2):
        desk.later(hours=1)
        desk.deliver(sent)
    assert desk.store.taken.count("write") == 1
    assert (desk.bodies(), desk.told(), desk.outcomes()) == (held, told, [outcome])


def test_the_same_words_in_another_mail_have_an_entry_of_their_own() -> None:
    desk = Desk()
    desk.keep(invited())
    desk.deliver(request(minute=1))
    desk.deliver(request(minute=1).replace(b"<1@example.net>", b"<resent@example.net>"))
    assert desk.outcomes() == ["no_action: no-change", "updated: details-changed"]


def test_who_wrote_before_a_crash_is_not_forgotten_when_a_later_message_overtakes() -> None:
    """The first change was written and not completed, the second went through, then the first comes again."""
    desk = Desk()
    desk.keep(invited())
    first, second = request("SEQUENCE:1", "LOCATION:Hall"), request("SEQUENCE:2", "LOCATION:Roof", minute=2)
    desk.store.instead["written"] = [KilledError()]
    with capture_logs():
        desk.deliver(first)
    desk.deliver(second)
    desk.later(minutes=5)
    desk.deliver(first)
    entry = desk.told()[0].entry
    assert (entry.outcome, entry.reason) == ("no_action", "stale")
    assert "an earlier delivery may have written: updated: details-changed" in entry.detail


def test_a_completed_write_stays_recorded_when_its_mail_comes_late() -> None:
    desk = Desk()
    desk.keep(invited())
    first = request("SEQUENCE:1", "LOCATION:Hall")
    for sent in (first, request("SEQUENCE:2", "LOCATION:Roof", minute=2), first):
        desk.deliver(sent)
    assert desk.outcomes() == ["updated: details-changed"] * 2


def test_a_mail_that_was_given_up_and_comes_again_tells_what_became_of_it() -> None:
    desk = Desk(bounds=replace(Desk().bounds, patience=timedelta(0)))
    desk.store.instead["find"] = [UnreachableError("down")]
    with capture_logs():
        desk.deliver(request())
        assert desk.outcomes() == ["error: calendar-unreachable"]
    desk.deliver(request())
    assert desk.outcomes() == ["added: invited"]


def test_a_write_that_was_given_up_and_took_place_is_told_when_the_mail_comes_again() -> None:
    """The PUT reached the server, its answer never came: the error says that it may have been written."""
    desk = Desk(bounds=replace(Desk().bounds, patience=timedelta(0)))
    desk.store.instead["written"] = [UnreachableError("no answer")]
    with capture_logs():
        desk.deliver(request())
    assert "may have written: added: invited" in desk.told()[0].entry.detail
    desk.deliver(request())
    assert desk.outcomes() == ["no_action: no-change"]


def test_what_was_unknown_and_is_remembered_stays_told_as_unknown() -> None:
    desk = Desk()
    for _ in range(2):
        desk.deliver(cancel("SEQUENCE:1"))
    assert desk.outcomes() == ["no_action: unknown-uid"]


def test_an_answer_to_a_meeting_that_came_later_is_carried_out_when_it_comes_again() -> None:
    desk = Desk()
    desk.deliver(reply(BOB, "ACCEPTED"))
    assert desk.outcomes() == ["no_action: unknown-uid"]
    desk.keep(meeting())
    desk.deliver(reply(BOB, "ACCEPTED"))
    assert desk.outcomes() == ["updated: attendee-replied"]


def test_an_answer_written_but_not_completed_is_remembered_after_the_redelivery() -> None:
    """A server may strip our parameters: then the ledger alone knows which answer was the last."""
    desk = Desk()
    desk.keep(meeting())
    desk.store.instead["complete"] = [LedgerError("disk full")]
    with capture_logs():
        desk.deliver(reply(BOB, "ACCEPTED", minute=5))
    desk.deliver(reply(BOB, "ACCEPTED", minute=5))
    assert [(each.party, each.sequence) for each in desk.ledger.recall("alice", UID).revisions] == [(BOB, 0)]


def test_the_same_mail_in_eight_threads_is_written_once() -> None:
    desk = Desk()
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: desk.deliver(request()), range(8)))
    assert all(status.done for (status,) in statuses)
    assert desk.store.taken.count("write") == 1
    assert desk.outcomes() == ["added: invited"]


def test_many_answers_at_once_go_one_after_the_other() -> None:
    """In one process nobody meets a conflict: messages for one (account, UID) wait for each other."""
    guests = [f"guest{number}@example.net" for number in range(12)]
    listed = [f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{guest}" for guest in guests]
    desk = Desk()
    desk.keep(meeting(*listed))
    mails = [reply(guest, "ACCEPTED", minute=index) for index, guest in enumerate(guests)]
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(desk.deliver, mails))
    assert all(status.done for (status,) in statuses)
    assert desk.store.taken.count("write") == len(guests)
    assert desk.bodies()[0].count(b"PARTSTAT=ACCEPTED") == len(guests)


def test_two_nodes_with_different_answers_to_one_event_keep_both() -> None:
    """Between nodes the ETag alone orders the writes."""
    for _ in range(10):
        desk = Desk()
        desk.keep(meeting())
        nodes = [desk.another_node(), desk.another_node()]
        mails = [reply(BOB, "ACCEPTED"), reply(CAROL, "DECLINED", minute=2)]
        with ThreadPoolExecutor(2) as threads:
            envelopes = [Envelope("", (ALICE,), sent) for sent in mails]
            statuses = list(threads.map(lambda node, sent: node.deliver(sent), nodes, envelopes))
        assert all(status.done for (status,) in statuses)
        assert b"PARTSTAT=ACCEPTED" in desk.bodies()[0]
        assert b"PARTSTAT=DECLINED" in desk.bodies()[0]
        assert desk.outcomes() == ["updated: attendee-replied"] * 2


def test_two_nodes_with_the_same_invitation_make_one_event() -> None:
    desk = Desk()
    other = desk.another_node()
    desk.store.instead["write"] = [lambda: other.deliver(Envelope("", (ALICE,), request()))]
    (status,) = desk.deliver(request())
    assert status.done
    assert len(desk.bodies()) == 1
    assert desk.outcomes() == ["added: invited"]


def test_an_answer_in_the_lane_of_a_slow_one_waits_for_it_and_another_event_does_not() -> None:
    desk = Desk()
    desk.keep(meeting())
    order: list[str] = []
    with ThreadPoolExecutor(2) as threads:

        def meanwhile() -> None:
            order.append("first writes")
            later = threads.submit(desk.deliver, reply(CAROL, "DECLINED", minute=2))
            (status,) = desk.deliver(request(uid=_uid_of_another_lane()))
            order.append("another event is done" if status.done else "")
            assert not later.done()

        desk.store.instead["write"] = [meanwhile]
        (status,) = desk.deliver(reply(BOB, "ACCEPTED"))
        assert status.done
    assert order == ["first writes", "another event is done"]
    assert sorted(desk.outcomes()) == ["added: invited", "updated: attendee-replied", "updated: attendee-replied"]


def test_an_account_is_one_whatever_address_its_mail_comes_by() -> None:
    """The entry is each recipient's own, the calendar is one: the second finds it done."""
    desk = Desk({ALICE: ALICES, "alice+list@example.org": ALICES})
    desk.deliver(request(), ALICE, "alice+list@example.org")
    assert sorted(desk.outcomes()) == ["added: invited", "no_action: no-change"]
    assert {recorded.entry.recipient for recorded in desk.told()} == {ALICE, comparable("alice+list@example.org")}


def test_a_conflict_at_every_attempt_and_then_peace_is_done() -> None:
    desk = Desk()
    desk.store.instead["write"] = [ConflictError("412")] * 3
    (status,) = desk.deliver(request())
    assert status.done
    assert desk.outcomes() == ["added: invited"]


def test_an_event_with_the_uid_of_a_journal_entry_is_refused_and_does_not_wait() -> None:
    """The lookup for an event passes the entry by, and the server takes no second object with that UID."""
    desk = Desk(components=("VEVENT", "VTODO", "VJOURNAL"))
    desk.keep(invited().replace(b"VEVENT", b"VJOURNAL"))
    held = desk.bodies()
    (status,) = desk.deliver(request())
    assert status.done
    assert desk.outcomes() == ["error: component-changed"]
    assert desk.bodies() == held


def _uid_of_another_lane() -> str:
    lane = hash((USER, UID)) % LANES
    uids = (f"other{number}@example.net" for number in range(9))
    return next(uid for uid in uids if hash((USER, uid)) % LANES != lane)
