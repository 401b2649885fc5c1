"""What is held up although the rules allow it: what was taken back (S7), and too much of one originator (S8)."""

from dataclasses import replace

import pytest

from correspondence import ALICE, BOB, CAROL, UID, bundle, invited, meeting, reply, request
from desks import ALICES, USER, Desk, with_policy
from imipd.config import ConfigError, override
from imipd.envelope import Envelope
from imipd.memory import NOTHING, Memory
from imipd.policy import Policy


def flood(desk: Desk, sender: str, count: int) -> None:
    """Let somebody invite to one event after the other."""
    for number in range(count):
        uid = f"{number}-{sender}"
        (status,) = desk.deliver(request(minute=number, uid=uid).replace(BOB.encode(), sender.encode()))
        assert status.code == 250


def test_what_was_taken_back_stays_so_when_its_mail_comes_again() -> None:
    """Whichever of his addresses it comes to; another mail is judged as ever, and the entry goes on telling."""
    desk = Desk({ALICE: ALICES, "alice+list@example.org": ALICES})
    desk.deliver(request())
    (told,) = desk.told()
    desk.store.drop(told.entry.href)
    desk.ledger.complete(replace(told.entry, digest="undo", outcome="updated", reason="undone", undoes=told.number))
    (status,) = desk.deliver(request())
    assert status.outcomes == (f'no_action; reason=undone-here; uid="{UID}"',)
    assert desk.outcomes() == ["updated: undone", "added: invited"]
    desk.deliver(request(), "alice+list@example.org")
    assert desk.outcomes()[0] == "no_action: undone-here"
    assert desk.bodies() == []
    desk.deliver(request(minute=2))
    assert desk.outcomes()[0] == "added: invited"


def test_what_was_taken_back_is_not_remembered_when_its_mail_comes_again() -> None:
    """Not even where it would change nothing: the recipient has made the same change himself."""
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply(BOB, "ACCEPTED"))
    (told,) = desk.told()
    left = Memory(told.entry.revisions, ())
    undo = replace(told.entry, digest="undo", reason="undone", undoes=told.number, revisions=(), displaced=left)
    desk.ledger.complete(undo)
    desk.deliver(reply(BOB, "ACCEPTED"))
    assert desk.ledger.recall(USER, UID) == NOTHING
    assert desk.outcomes() == ["updated: undone", "updated: attendee-replied"]


def test_of_a_flood_what_the_limit_allows_is_applied() -> None:
    """60 of 100; the others hear 250 too, and another originator is not held up by it."""
    desk = Desk()
    flood(desk, "mallory@example.net", 100)
    flood(desk, BOB, 3)
    assert desk.outcomes() == ["added: invited"] * 3 + ["error: rate-limited"] * 40 + ["added: invited"] * 60
    assert len(desk.bodies()) == 63
    assert desk.told()[-61].entry.detail == "mallory@example.net: 60 changes in the last hour"


def test_another_node_counts_the_same() -> None:
    desk = Desk({ALICE: with_policy(changes_per_hour=1)})
    flood(desk, BOB, 1)
    desk.another_node().deliver(Envelope("", (ALICE,), request(uid="other")))
    assert desk.outcomes() == ["error: rate-limited", "added: invited"]


def test_an_hour_later_there_is_room_again() -> None:
    """And what was refused is done when it comes again: its entry tells so."""
    desk = Desk({ALICE: with_policy(changes_per_hour=1)})
    flood(desk, BOB, 2)
    desk.later(minutes=59, seconds=59)
    desk.deliver(request(minute=1, uid=f"1-{BOB}"))
    assert desk.outcomes() == ["error: rate-limited", "added: invited"]
    desk.later(seconds=1)
    desk.deliver(request(minute=1, uid=f"1-{BOB}"))
    assert desk.outcomes() == ["added: invited"] * 2
    assert len(desk.told()) == 2


def test_what_changes_nothing_neither_counts_nor_is_held_up() -> None:
    """A repeated mail, an answer to what is unknown."""
    desk = Desk({ALICE: with_policy(changes_per_hour=2)})
    flood(desk, BOB, 1)
    for _ in range(3):
        flood(desk, BOB, 1)
        desk.deliver(reply(BOB, "ACCEPTED", uid="unknown"))
    desk.deliver(request(minute=9, uid="second"))
    flood(desk, BOB, 1)
    desk.deliver(reply(BOB, "ACCEPTED", uid="unknown too"))
    assert sorted(set(desk.outcomes())) == ["added: invited", "no_action: unknown-uid"]


def test_every_account_has_its_own_count() -> None:
    carols = replace(with_policy(changes_per_hour=1), name="carol", addresses=(CAROL,))
    desk = Desk({ALICE: with_policy(changes_per_hour=1), CAROL: carols})
    flood(desk, BOB, 1)
    desk.deliver(request(uid="hers", to=CAROL), CAROL)
    assert desk.outcomes() == ["added: invited"] * 2


def test_updates_count_as_well() -> None:
    desk = Desk({ALICE: with_policy(changes_per_hour=1)})
    desk.keep(meeting())
    desk.deliver(reply(BOB, "ACCEPTED"))
    desk.deliver(reply(BOB, "DECLINED", minute=2))
    assert desk.outcomes() == ["error: rate-limited", "updated: attendee-replied"]
    assert b"PARTSTAT=ACCEPTED" in desk.bodies()[0]


def test_0_sets_no_limit() -> None:
    desk = Desk({ALICE: with_policy(changes_per_hour=0)})
    flood(desk, BOB, 70)
    assert set(desk.outcomes()) == {"added: invited"}


def test_what_is_explained_is_what_is_done() -> None:
    """In the middle of a mail too: what its first message would change counts for its second."""
    desk = Desk({ALICE: with_policy(changes_per_hour=2)})
    desk.keep(invited())
    flood(desk, BOB, 1)
    both = request("SEQUENCE:1", "LOCATION:Hall", minute=5), request("SEQUENCE:1", minute=5, uid="other")
    mail = bundle(BOB, *(each.partition(b"\r\n\r\n")[2] for each in both), minute=5)
    judged = desk.gateway.judgements(ALICE, desk.accounts[ALICE], Envelope("", (ALICE,), mail))
    assert [judgement.decision.reason for judgement in judged] == ["details-changed", "rate-limited"]
    (status,) = desk.deliver(mail)
    assert status.outcomes == tuple(judgement.outcome for judgement in judged)


def test_the_limit_is_a_policy_like_the_others() -> None:
    """`--policy changes_per_hour=5` of explain, and a scenario's."""
    assert ALICES.policy.changes_per_hour == 60
    assert override(Policy(), {"changes_per_hour": "5", "invitations": "add"}) == Policy("add", changes_per_hour=5)
    for wrong in ("-1", "many", "1.5", ""):
        with pytest.raises(ConfigError, match="changes_per_hour"):
            override(Policy(), {"changes_per_hour": wrong})
