"""What every ledger keeps and forgets: one suite for the fake, SQLite and PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imipd.ledger import Entry, Ledger, Query, Recorded
from imipd.ledger.memory import MemoryLedger
from imipd.ledger.sql import open_ledger
from imipd.memory import NOTHING, Memory, Revision
from ledgers import BOB, DAY, ENTRY, GONE, NOON, SQL_URLS, recalled, url_of

pytest_plugins = ("postgres",)


@pytest.fixture(params=["fake", *SQL_URLS])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened: Ledger
    opened = MemoryLedger() if request.param == "fake" else open_ledger(url_of(request.param, request, tmp_path))
    yield opened
    opened.close()


def test_an_unknown_message_is_not_found(ledger: Ledger) -> None:
    """Nothing is known of what never came."""
    assert ledger.find("d1", "alice@example.org") is None
    assert ledger.recall("alice", "abc@example.org") == NOTHING
    assert ledger.log(Query()) == ()


def test_an_intended_entry_comes_back_whole(ledger: Ledger) -> None:
    """Every field survives, the object before the write byte by byte."""
    ledger.intend(ENTRY)
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found is not None
    assert (found.completed, found.entry) == (False, ENTRY)


def test_completing_takes_the_place_of_the_intention(ledger: Ledger) -> None:
    """One entry for each message and recipient, and its number stays."""
    ledger.intend(ENTRY)
    intended = ledger.find(ENTRY.digest, ENTRY.recipient)
    done = replace(ENTRY, reason="no-change", outcome="no_action", former=None, revisions=(), tombstones=())
    ledger.complete(done)
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert intended is not None
    assert found is not None
    assert (found.number, found.completed, found.entry) == (intended.number, True, done)
    assert len(ledger.log(Query())) == 1


def test_intending_again_takes_the_place_of_a_completed_entry(ledger: Ledger) -> None:
    """The entry is open again; what was applied once stays remembered."""
    ledger.complete(ENTRY)
    ledger.intend(replace(ENTRY, reason="rescheduled"))
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found is not None
    assert (found.completed, found.entry.reason) == (False, "rescheduled")
    assert recalled(ledger) == ({BOB}, {GONE})


def test_one_mail_to_two_recipients_has_two_entries(ledger: Ledger) -> None:
    ledger.complete(ENTRY)
    ledger.intend(replace(ENTRY, recipient="carol@example.org"))
    assert [each.completed for each in ledger.log(Query())] == [False, True]


def test_only_completed_entries_are_remembered(ledger: Ledger) -> None:
    """What was intended may never have been written."""
    ledger.intend(ENTRY)
    assert ledger.recall(ENTRY.account, ENTRY.uid) == NOTHING
    ledger.complete(ENTRY)
    assert ledger.recall(ENTRY.account, ENTRY.uid) == Memory((BOB,), (GONE,))


def test_memory_belongs_to_one_account_and_uid(ledger: Ledger) -> None:
    ledger.complete(ENTRY)
    assert ledger.recall("carol", ENTRY.uid) == NOTHING
    assert ledger.recall(ENTRY.account, "other") == NOTHING


def test_a_later_message_of_the_same_party_replaces_its_revision(ledger: Ledger) -> None:
    """One revision for each party and instance; the others stay."""
    instance = replace(BOB, recurrence_id="20260310T100000Z")
    carol = replace(BOB, party="carol@example.org")
    newer = Revision(BOB.party, "", None, None, None)
    ledger.complete(replace(ENTRY, revisions=(BOB, instance, carol)))
    ledger.complete(replace(ENTRY, digest="d2", time=NOON + DAY, revisions=(newer,), tombstones=()))
    assert recalled(ledger) == ({newer, instance, carol}, {GONE})


def test_an_older_entry_completed_late_does_not_replace_a_revision(ledger: Ledger) -> None:
    """A redelivery after a crash completes what was decided before the message that is remembered."""
    newer = replace(BOB, sequence=5)
    ledger.complete(replace(ENTRY, digest="d2", time=NOON + DAY, revisions=(newer,)))
    ledger.complete(ENTRY)
    assert recalled(ledger)[0] == {newer}


def test_of_two_revisions_in_one_entry_the_last_counts(ledger: Ledger) -> None:
    """A message with two components for one instance is no error of the ledger."""
    ledger.complete(replace(ENTRY, revisions=(BOB, replace(BOB, sequence=7))))
    assert recalled(ledger)[0] == {replace(BOB, sequence=7)}


def test_a_tombstone_of_a_lower_sequence_does_not_hide_a_higher(ledger: Ledger) -> None:
    """CANCELs for an unknown UID may come in any order, and from strangers (C1)."""
    high, other = replace(GONE, sequence=9), replace(GONE, party="carol@example.org")
    ledger.complete(replace(ENTRY, tombstones=(high, other)))
    ledger.complete(replace(ENTRY, digest="d2", time=NOON + DAY))
    assert recalled(ledger)[1] == {high, other, GONE}


def test_an_entry_is_found_by_its_number(ledger: Ledger) -> None:
    """By the one that `imipd log` shows."""
    ledger.complete(replace(ENTRY, digest="d0"))
    ledger.complete(ENTRY)
    (shown,) = (each for each in ledger.log(Query()) if each.entry.digest == ENTRY.digest)
    found = ledger.numbered(shown.number)
    assert found is not None
    assert (found.number, found.entry) == (shown.number, ENTRY)
    assert [ledger.numbered(number) for number in (0, -1, 99, 2**63, 10**30)] == [None] * 5


def test_what_is_taken_back_is_forgotten_and_marked(ledger: Ledger) -> None:
    """What it left to remember goes, what was there before comes back; nothing else moves."""
    other = replace(ENTRY, digest="d0", uid="other")
    before = replace(BOB, sequence=0)
    for each in (other, replace(ENTRY, displaced=Memory((before,), ()))):
        ledger.complete(each)
    assert not ledger.standing(ENTRY.digest, ENTRY.account, "", NOON).undone
    undo = undoing(ledger, ENTRY.digest, revisions=(before,), tombstones=(), displaced=Memory((BOB,), (GONE,)))
    ledger.intend(undo)
    assert recalled(ledger) == ({BOB}, {GONE})
    assert states(ledger) == {"d0": False, "d1": False, "undo": False}
    assert ledger.standing(
        ENTRY.digest, ENTRY.account, "", NOON
    ).undone  # its mail may come between the write and the completion
    ledger.complete(undo)
    assert recalled(ledger) == ({before}, set())
    assert states(ledger) == {"d0": False, "d1": True, "undo": False}
    assert ledger.recall(ENTRY.account, "other") != NOTHING
    assert ledger.standing(ENTRY.digest, ENTRY.account, "", NOON).undone
    assert not ledger.standing(ENTRY.digest, "carol", "", NOON).undone
    assert not ledger.standing("d0", ENTRY.account, "", NOON).undone


def test_an_undo_that_is_taken_back_counts_no_more(ledger: Ledger) -> None:
    ledger.complete(ENTRY)
    for digest, of in (("undo", ENTRY.digest), ("redo", "undo"), ("again", "redo")):
        ledger.complete(replace(undoing(ledger, of), digest=digest))
        expected = {"undo": [True], "redo": [False, True], "again": [True, False, True]}[digest]
        assert [states(ledger)[each] for each in (ENTRY.digest, "undo", "redo")[: len(expected)]] == expected
        assert ledger.standing(ENTRY.digest, ENTRY.account, "", NOON).undone == expected[0]


def test_an_entry_that_was_taken_back_stays_so_when_it_is_written_again(ledger: Ledger) -> None:
    """A redelivery completes the entry that it finds."""
    ledger.complete(ENTRY)
    ledger.complete(undoing(ledger, ENTRY.digest))
    ledger.complete(ENTRY)
    assert states(ledger) == {"d1": True, "undo": False}


def test_what_takes_back_an_entry_that_was_pruned_harms_nothing(ledger: Ledger) -> None:
    ledger.complete(replace(ENTRY, undoes=77, displaced=NOTHING))
    assert recalled(ledger) == ({BOB}, {GONE})


def test_changes_are_counted_for_each_originator_and_account(ledger: Ledger) -> None:
    """Only what was done and changed something, and only after the moment that is asked for."""
    changed = replace(ENTRY, digest="added", outcome="added", reason="invited", time=NOON + DAY)
    others = {
        "intended": changed,
        "nothing": replace(changed, outcome="no_action", reason="no-change"),
        "wrong": replace(changed, outcome="error", reason="malformed"),
        "carol": replace(changed, originator="carol@example.org"),
        "hers": replace(changed, account="carol"),
        "taken back": replace(changed, undoes=77),
    }
    for each in (ENTRY, changed):
        ledger.complete(each)
    for name, each in others.items():
        (ledger.intend if name == "intended" else ledger.complete)(replace(each, digest=name))
    assert ledger.standing("", "alice", "bob@example.net", NOON - DAY).applied == 2
    assert ledger.standing("", "alice", "bob@example.net", NOON).applied == 1
    assert ledger.standing("", "alice", "bob@example.net", NOON + DAY).applied == 0


def test_what_is_completed_as_intended_is_what_was_intended(ledger: Ledger) -> None:
    """But for where it went, in which version, and how long that took."""
    ledger.intend(replace(ENTRY, href="", etag="", duration=0.1))
    ledger.complete(ENTRY, as_intended=True)
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found == Recorded(1, True, ENTRY)
    assert recalled(ledger) == ({BOB}, {GONE})
    assert ledger.standing("", "alice", "bob@example.net", NOON - DAY).applied == 1


def test_what_another_node_has_intended_meanwhile_does_not_stand_for_what_we_did(ledger: Ledger) -> None:
    """The same mail may reach two nodes, one of which finds the calendar as the other has left it."""
    ledger.intend(ENTRY)
    ledger.intend(replace(ENTRY, time=NOON + DAY, former=b"theirs", outcome="added"))
    ledger.complete(ENTRY, as_intended=True)
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found == Recorded(1, True, ENTRY)


def test_what_was_never_intended_is_completed_whole(ledger: Ledger) -> None:
    """Its row may have been pruned in between."""
    ledger.complete(ENTRY, as_intended=True)
    found = ledger.find(ENTRY.digest, ENTRY.recipient)
    assert found == Recorded(1, True, ENTRY)


def undoing(ledger: Ledger, digest: str, **fields: Any) -> Entry:
    """Return what is written down when the entry with this digest is taken back."""
    found = ledger.find(digest, ENTRY.recipient)
    assert found is not None
    return replace(ENTRY, digest="undo", time=NOON + DAY, **fields, undoes=found.number)


def states(ledger: Ledger) -> dict[str, bool]:
    """Return which entries are undone."""
    return {each.entry.digest: each.undone for each in ledger.log(Query())}


def test_a_postponed_message_keeps_its_first_failure(ledger: Ledger) -> None:
    """`patience` counts from the first failure, for each message and recipient."""
    assert ledger.postpone("d1", "alice@example.org", NOON, "503") == NOON
    assert ledger.postpone("d1", "alice@example.org", NOON + DAY, "timeout") == NOON
    assert ledger.postpone("d1", "carol@example.org", NOON + DAY, "timeout") == NOON + DAY


def test_completing_clears_the_postponement_and_intending_does_not(ledger: Ledger) -> None:
    ledger.postpone("d1", "alice@example.org", NOON, "503")
    ledger.postpone("d1", "carol@example.org", NOON, "503")
    ledger.intend(ENTRY)
    assert ledger.postpone("d1", "alice@example.org", NOON + DAY, "503") == NOON
    ledger.complete(ENTRY)
    assert ledger.postpone("d1", "alice@example.org", NOON + 2 * DAY, "503") == NOON + 2 * DAY
    assert ledger.postpone("d1", "carol@example.org", NOON + 2 * DAY, "503") == NOON


def test_the_log_is_newest_first_and_filtered(ledger: Ledger) -> None:
    """By recipient, by UID, since a time; by time and not by order of writing; without the objects."""
    ledger.complete(replace(ENTRY, digest="d2", time=NOON + DAY, uid="u2"))
    ledger.complete(ENTRY)
    ledger.intend(replace(ENTRY, digest="d3", time=NOON + 2 * DAY, recipient="carol@example.org"))

    def digests(query: Query) -> list[str]:
        return [each.entry.digest for each in ledger.log(query)]

    assert digests(Query()) == ["d3", "d2", "d1"]
    assert digests(Query(recipient="alice@example.org")) == ["d2", "d1"]
    assert digests(Query(uid="u2")) == ["d2"]
    assert digests(Query(since=NOON + DAY)) == ["d3", "d2"]
    assert digests(Query(limit=1)) == ["d3"]
    assert digests(Query(recipient="alice@example.org", since=NOON + DAY, uid=ENTRY.uid)) == []
    assert ledger.log(Query(uid="u2"))[0].entry == replace(
        ENTRY, digest="d2", time=NOON + DAY, uid="u2", former=None, written=None
    )


def test_pruning_forgets_entries_but_not_what_order_needs(ledger: Ledger) -> None:
    """Entries and former objects for `keep_days` (30), revisions and tombstones for 90."""
    ledger.complete(ENTRY)
    ledger.intend(replace(ENTRY, digest="d2"))
    ledger.complete(replace(ENTRY, digest="d3", uid="u3", time=NOON + 20 * DAY))
    assert ledger.prune(NOON + 30 * DAY) == 0
    assert ledger.prune(NOON + 31 * DAY) == 2
    assert ledger.find("d1", ENTRY.recipient) is None
    assert ledger.find("d3", ENTRY.recipient) is not None
    assert recalled(ledger) == ({BOB}, {GONE})
    assert ledger.prune(NOON + 91 * DAY) == 1
    assert recalled(ledger) == (set(), set())
    assert ledger.recall(ENTRY.account, "u3") != NOTHING


def test_pruning_forgets_postponed_messages_that_came_no_more(ledger: Ledger) -> None:
    """One that still comes again keeps its first failure, however long ago."""
    ledger.postpone("d1", "alice@example.org", NOON, "503")
    ledger.postpone("d2", "alice@example.org", NOON, "503")
    ledger.postpone("d2", "alice@example.org", NOON + 30 * DAY, "503")
    ledger.prune(NOON + 31 * DAY)
    assert ledger.postpone("d1", "alice@example.org", NOON + 32 * DAY, "503") == NOON + 32 * DAY
    assert ledger.postpone("d2", "alice@example.org", NOON + 32 * DAY, "503") == NOON


def test_threads_may_share_a_ledger(ledger: Ledger) -> None:
    """`deliver` runs in a pool of threads."""

    def deliver(number: int) -> None:
        entry = replace(ENTRY, digest=f"d{number}", revisions=(replace(BOB, party=f"{number % 7}@example.org"),))
        ledger.intend(entry)
        ledger.complete(entry)
        assert ledger.find(entry.digest, entry.recipient) is not None

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(deliver, range(120)))
    assert sum(each.completed for each in ledger.log(Query())) == 120
    assert len(recalled(ledger)[0]) == 7
