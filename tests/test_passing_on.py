"""A mail that goes on: to a next hop that really listens, behind a gateway that does what the recipients' names say."""

import io
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from correspondence import BOB, plain
from daemons import CONFIG, free_place, serving
from imipd.cli.main import main
from imipd.egress import NextHop, hop
from imipd.envelope import DONE, TRY_AGAIN, Envelope, Status
from imipd.gateway import PassingOn
from imipd.ingress.smtp import SmtpDialog
from listening import saying
from test_dialogs import Running

MAIL = b"X-Imipd-Outcome: forged\r\nSubject: hello\r\n\r\n.\r\nbody\n.\r\n"
SENT = b"Subject: hello\r\n\r\n.\r\nbody\r\n.\r\n"
OUTCOME = "updated; reason=attendee-replied"
REFUSED = Status(550, "5.2.1", "Said the next hop")
LATER = Status(451, "4.4.1", "Calendar out of reach")
KINDS = ("lmtp-tcp", "lmtp-unix", "smtp-tcp")


def process(envelope: Envelope) -> tuple[Status, ...]:
    """Answer 451 for away@, and one outcome for the others, dora@'s her own."""
    return tuple(_fate(recipient.partition("@")[0]) for recipient in envelope.recipients)


def _fate(name: str) -> Status:
    if name == "away":
        return TRY_AGAIN
    return Status(250, "2.0.0", "Ok", ("updated; reason=cancelled",) if name == "dora" else (OUTCOME,))


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    server = Running(request.param, f"unix:{tmp_path}/s" if request.param.endswith("unix") else "127.0.0.1:0")
    yield server
    server.stop()


@pytest.fixture
def lmtp(tmp_path: Path) -> Iterator[Running]:
    server = Running("lmtp-unix", f"unix:{tmp_path}/s")
    yield server
    server.stop()


def hop_at(running: Running) -> NextHop:
    """Return the next hop that this listener is."""
    opened = hop.smtp if running.place.startswith("smtp") else hop.lmtp
    return opened(running.address, "imipd.example.org")


def passed_on(running: Running, *names: str, mail: bytes = MAIL, **more: object) -> tuple[Status, ...]:
    """Send a mail through a gateway to a next hop."""
    recipients = tuple(f"{name}@example.org" for name in names)
    envelope = Envelope("bob@example.net", recipients, mail, **more)  # type: ignore[arg-type]
    deliver = PassingOn(process, lambda address: not address.startswith("nobody"), hop_at(running))
    return deliver(envelope)


def received(running: Running) -> list[tuple[tuple[str, ...], bytes]]:
    """Return what arrived: for whom, and what."""
    return [
        (tuple(each.partition("@")[0] for each in mail.recipients), mail.content) for mail in running.calendars.mails
    ]


def test_a_mail_goes_on_as_it_is_with_its_outcome_on_top(running: Running) -> None:
    """A field of that name from outside is gone; a bare LF, where some next hop might see an end, is CRLF."""
    assert passed_on(running, "alice") == (DONE,)
    (mail,) = running.calendars.mails
    assert (mail.reverse_path, mail.recipients) == ("bob@example.net", ("alice@example.org",))
    assert mail.content == b"X-Imipd-Outcome: " + OUTCOME.encode() + b"\r\n" + SENT


def test_who_has_no_account_gets_it_untouched(running: Running) -> None:
    assert passed_on(running, "nobody") == (DONE,)
    assert received(running) == [(("nobody",), SENT)]


def test_nobody_reads_what_became_of_another_s_calendar(lmtp: Running) -> None:
    assert passed_on(lmtp, "alice", "dora", "nobody", "bella") == (DONE,) * 4
    assert [names for names, _ in received(lmtp)] == [("alice", "bella"), ("dora",), ("nobody",)]
    assert [content.count(b"X-Imipd-Outcome") for _, content in received(lmtp)] == [1, 1, 0]


def test_each_answer_of_the_next_hop_is_ours(lmtp: Running) -> None:
    """RFC 2033 §4.2: in their order, those refused at RCPT, after the mail and not at all among them."""
    names = ("alice", "unknown", "later", "refused")
    assert passed_on(lmtp, *names) == (DONE, Status(550, "5.1.1", "No such user here"), LATER, REFUSED)


