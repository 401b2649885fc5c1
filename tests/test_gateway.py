"""What the gateway answers, writes and records for each mail."""

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from correspondence import (
    ALICE,
    BEGIN,
    BOB,
    CAROL,
    SECRET,
    TUESDAYS,
    UID,
    WEEKLY,
    bundle,
    calendar,
    cancel,
    event,
    invited,
    mail,
    meeting,
    message_id,
    plain,
    reply,
    request,
)
from desks import ALICES, USER, Desk, with_policy
from imipd.envelope import DONE, TRY_AGAIN, Envelope
from imipd.ledger import LedgerError
from imipd.store import ConflictError, NoCalendarError, RefusedError, UnreachableError

DAVE = "dave@example.org"
UNREACHABLE, REFUSED = UnreachableError("no connection to /alice/"), RefusedError("403 to /alice/")


def test_every_recipient_is_answered_for_himself() -> None:
    """One of three is served and done, one is unknown, and the calendar of one is out of reach."""
    daves = replace(ALICES, name="dave", addresses=(DAVE,), home=replace(ALICES.home, username="dave"))
    desk = Desk({ALICE: ALICES, DAVE: daves})
    desk.keep(meeting())
    statuses = desk.deliver(reply(BOB, "ACCEPTED"), ALICE, "nobody@example.org", DAVE)
    assert [status.code for status in statuses] == [250, 250, 451]
    assert [status.outcomes for status in statuses] == [
        (f'updated; reason=attendee-replied; uid="{UID}"',),
        ("no_action; reason=unknown-recipient",),
        (),
    ]


def test_ordinary_mail_leaves_nothing_behind() -> None:
    """No entry, no word to the calendar, no line in the log."""
    desk = Desk()
    with capture_logs() as logged:
        (status,) = desk.deliver(plain())
    assert status == replace(DONE, outcomes=("no_action; reason=no-calendar-part",))
    assert (desk.told(), desk.store.taken) == ([], [])
    assert [line for line in logged if line["log_level"] != "debug"] == []


def test_an_entry_tells_who_said_what_and_what_came_of_it() -> None:
    desk = Desk()
    desk.keep(meeting(WEEKLY))
    (before,) = desk.store.objects(desk.calendar)
    times = iter([BEGIN, BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=3)])
    desk.gateway._doors = replace(desk.gateway._doors, now=lambda: next(times))
    desk.deliver(reply(BOB, "DECLINED", f"RECURRENCE-ID:{TUESDAYS[1]}", "COMMENT:Ill", minute=7))
    (recorded,) = desk.told()
    entry = recorded.entry
    assert recorded.completed
    assert (entry.time, entry.duration) == (BEGIN, 3.0)
    assert (entry.message_id, entry.recipient, entry.account) == (message_id(7), ALICE, USER)
    assert (entry.originator, entry.method, entry.uid) == (BOB, "REPLY", UID)
    assert entry.recurrence_ids == (TUESDAYS[1],)
    assert (entry.outcome, entry.reason) == ("updated", "attendee-replied")
    assert "Ill" in entry.detail
    assert (entry.href, entry.former) == (before.href, before.body)
    assert [(each.party, each.recurrence_id) for each in entry.revisions] == [(BOB, TUESDAYS[1])]


def test_an_entry_of_a_new_object_tells_where_it_went() -> None:
    desk = Desk()
    desk.deliver(request())
    (recorded,), (stored,) = desk.told(), desk.store.objects(desk.calendar)
    assert (recorded.entry.href, recorded.entry.former) == (stored.href, None)


def test_what_is_intended_is_written_down_before_the_write_and_completed_after_it() -> None:
    desk = Desk()
    desk.deliver(request())
    assert desk.store.taken == ["addresses", "find", "intend", "write", "written", "complete"]


def test_what_writes_nothing_is_only_completed() -> None:
    desk = Desk()
    desk.deliver(reply(BOB, "ACCEPTED"))
    assert desk.store.taken == ["addresses", "find", "complete"]
    assert desk.outcomes() == ["no_action: unknown-uid"]


def test_the_gate_refuses_without_a_word_to_the_calendar() -> None:
    desk = Desk()
    unknown = mail(BOB, "PUBLISH", event(f"ORGANIZER:mailto:{BOB}"))
    assert [status.code for status in desk.deliver(unknown)] == [250]
    assert desk.store.taken == ["complete"]
    assert desk.outcomes() == ["no_action: published-not-added"]


