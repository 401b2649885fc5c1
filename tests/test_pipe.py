"""One mail through the pipe: exit codes, and the mail that passes through."""

import io
from collections.abc import Callable
from email import message_from_bytes

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imipd.envelope import DONE, TRY_AGAIN, Envelope, Status
from imipd.ingress.pipe import Errand, run
from imipd.stamp import stamped

MAIL = b"Subject: hello\nTo: ok@example.org\n\nbody\n"
OUTCOME = 'updated; reason=attendee-replied; uid="abc@example.org"'
UPDATED = Status(250, "2.0.0", "Ok", (OUTCOME,))
STAMP = b"X-Imipd-Outcome: " + OUTCOME.encode()

Answers = Callable[[Envelope], tuple[Status, ...]]


class Call:
    """One call of the pipe with what came of it."""

    def __init__(self, mail: bytes, answers: Answers, *recipients: str, limit: int = 1000) -> None:
        self.mails: list[Envelope] = []
        self.stdin = io.BytesIO(mail)
        stdout = io.BytesIO()

        def deliver(envelope: Envelope) -> tuple[Status, ...]:
            self.mails.append(envelope)
            return answers(envelope)

        errand = Errand(self.stdin, recipients or ("ok@example.org",), "bob@example.net", stdout, limit)
        self.code = run(errand, serves, deliver)
        self.stdout = stdout.getvalue()


def serves(address: str) -> bool:
    """Know ok@; broken@ is a defect of ours."""
    if address.startswith("broken@"):
        raise OSError("directory out of reach")
    return address.startswith("ok")


def done(envelope: Envelope) -> tuple[Status, ...]:
    """Answer 250 for each recipient."""
    return (DONE,) * len(envelope.recipients)


def updated(_envelope: Envelope) -> tuple[Status, ...]:
    """Answer 250 with one outcome."""
    return (UPDATED,)


def crash(_envelope: Envelope) -> tuple[Status, ...]:
    """Break."""
    raise RuntimeError("a defect")


# -- Exit codes --------------------------------------------------------------------------------------------


def test_done_is_0_and_the_envelope_is_as_it_was_called() -> None:
    """Recipients, reverse-path and content arrive."""
    call = Call(MAIL, done, "ok@example.org", "ok2@example.org")
    assert call.code == 0
    assert call.mails == [Envelope("bob@example.net", ("ok@example.org", "ok2@example.org"), MAIL)]


@pytest.mark.parametrize("reverse_path", [None, ""])
def test_null_and_unknown_reverse_path_are_two_things(reverse_path: str | None) -> None:
    """None stays None, and without passthrough nothing is needed to write to."""
    mails: list[Envelope] = []

    def deliver(envelope: Envelope) -> tuple[Status, ...]:
        mails.append(envelope)
        return (DONE,)

    assert run(Errand(io.BytesIO(MAIL), ("ok@example.org",), reverse_path), serves, deliver) == 0
    assert mails[0].reverse_path == reverse_path


@pytest.mark.parametrize(
    "answers",
    [
        crash,
        lambda _: (TRY_AGAIN,),
        lambda _: (DONE, TRY_AGAIN),
        lambda _: (Status(550, "5.2.1", "Said the next hop"),),
        lambda _: (),
    ],
    ids=["crash", "later", "one later", "refused by the next hop", "no status"],
)
def test_not_done_is_75_and_nothing_on_stdout(answers: Answers) -> None:
    """Whatever went wrong, the caller keeps the mail and hears no half of it."""
    call = Call(MAIL, answers, "ok@example.org")
    assert (call.code, call.stdout) == (75, b"")


def test_serves_that_breaks_is_75() -> None:
    """Whether somebody is served cannot be found out: come again."""
    call = Call(MAIL, done, "broken@example.org")
    assert (call.code, call.stdout, call.mails) == (75, b"", [])


def test_nobody_served_is_67() -> None:
    """No account for any recipient; the mail is read to its end, so that the caller's pipe does not break."""
    call = Call(MAIL, done, "who@example.org", "why@example.org", limit=3)
    assert (call.code, call.stdout, call.mails) == (67, b"", [])
    assert call.stdin.read() == b""


def test_some_served_is_theirs() -> None:
    """The mail is processed for those who are served, and the exit code is theirs."""
    call = Call(MAIL, done, "who@example.org", "ok@example.org")
    assert call.code == 0
    assert call.mails[0].recipients == ("ok@example.org",)
    assert Call(MAIL, lambda _: (TRY_AGAIN,), "who@example.org", "ok@example.org").code == 75


def test_stdout_that_breaks_is_75() -> None:
    """A reader who has gone has no mail, so the caller keeps it."""

    class Gone(io.BytesIO):
        def write(self, _bytes: object) -> int:
            raise BrokenPipeError

    assert run(Errand(io.BytesIO(MAIL), ("ok@example.org",), None, Gone()), serves, updated) == 75