def test_a_mail_that_cannot_be_processed_waits_or_passes(lmtp: Running) -> None:
    """`on_unavailable`: those who could be served have theirs in any case."""
    assert passed_on(lmtp, "alice", "away") == (DONE, TRY_AGAIN)
    assert [names for names, _ in received(lmtp)] == [("alice",)]
    deliver = PassingOn(process, lambda _: True, hop_at(lmtp), despite_failure=True)
    assert deliver(Envelope("", ("away@example.org",), MAIL)) == (DONE,)
    assert received(lmtp)[1:] == [(("away",), SENT)]
    assert lmtp.calendars.mails[1].reverse_path == ""


@pytest.mark.parametrize(
    ("names", "answers", "arrives"),
    [
        (("alice", "dora", "nobody"), (DONE,) * 3, True),
        (("alice", "away"), (TRY_AGAIN,) * 2, False),
        (("alice", "unknown"), (Status(550, "5.1.1", "No such user here"),) * 2, False),
        (("alice", "broken"), (TRY_AGAIN,) * 2, False),
        (("alice", "refused"), (REFUSED,) * 2, True),
    ],
)
def test_with_one_answer_it_goes_to_all_or_to_none(
    tmp_path: Path, names: tuple[str, ...], answers: tuple[Status, ...], arrives: bool
) -> None:
    """By SMTP a mail that had reached some would come again for all."""
    running = Running("smtp-tcp", "127.0.0.1:0")
    try:
        if "refused" in names:
            names = ("refused", "refused")
        assert passed_on(running, *names, one_answer=True) == answers
        assert [each for each, _ in received(running)] == ([names] if arrives else [])
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("codes", "answer"), [((250, 250), 250), ((250, 552), 552), ((552, 250, 550), 552), ((250, 452, 552), 451)]
)
def test_a_refusal_of_some_after_the_mail_is_not_asked_for_again(codes: tuple[int, ...], answer: int) -> None:
    """By SMTP in and LMTP out the others have the mail by then; 451 would bring it to them again and again."""
    statuses = [Status(code, f"{code // 100}.2.2", "Said the next hop") for code in codes]
    assert [status.code for status in SmtpDialog.__new__(SmtpDialog).answers(statuses)] == [answer]


def test_addresses_beyond_ascii_go_on(running: Running) -> None:
    deliver = PassingOn(process, lambda _: True, hop_at(running))
    assert deliver(Envelope("bøb@example.net", ("älice@example.org",), MAIL)) == (DONE,)
    (mail,) = running.calendars.mails
    assert (mail.reverse_path, mail.recipients) == ("bøb@example.net", ("älice@example.org",))
    assert mail.smtputf8


@pytest.mark.parametrize(
    ("reverse_path", "recipients", "smtputf8", "codes"),
    [
        ("", ("älice@example.org", "alice@example.org"), False, [553, 250]),
        ("bøb@example.net", ("alice@example.org",), False, [550]),
        ("", ("alice@example.org",), True, [250]),
    ],
)
def test_a_next_hop_without_smtputf8_gets_what_it_can_take(
    tmp_path: Path, reverse_path: str, recipients: tuple[str, ...], smtputf8: bool, codes: list[int]
) -> None:
    """RFC 6531 §3.5; a header in UTF-8 alone is stored by whoever takes 8 bits."""
    script = ("220 hi", "250 8BITMIME", "250 from", "250 to", "354 go on", "250 ok", "221 bye")
    with saying(tmp_path, *script) as path:
        answers = hop.lmtp(f"unix:{path}", "h").pass_on(Envelope(reverse_path, recipients, b"", smtputf8=smtputf8), ())
    assert [answer.code for answer in answers] == codes


# -- Failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        ("421 away",),
        ("554 no",),
        ("nonsense",),
        ("220 hi",),
        ("220 hi", "250 hi"),
        ("220 hi", "250 hi", "250 from"),
        ("220 hi", "250 hi", "250 from", "250 to"),
        ("220 hi", "250 hi", "250 from", "250 to", "250 what"),
        ("220 hi", "250 hi", "250 from", "250 to", "354 go on"),
        ("220 hi", "250 hi", "250 from", "250 to", "354 go on", "421 leaving"),
        ("220 hi", "250 hi", "250 from", "250 to", "354 go on", "354 what"),
        ("220 hi", "250 hi", "250 from", "421 leaving"),
    ],
    ids=lambda script: f"{len(script)} {script[-1]}",
)
def test_without_the_next_hop_s_last_word_the_mail_comes_again(tmp_path: Path, script: tuple[str, ...]) -> None:
    """A consent to a recipient, or to the mail to come, is none to the mail."""
    with saying(tmp_path, *script) as path:
        answers = hop.lmtp(f"unix:{path}", "h").pass_on(Envelope("", ("alice@example.org",), b"a\r\n"), ())
    assert answers == (TRY_AGAIN,)