def test_the_calendar_server_says_which_other_addresses_are_mine() -> None:
    desk = Desk()
    desk.deliver(request(to="a.liddell@example.org"))
    desk.store.add_addresses(USER, "a.liddell@example.org")
    desk.deliver(request(to="a.liddell@example.org", minute=2))
    assert sorted(desk.outcomes()) == ["added: invited", "no_action: not-invited"]


def test_whom_the_server_calls_by_another_name_organizes_too() -> None:
    desk = Desk()
    desk.store.add_addresses(USER, "a.liddell@example.org")
    desk.keep(meeting().replace(b"ORGANIZER:mailto:alice", b"ORGANIZER:mailto:a.liddell"))
    desk.deliver(reply(BOB, "ACCEPTED"))
    assert desk.outcomes() == ["updated: attendee-replied"]


def test_a_conflict_has_the_message_decided_on_what_is_there_now() -> None:
    """Carol's answer comes between our look and our write: both stay."""
    desk = Desk()
    desk.keep(meeting())
    desk.store.instead["write"] = [lambda: desk.another_node().deliver(Envelope("", (ALICE,), carols))]
    carols = reply(CAROL, "DECLINED", minute=2)
    (status,) = desk.deliver(reply(BOB, "ACCEPTED"))
    assert status.done
    assert desk.store.taken.count("find") == 3
    (body,) = desk.bodies()
    assert b"PARTSTAT=ACCEPTED" in body
    assert b"PARTSTAT=DECLINED" in body
    assert desk.outcomes() == ["updated: attendee-replied"] * 2


def test_after_three_more_conflicts_the_mail_has_to_come_again() -> None:
    desk = Desk()
    desk.keep(meeting())
    held = desk.bodies()
    desk.store.instead["write"] = [ConflictError("412")] * 9
    assert desk.deliver(reply(BOB, "ACCEPTED")) == (TRY_AGAIN,)
    assert desk.store.taken.count("write") == 4
    assert desk.bodies() == held


def test_a_calendar_that_cannot_be_read_defers_the_mail_at_once() -> None:
    desk = Desk()
    desk.store.instead["find"] = [UNREACHABLE]
    assert desk.deliver(request()) == (TRY_AGAIN,)
    assert desk.store.taken.count("find") == 1
    assert desk.told() == []


