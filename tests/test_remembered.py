"""What each method leaves to remember, and that the ledger's memory orders messages where the object's is stripped."""

import re
from datetime import timedelta
from urllib.parse import unquote

import pytest

from correspondence import (
    ALICE,
    BEGIN,
    BOB,
    CAROL,
    TUESDAYS,
    UID,
    WEEKLY,
    cancel,
    event,
    invited,
    mail,
    meeting,
    reply,
    request,
)
from desks import USER, Desk, with_policy
from imipd.memory import Memory, Revision, Tombstone

SECOND = TUESDAYS[1]
RID = f"RECURRENCE-ID:{SECOND}"


def revision(party: str, label: str, sequence: int | None, minute: int) -> Revision:
    """Return what is remembered of the mail of this minute."""
    moment = BEGIN + timedelta(minutes=minute)
    return Revision(party, label, sequence, moment, moment)


def tombstone(label: str, sequence: int, minute: int = 1) -> Tombstone:
    """Return what bob's CANCEL of this minute leaves."""
    return Tombstone(BOB, label, sequence, BEGIN + timedelta(minutes=minute))


def remembered(desk: Desk) -> Memory:
    """Return what the ledger remembers of the one event."""
    return desk.ledger.recall(USER, UID)


DELETING = {ALICE: with_policy(cancelled="delete")}


def test_an_answer_leaves_its_revision() -> None:
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply(BOB, "ACCEPTED", "SEQUENCE:0", minute=3))
    assert remembered(desk) == Memory((revision(BOB, "", 0, 3),))


def test_an_answer_for_one_instance_leaves_its_revision_there() -> None:
    desk = Desk()
    desk.keep(meeting(WEEKLY))
    desk.deliver(reply(BOB, "DECLINED", RID, "SEQUENCE:0"))
    assert remembered(desk) == Memory((revision(BOB, SECOND, 0, 1),))


def test_an_answer_that_says_nothing_leaves_nothing() -> None:
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply(BOB, "NEEDS-ACTION"))
    assert remembered(desk) == Memory()


def test_a_refused_answer_leaves_nothing() -> None:
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply("mallory@evil.example", "ACCEPTED"))
    assert remembered(desk) == Memory()


def test_an_invitation_leaves_a_revision_for_each_component() -> None:
    desk = Desk()
    desk.deliver(request(WEEKLY, "SEQUENCE:2", minute=2))
    desk.deliver(request(RID, f"DTSTART:{SECOND}", "SEQUENCE:3", minute=4))
    assert set(remembered(desk).revisions) == {revision(BOB, "", 2, 2), revision(BOB, SECOND, 3, 4)}


def test_a_cancel_that_marks_leaves_a_revision_and_no_tombstone() -> None:
    desk = Desk()
    desk.keep(invited(WEEKLY))
    desk.deliver(cancel(RID, "SEQUENCE:1"))
    assert remembered(desk) == Memory((revision(BOB, SECOND, 1, 1),))


@pytest.mark.parametrize(("stored", "said", "kept"), [(0, 0, 0), (0, 4, 4), (3, 3, 3)])
def test_what_is_deleted_leaves_a_tombstone_with_the_greater_sequence(stored: int, said: int, kept: int) -> None:
    desk = Desk(DELETING)
    desk.keep(invited(f"SEQUENCE:{stored}"))
    desk.deliver(cancel(f"SEQUENCE:{said}"))
    assert desk.bodies() == []
    assert remembered(desk).tombstones == (tombstone("", kept),)


def test_an_instance_that_is_deleted_leaves_a_tombstone() -> None:
    desk = Desk(DELETING)
    desk.keep(invited(WEEKLY))
    desk.deliver(cancel(RID, "SEQUENCE:1"))
    assert remembered(desk).tombstones == (tombstone(SECOND, 1),)