def test_nobody_there_and_the_mail_comes_again(tmp_path: Path) -> None:
    for next_hop in (hop.lmtp(f"unix:{tmp_path}/none", "h"), hop.smtp("127.0.0.1:1", "h")):
        assert next_hop.pass_on(Envelope("", ("alice@example.org",), b""), ()) == (TRY_AGAIN,)


def test_who_was_answered_before_the_connection_broke_keeps_his_answer(tmp_path: Path) -> None:
    script = ("220 hi", "250 hi", "250 from", "250 to", "250 to", "354 go on", "250 2.1.5 done\r\n452 4.2.2")
    recipients = ("a@example.org", "b@example.org")
    with saying(tmp_path, *script) as path:
        answers = hop.lmtp(f"unix:{path}", "h").pass_on(Envelope("", recipients, b""), ())
    assert answers == (Status(250, "2.1.5", "done"), Status(452, "4.2.2", "Said the next hop"))


@pytest.mark.parametrize("refusal", ["530 5.7.0 who are you", "503 no"])
def test_a_sender_or_mail_that_is_refused_is_refused_for_all(tmp_path: Path, refusal: str) -> None:
    for before in (("250 hi",), ("250 hi", "250 from", "250 to")):
        with saying(tmp_path, "220 hi", *before, refusal) as path:
            (answer,) = hop.lmtp(f"unix:{path}", "h").pass_on(Envelope("", ("a@example.org",), b""), ())
        assert answer.code == int(refusal[:3])


# -- Size --------------------------------------------------------------------------------------------------


def test_what_is_over_the_limit_goes_on_in_full(running: Running) -> None:
    """The gateway has the beginning only; to two groups the rest goes twice."""
    beyond = io.BytesIO(b".b\r\n" * 10_000)
    answers = passed_on(running, "alice", "dora", mail=MAIL, oversize=True, beyond=beyond)
    assert answers == (DONE, DONE)
    assert [content.endswith(SENT + b".b\r\n" * 10_000) for _, content in received(running)] == [True, True]


def test_half_a_mail_goes_nowhere(lmtp: Running) -> None:
    """A listener that was opened before there was a next hop keeps the beginning only."""
    assert passed_on(lmtp, "alice", oversize=True) == (TRY_AGAIN,)
    assert received(lmtp) == []


# -- imipd serve -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listens", ["lmtp", "smtp"])
def test_the_daemon_hands_on_whatever_it_takes(tmp_path: Path, lmtp: Running, listens: str) -> None:
    """A stranger to imipd, and a mail over the limit, of which it reads the beginning only: every byte arrives."""
    smtp = free_place()
    more = f'[forward]\nlmtp = "{lmtp.address}"\n[limits]\nmail = 1000\n[smtp]\nlisten = "{smtp}"\n'
    mail = plain() + b"potatoes\r\n" * 9_000
    with serving(tmp_path, "http://127.0.0.1:1/", (free_place(),), more) as daemon:
        if listens == "smtp":
            with smtplib.SMTP(*smtp.split(":")) as peer:  # type: ignore[arg-type]
                peer.sendmail(BOB, ["nobody@example.org"], mail)
        else:
            daemon.send(mail)
        assert daemon.end() == 0
    ((_, content),) = received(lmtp)
    stamp = b"" if listens == "smtp" else b"X-Imipd-Outcome: error; reason=too-large\r\n"
    assert content == stamp + mail


def test_check_tries_the_next_hop(tmp_path: Path, lmtp: Running, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "imipd.toml"
    for place, said in ((lmtp.address, "ok    next hop"), (f"unix:{tmp_path}/none", "FAIL  next hop")):
        text = CONFIG.format(listen=f'["{free_place()}"]', folder=tmp_path, url="http://127.0.0.1:1/")
        config.write_text(f'{text}[forward]\nlmtp = "{place}"\n')
        main(["check", "-c", str(config)])
        assert f"{said} {place}" in capsys.readouterr().out