# -- Size --------------------------------------------------------------------------------------------------


def test_oversize_is_handed_over_in_part_and_passes_in_full() -> None:
    """Over the limit only the beginning is kept, and every byte goes through."""
    mail = MAIL + b"x" * 200_000
    call = Call(mail, updated, limit=60)
    assert call.mails[0].oversize
    assert call.mails[0].content == mail[:60]
    assert call.stdout == STAMP + b"\n" + mail


@pytest.mark.parametrize(("limit", "oversize"), [(len(MAIL), False), (len(MAIL) - 1, True)])
def test_the_limit_itself_is_within(limit: int, oversize: bool) -> None:
    """A mail of exactly the limit is whole."""
    call = Call(MAIL, done, limit=limit)
    assert (call.mails[0].oversize, call.mails[0].content) == (oversize, MAIL[:limit])


# -- Passthrough -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_outcomes_stand_on_top_with_the_line_ends_of_the_mail(eol: bytes) -> None:
    """One field for each message, then the mail as it was."""
    mail = MAIL.replace(b"\n", eol)
    twice = Status(250, "2.0.0", "Ok", (OUTCOME, "no_action; reason=stale"))
    call = Call(mail, lambda _: (twice,))
    assert call.stdout == STAMP + eol + b"X-Imipd-Outcome: no_action; reason=stale" + eol + mail


@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_outcomes_from_outside_are_removed(eol: bytes) -> None:
    """In any case and folding, on top, in the middle, at the end of the header; not in the body."""
    mail = eol.join([
        b"x-imipd-outcome: updated",
        b"Subject: =?utf-8?q?x?=",
        b" X-Imipd-Outcome: part of the subject",
        b"X-IMIPD-OUTCOME :",
        b"\tupdated;",
        b" uid=x",
        b"X-Imipd-Outcomes: another field",
        b"X-Imipd-Outcome: last",
        b"",
        b"X-Imipd-Outcome: body \xff\x00",
        b"",
    ])  # fmt: skip
    kept = eol.join([
        b"Subject: =?utf-8?q?x?=",
        b" X-Imipd-Outcome: part of the subject",
        b"X-Imipd-Outcomes: another field",
        b"",
        b"X-Imipd-Outcome: body \xff\x00",
        b"",
    ])  # fmt: skip
    assert Call(mail, done).stdout == kept
    assert Call(mail, updated).stdout == STAMP + eol + kept


@pytest.mark.parametrize(
    ("mail", "left"),
    [
        (b"A: b\rX-Imipd-Outcome: hidden\rC: d\n\nbody", b"A: b\rC: d\n\nbody"),
        (b"X-Imipd-Outcome: no body", b""),
        (b"X-Imipd-Outcome: a\n b\n\nbody", b"\nbody"),
        (b"\nX-Imipd-Outcome: body", b"\nX-Imipd-Outcome: body"),
        (b"A: b\n \nX-Imipd-Outcome: after a blank continuation\n\n", b"A: b\n \n\n"),
        (b"A: b\r\n\nX-Imipd-Outcome: body", b"A: b\r\n\nX-Imipd-Outcome: body"),
        (b"", b""),
    ],
)
def test_odd_headers(mail: bytes, left: bytes) -> None:
    """A header without a body, a body without a header, line ends of every kind."""
    assert stamped(mail, ()) == left


def test_from_line_of_mbox_stays_the_first() -> None:
    """The "From " line is no part of the mail, and stands where it stood."""
    from_line = b"From bob@example.net Tue Mar 10 10:00:00 2026\n"
    call = Call(from_line + MAIL, updated)
    assert call.mails[0].content == MAIL
    assert call.stdout == from_line + STAMP + b"\n" + MAIL


def test_an_outcome_is_one_line() -> None:
    """A UID with line ends cannot write a field of its own."""
    field = stamped(MAIL, ("updated; uid=a\r\nBcc: b",)).partition(b"\n")[0]
    assert field == b"X-Imipd-Outcome: updated; uid=a Bcc: b"


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"X-Imipd-Outcome: a", b"A: b", b"\n", b"\r\n", b"\r", b" ", b""])).map(b"".join))
def test_stamping_again_changes_nothing(mail: bytes) -> None:
    """What we have stamped is replaced, not added to; another reader of mail finds nothing from outside."""
    assume(not mail.startswith(b" "))  # a continuation of nothing becomes one of ours
    once = stamped(mail, ("updated",))
    assert stamped(once, ("updated",)) == once
    assert "X-Imipd-Outcome" not in message_from_bytes(stamped(mail, ()))
