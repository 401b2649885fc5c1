"""Mail that shows no sign of a calendar: answered in the event loop, as a delivery would answer it."""

import asyncio
import smtplib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from corpus import ROOT
from correspondence import ALICE, BOB, plain, reply
from daemons import free_place, serving
from desks import ALICES, Desk
from imipd.envelope import DONE, Envelope, Status
from imipd.gateway import Bounds, Gateway, Judgement
from imipd.ingress.threads import LONGEST_AT_ONCE as LONGEST
from imipd.ingress.threads import DeliveryThreads
from imipd.look import _BLOCK, may_carry_calendar
from imipd.mail import Limits
from sinks import sink

SAMPLES = sorted((ROOT / "sample-mail").rglob("*.eml"))
SPAM = b"X-Spam-Flag: YES\r\n" + plain()
NOBODY = "nobody@example.org"


class Watched(Desk):
    """A desk that keeps what its gateway tells."""

    def another_node(self) -> Gateway:
        self.decided: list[Judgement] = []
        gateway = super().another_node()
        gateway._doors = replace(gateway._doors, decided=self.decided.append)
        return gateway

    def told_in_figures(self) -> list[tuple[str | None, str, str]]:
        """Return what is counted."""
        return [(each.method, each.decision.outcome, each.decision.reason) for each in self.decided]


@pytest.mark.parametrize("mail", [plain(), SPAM, b"", *(path.read_bytes() for path in SAMPLES)])
def test_what_is_answered_at_once_is_what_a_delivery_answers_says_and_counts(mail: bytes) -> None:
    envelope = Envelope(BOB, (ALICE.upper(), NOBODY), mail)
    served = {ALICE.upper(): ALICES}
    at_once, delivered = Watched(served), Watched(served)
    with capture_logs() as said_at_once:
        answers = at_once.gateway.at_once(envelope)
    with capture_logs() as said:
        statuses = delivered.gateway.deliver(envelope)
    ordinary = not may_carry_calendar(mail)
    assert answers == (statuses if ordinary else None)
    assert (said_at_once, at_once.told_in_figures()) == ((said, delivered.told_in_figures()) if ordinary else ([], []))
    assert (at_once.told(), at_once.store.taken) == ([], [])
    if ordinary:
        assert (delivered.told(), delivered.store.taken) == ([], [])


@pytest.mark.parametrize("envelope", [Envelope(BOB, (ALICE,), plain(), oversize=True), Envelope(BOB, (ALICE,), SPAM)])
def test_a_mail_over_the_limit_is_not_ordinary(envelope: Envelope) -> None:
    """Its entry says that it is too large."""
    desk = Desk(bounds=Bounds(Limits(mail=len(plain()))))
    assert desk.gateway.at_once(envelope) is None
    desk.gateway.deliver(envelope)
    assert desk.outcomes() == ["error: too-large"]


@pytest.mark.parametrize("at", [0, *range(_BLOCK - 20, _BLOCK + 1), 2 * _BLOCK, 3 * _BLOCK - 9])
def test_a_sign_of_a_calendar_is_seen_wherever_the_look_cuts(at: int) -> None:
    mail = bytearray(b"a" * 3 * _BLOCK)
    assert not may_carry_calendar(bytes(mail))
    mail[at : at + 9] = b"/Calendar"
    assert may_carry_calendar(bytes(mail))


@pytest.mark.parametrize(
    ("size", "ordinary", "in_loop"),
    [(LONGEST, True, True), (LONGEST, False, False), (LONGEST + 1, True, False)],
)
def test_a_thread_is_asked_only_where_the_event_loop_cannot_answer(size: int, ordinary: bool, in_loop: bool) -> None:
    asked: list[threading.Thread] = []

    def deliver(envelope: Envelope) -> tuple[Status, ...]:
        asked.append(threading.current_thread())
        return (DONE,)

    threads = DeliveryThreads(deliver, lambda envelope: deliver(envelope) if ordinary else None, 1)
    assert asyncio.run(threads(Envelope(BOB, (ALICE,), b"a" * size))) == (DONE,)
    threads.close()
    assert [thread is threading.main_thread() for thread in asked] == [in_loop]


def test_the_daemon_delivers_what_the_look_finds(tmp_path: Path) -> None:
    with serving(tmp_path, "http://127.0.0.1:1/", (free_place(),)) as daemon:
        daemon.send(plain())
        with pytest.raises(smtplib.SMTPException, match="Try again"):
            daemon.send(reply(BOB, "ACCEPTED"))
        assert daemon.end() == 0
        assert [line["reason"] for line in daemon.logged() if line["event"] == "decided"] == ["no-calendar-part"]


def test_with_a_next_hop_ordinary_mail_goes_on_too(tmp_path: Path) -> None:
    with sink() as kept:
        more = f'[forward]\nsmtp = "{kept.place}"\n'
        with serving(tmp_path, "http://127.0.0.1:1/", (free_place(),), more) as daemon:
            daemon.send(plain())
    (envelope,) = kept.mails
    assert envelope.content == b"X-Imipd-Outcome: no_action; reason=no-calendar-part\r\n" + plain()