@pytest.mark.parametrize("step", ["addresses", "find", "write"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UNREACHABLE, "calendar-unreachable"),
        (REFUSED, "calendar-refused"),
        (NoCalendarError("no calendar"), "calendar-refused"),
        (ConflictError("412"), "calendar-unreachable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_patience_ends_in_an_error_that_is_told_loudly(step: str, error: Exception, reason: str) -> None:
    """Until then 451, from the first failure on; then 250, so that the MTA never bounces."""
    desk = Desk(bounds=replace(Desk().bounds, patience=timedelta(hours=5)))
    desk.store.instead[step] = [error] * 30
    for _ in range(5):
        assert desk.deliver(request()) == (TRY_AGAIN,)
        desk.later(hours=1)
    with capture_logs() as logged:
        (status,) = desk.deliver(request())
    assert status == replace(DONE, outcomes=(f'error; reason={reason}; uid="{UID}"',))
    assert desk.outcomes() == [f"error: {reason}"]
    (recorded,) = desk.told()
    assert str(error) in recorded.entry.detail
    assert [line["reason"] for line in logged if line["log_level"] == "error"] == [reason]


def test_patience_begins_anew_once_a_message_is_done() -> None:
    desk = Desk()
    desk.store.instead["find"] = [UNREACHABLE]
    desk.deliver(request())
    desk.deliver(request())
    desk.later(days=2)
    desk.store.instead["find"] = [UNREACHABLE]
    assert desk.deliver(request()) == (TRY_AGAIN,)


@pytest.mark.parametrize("days", [-3650, 3650])
def test_a_clock_that_jumps_between_two_mails_changes_nothing_for_them(days: int) -> None:
    """The order of an attendee's answers is that of their own dates, and the ledger tells all."""
    desk = Desk()
    desk.keep(meeting())
    desk.deliver(reply(BOB, "ACCEPTED", minute=2))
    desk.later(days=days)
    desk.deliver(reply(BOB, "DECLINED", minute=1))
    assert sorted(desk.outcomes()) == ["no_action: stale", "updated: attendee-replied"]
    assert b"PARTSTAT=ACCEPTED" in desk.bodies()[0]


def test_a_clock_that_goes_back_makes_patience_longer_and_one_that_leaps_ends_it_loudly() -> None:
    desk = Desk()
    desk.store.instead["find"] = [UNREACHABLE] * 3
    assert desk.deliver(request()) == (TRY_AGAIN,)
    desk.later(days=-3650)
    assert desk.deliver(request()) == (TRY_AGAIN,)
    desk.later(days=2 * 3650)
    with capture_logs() as logged:
        (status,) = desk.deliver(request())
    assert status.done
    assert [line["reason"] for line in logged if line["log_level"] == "error"] == ["calendar-unreachable"]


def test_whom_the_server_does_not_know_a_domain_takes_without_a_word() -> None:
    """A domain cannot know its users without asking the calendar server."""
    desk = Desk({ALICE: replace(ALICES, by_domain=True)})
    desk.store.instead["addresses"] = [NoCalendarError("no such principal")]
    (status,) = desk.deliver(request())
    assert status.done
    assert desk.outcomes() == ["no_action: no-calendar"]


@pytest.mark.parametrize("step", ["intend", "complete"])
def test_a_ledger_that_fails_defers_the_mail(step: str) -> None:
    desk = Desk()
    desk.store.instead[step] = [LedgerError("database is locked")]
    with capture_logs() as logged:
        assert desk.deliver(request()) == (TRY_AGAIN,)
    assert [line["event"] for line in logged] == ["ledger"]
    assert len(desk.bodies()) == (step == "complete")


def test_the_unexpected_defers_the_mail_and_tells_strangers_nothing() -> None:
    desk = Desk()
    desk.store.instead["find"] = [RuntimeError("alice's password is wonderland")]
    with capture_logs() as logged:
        (status,) = desk.deliver(request())
    assert (status, str(status)) == (TRY_AGAIN, "451 4.3.0 Try again later")
    assert [(line["event"], line["recipient"], line["exc_info"]) for line in logged] == [("unexpected", ALICE, True)]


def test_the_unexpected_is_given_up_when_patience_is_over_lest_the_mta_bounce_it() -> None:
    desk = Desk()
    desk.store.instead["find"] = [RuntimeError("a mistake of ours"), RuntimeError("the same")]
    assert desk.deliver(request()) == (TRY_AGAIN,)
    desk.later(hours=25)
    with capture_logs() as logged:
        (status,) = desk.deliver(request())
    assert (status.code, status.outcomes) == (250, ("error; reason=unexpected",))
    assert [line["event"] for line in logged] == ["unexpected", "given up"]
    assert desk.outcomes() == ["error: unexpected"]
    assert "mistake" not in repr(desk.told())


def test_the_unexpected_with_a_ledger_that_fails_too_defers_the_mail() -> None:
    desk = Desk()
    desk.store.instead["find"] = [RuntimeError("a mistake of ours")]
    desk.store.instead["postpone"] = [LedgerError("disk full")]
    assert desk.deliver(request()) == (TRY_AGAIN,)


def test_one_recipient_s_trouble_is_not_another_s() -> None:
    desk = Desk({ALICE: ALICES, DAVE: replace(ALICES, addresses=(DAVE,))})
    desk.keep(meeting())
    desk.store.instead["find"] = [RuntimeError("once")]
    statuses = desk.deliver(reply(BOB, "ACCEPTED"), ALICE, DAVE)
    assert [status.code for status in statuses] == [451, 250]


def test_several_messages_are_each_done_and_the_mail_comes_again_for_the_one_that_failed() -> None:
    desk = Desk()
    one, other = (event(*_invitation(), uid=uid) for uid in ("one@example.net", "other@example.net"))
    twofold = bundle(BOB, calendar("REQUEST", one), calendar("REQUEST", other))
    desk.store.instead["write"] = [UNREACHABLE]
    assert desk.deliver(twofold) == (TRY_AGAIN,)
    assert len(desk.bodies()) == 1
    (status,) = desk.deliver(twofold)
    assert len(status.outcomes) == len(desk.bodies()) == 2
    assert desk.outcomes() == ["added: invited", "added: invited"]


def test_a_mail_over_the_limit_is_taken_and_not_read() -> None:
    desk = Desk()
    (status,) = desk.gateway.deliver(Envelope("", (ALICE,), request(), oversize=True))
    assert status.done
    assert desk.outcomes() == ["error: too-large"]
    assert desk.bodies() == []


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (mail(BOB, "REQUEST", event(*()), fields=("X-Spam-Flag: YES",)), "no_action: flagged-as-spam"),
        (request().replace(b"text/calendar", b"application/pkcs7-mime"), "no_action: encrypted"),
        (b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n" + request() + b"--b--", "no_action: bounce"),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
            + request()
            + b"\r\n--b--",
            "no_action: forwarded-as-attachment",
        ),
    ],
    ids=["spam", "encrypted", "bounce", "forwarded"],
)
def test_what_the_mail_alone_forbids_is_recorded(sent: bytes, outcome: str) -> None:
    desk = Desk()
    assert [status.code for status in desk.deliver(sent)] == [250]
    assert desk.outcomes() == [outcome]
    assert desk.store.taken == ["complete"]