def test_the_last_instance_takes_the_series_with_it_and_both_are_remembered() -> None:
    desk = Desk(DELETING)
    desk.keep(invited("RRULE:FREQ=WEEKLY;COUNT=1"))
    desk.deliver(cancel(f"RECURRENCE-ID:{TUESDAYS[0]}", "SEQUENCE:1"))
    assert desk.bodies() == []
    assert set(remembered(desk).tombstones) == {tombstone(TUESDAYS[0], 1), tombstone("", 1)}


@pytest.mark.parametrize(("lines", "left"), [((), ()), (("SEQUENCE:2",), (tombstone("", 2),))])
def test_a_cancel_of_what_is_unknown_is_remembered_above_sequence_0(
    lines: tuple[str, ...], left: tuple[Tombstone, ...]
) -> None:
    desk = Desk()
    desk.deliver(cancel(*lines))
    assert desk.outcomes() == ["no_action: unknown-uid"]
    assert remembered(desk) == Memory((), left)


def test_a_cancel_of_an_instance_that_the_series_lacks_is_remembered() -> None:
    desk = Desk()
    desk.keep(invited(WEEKLY))
    desk.deliver(cancel("RECURRENCE-ID:20270203T100000Z", "SEQUENCE:1"))
    assert desk.outcomes() == ["no_action: unknown-instance"]
    assert remembered(desk).tombstones == (tombstone("20270203T100000Z", 1),)


def test_who_calls_off_what_nobody_has_is_not_remembered_without_end() -> None:
    desk = Desk()
    labels = [f"202701{day:02}T{hour:02}0000Z" for day in range(1, 29) for hour in range(24)]
    for sequence in range(1, 6):
        lines = f"ORGANIZER:mailto:{BOB}", f"SEQUENCE:{sequence}"
        desk.deliver(mail(BOB, "CANCEL", *(event(*lines, f"RECURRENCE-ID:{label}") for label in labels)))
    full = len(remembered(desk).tombstones)
    assert full == len(labels) * 3  # for the third mail there was room, for the fourth none
    desk.keep(invited(WEEKLY))
    desk.deliver(cancel("RECURRENCE-ID:20290101T100000Z", "SEQUENCE:9", minute=9))
    desk.deliver(cancel(RID, "SEQUENCE:9", minute=10))
    assert len(remembered(desk).tombstones) == full


def test_where_the_object_forgets_the_ledger_knows_which_answer_is_the_later() -> None:
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply(CAROL, "DECLINED", minute=5))
    strip(desk)
    desk.deliver(reply(CAROL, "ACCEPTED", minute=2))
    assert desk.outcomes() == ["no_action: stale", "updated: attendee-replied"]
    assert b"PARTSTAT=DECLINED" in desk.bodies()[0]


def test_where_the_object_forgets_the_ledger_knows_which_change_is_the_later() -> None:
    desk = Desk()
    desk.keep(invited())
    desk.deliver(request("SEQUENCE:1", "LOCATION:Room 5", minute=5))
    strip(desk)
    desk.deliver(request("SEQUENCE:1", "LOCATION:Room 2", minute=2))
    assert desk.outcomes() == ["no_action: stale", "updated: details-changed"]
    assert b"Room 5" in desk.bodies()[0]


def test_what_was_deleted_stays_out() -> None:
    desk = Desk(DELETING)
    desk.deliver(request("SEQUENCE:1"))
    desk.deliver(cancel("SEQUENCE:1", minute=2))
    desk.deliver(request("SEQUENCE:1", minute=3))
    desk.deliver(cancel("SEQUENCE:1", minute=4))
    assert desk.outcomes() == [
        "no_action: deleted-here",
        "no_action: deleted-here",
        "updated: cancelled",
        "added: invited",
    ]


def strip(desk: Desk) -> None:
    """Take the memory out of what is stored, as a client or a server may."""
    (stored,) = desk.store.objects(desk.calendar)
    plain = re.sub(rb";X-IMIPD-[A-Z]+=[^;:]*", b"", stored.body.replace(b"\r\n ", b""))
    desk.store.put(desk.calendar, unquote(stored.href.rpartition("/")[2]), plain)
