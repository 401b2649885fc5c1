"""What a mail server says of a mail that it could not deliver: read from the report, believed by the envelope (B1)."""

import pytest

from correspondence import ALICE, BOB, calendar, event, meeting
from desks import Desk, with_policy
from imipd import mail
from imipd.envelope import Envelope

INVITATION = calendar("REQUEST", event(f"ORGANIZER:mailto:{ALICE}", f"ATTENDEE:mailto:{BOB}")).decode()


def report(block: str, status: str = "message/delivery-status") -> bytes:
    """Return the mail in which a mail server says what became of the invitation."""
    rows = [
        "From: MAILER-DAEMON@example.org",
        f"To: {ALICE}",
        "Date: Mon, 04 Jan 2027 08:01:00 +0000",
        "Message-ID: <report@example.org>",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        "",
        f"--b\n\nSorry.\n--b\nContent-Type: {status}\n\nReporting-MTA: dns; mx.example.org\n\n{block}\n",
        "--b\nContent-Type: message/rfc822\n",
        f"From: {ALICE}\nContent-Type: text/calendar; method=REQUEST\n\n{INVITATION}\n--b--",
    ]
    return "\r\n".join("\n".join(rows).splitlines()).encode() + b"\r\n"


FAILED = f"Final-Recipient: rfc822;{BOB}\nAction: failed\nStatus: 5.1.1\n"


@pytest.mark.parametrize(
    ("block", "failed"),
    [
        (FAILED, (BOB,)),
        (f"Final-Recipient: RFC822 ; <{BOB.upper()}>\nACTION:  Failed\nStatus: 5.1.10 (unknown)\n", (BOB,)),
        (
            f"{FAILED}\nFinal-Recipient: rfc822; dave@example.org\nAction: failed\nStatus: 5.2.2\n",
            (BOB, "dave@example.org"),
        ),
        (f"Original-Recipient: rfc822;{BOB}\n{FAILED.replace(BOB, 'b@example.com')}", (BOB, "b@example.com")),
        (FAILED.replace("failed", "delayed"), ()),
        (FAILED.replace("failed", "expanded"), ()),
        (FAILED.replace("5.1.1", "4.4.7"), ()),
        (FAILED.replace("5.1.1", "550"), ()),
        (FAILED.replace("Status: 5.1.1\n", ""), ()),
        (FAILED.replace("rfc822;", "x400;"), ()),
        (FAILED.replace(f"rfc822;{BOB}", "rfc822"), ()),
        ("", ()),
    ],
)
def test_whom_a_report_tells_of(block: str, failed: tuple[str, ...]) -> None:
    read = mail.read(report(block))
    assert read.obstacle == "bounce"
    assert read.report.failed == failed
    assert len(read.report.returned) == (1 if failed else 0)


def test_another_part_of_that_look_tells_nothing() -> None:
    assert mail.read(report(FAILED, "text/plain")).report == mail.Report()


def test_any_number_of_recipients_is_bounded() -> None:
    block = "\n".join(
        f"Final-Recipient: rfc822;b{number}@example.net\nAction: failed\nStatus: 5.1.1\n" for number in range(500)
    )
    assert len(mail.read(report(block)).report.failed) <= 100


@pytest.mark.parametrize(
    ("reverse_path", "outcome"),
    [("", "updated: invitation-bounced"), (None, "updated: invitation-bounced"), (BOB, "no_action: bounce")],
)
def test_a_report_has_the_null_reverse_path(reverse_path: str | None, outcome: str) -> None:
    """RFC 3464 §2; a pipe that does not tell the reverse-path tells nothing against it."""
    desk = Desk({ALICE: with_policy(bounces="mark")})
    desk.keep(meeting())
    desk.gateway.deliver(Envelope(reverse_path, (ALICE,), report(FAILED)))
    assert desk.outcomes() == [outcome]
    assert (b"SCHEDULE-STATUS=5.1" in desk.bodies()[0]) == outcome.startswith("updated")