def test_an_operator_names_the_headers_that_mark_spam() -> None:
    desk = Desk(bounds=replace(Desk().bounds, spam_headers=("X-Rspamd-Action: reject",)))
    desk.deliver(b"X-Rspamd-Action: reject\r\n" + request())
    assert desk.outcomes() == ["no_action: flagged-as-spam"]
    desk.later(minutes=1)
    desk.deliver(b"X-Spam-Flag: YES\r\n" + request(minute=2))
    assert desk.outcomes() == ["added: invited", "no_action: flagged-as-spam"]


def test_the_log_holds_one_line_for_each_message_and_nobody_s_words() -> None:
    desk = Desk()
    with capture_logs() as logged:
        desk.deliver(request())
        desk.deliver(cancel(minute=2))
        desk.deliver(reply(BOB, "ACCEPTED", minute=3))
        desk.deliver(b"Content-Type: text/calendar\r\n\r\n" + SECRET.encode())
        desk.store.instead["find"] = [UNREACHABLE]
        desk.deliver(request(minute=5))
    assert [line["event"] for line in logged] == ["decided"] * 4 + ["postponed"]
    assert [line["log_level"] for line in logged] == ["info"] * 4 + ["warning"]
    assert logged[0] == {
        "event": "decided",
        "log_level": "info",
        "recipient": ALICE,
        "uid": UID,
        "method": "REQUEST",
        "outcome": "added",
        "reason": "invited",
    }
    assert SECRET not in repr(logged)


def test_the_second_half_of_a_series_is_added_although_invitations_are_ignored() -> None:
    """Google ends a series and goes on under a new UID that names the old one (Q2)."""
    half = request(uid="lunch_R20270216T100000@example.org")
    desk = Desk({ALICE: with_policy(invitations="ignore")})
    desk.deliver(half)
    assert desk.outcomes() == ["no_action: invitation-not-added"]
    desk.keep(invited(WEEKLY))
    desk.deliver(half)
    assert desk.outcomes() == ["added: invited"]


def test_a_first_half_that_cannot_be_read_vouches_for_nothing() -> None:
    desk = Desk({ALICE: with_policy(invitations="ignore")})
    desk.keep(invited(WEEKLY).replace(b"DTSTART:", b"DTSTART:x"))
    assert [status.code for status in desk.deliver(request(uid="lunch_R20270216T100000@example.org"))] == [250]
    assert desk.outcomes() == ["no_action: invitation-not-added"]


def test_an_object_that_cannot_be_read_is_left_alone() -> None:
    desk = Desk()
    desk.keep(invited().replace(b"DTSTART:", b"DTSTART:x"))
    held = desk.bodies()
    desk.deliver(cancel())
    assert (desk.outcomes(), desk.bodies()) == (["error: stored-unreadable"], held)


def test_what_would_be_done_is_told_without_doing_it() -> None:
    desk = Desk()
    (judgement,) = desk.gateway.judgements(ALICE, ALICES, Envelope("", (ALICE,), request()))
    assert (judgement.decision.outcome, judgement.writes) == ("added", True)
    assert (desk.bodies(), desk.told()) == ([], [])
    assert desk.store.taken == ["addresses", "find"]


def test_an_outcome_is_one_header_line_whatever_the_uid_is() -> None:
    desk = Desk()
    (status,) = desk.deliver(request(uid='a"b\\c@example.net'))
    assert status.outcomes == ('added; reason=invited; uid="abc@example.net"',)


def _invitation() -> tuple[str, ...]:
    return (f"ORGANIZER:mailto:{BOB}", f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{ALICE}")
