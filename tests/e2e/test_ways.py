"""Every way into imipd: each mail is once in the mailbox and once in the calendar, whatever was away meanwhile."""

import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from .letter import ALICE, ALICE_UMLAUT, CALENDARS, CAROL, DAVE, Letter, invitation
from .mta import Mta, is_listening, submit
from .stand import Server, Stand, standing, until
from .ways import WAYS, Way

pytestmark = pytest.mark.e2e

PARAMETERS = [pytest.param(way, id=way.name) for way in WAYS]
LARGE, OVER_THE_LIMIT = 20 * 2**20, 26 * 2**20


@dataclass
class Running:
    """A way that is up."""

    way: Way
    stand: Stand
    mta: Mta

    def arrives(self, letter: Letter) -> None:
        """Wait for the mail, and then for the queue's end; nothing can come twice after that."""
        holders = [recipient for recipient in letter.recipients if recipient in CALENDARS]
        until(lambda: all(self.stand.mailbox(each, letter) for each in letter.recipients), "the mail")
        until(lambda: all(self.stand.calendar(each, letter) for each in holders), "the event")
        until(self.mta.empty, "an empty queue")
        for recipient in letter.recipients:
            (mail,) = self.stand.mailbox(recipient, letter)
            assert mail.partition(b"\n\n")[2].rstrip(b"\n") == letter.body
        for holder in holders:
            assert self.stand.calendar(holder, letter) == 1
            assert self.stand.outcomes(holder, letter) == ["added: invited"]

    def waits_for(self, server: Server) -> None:
        """Stop a server, send a mail, see it kept, start the server, see it arrive."""
        letter = invitation(ALICE)
        server.stop()
        submit(self.mta, letter)
        if not self.way.tries_again:
            self.loses(letter, server)
            return
        until(self.mta.waiting, "a mail that waits")
        assert len(self.stand.mailbox(ALICE, letter)) == self.way.is_copy
        server.start()
        self.mta.flush()
        self.arrives(letter)

    def loses(self, letter: Letter, server: Server) -> None:
        """See the mail in the mailbox, and nothing left that could bring it to the calendar."""
        until(lambda: self.stand.mailbox(ALICE, letter), "the mail")
        until(self.mta.empty, "an empty queue")
        server.start()
        assert self.stand.calendar(ALICE, letter) == 0


@pytest.fixture(scope="module", params=PARAMETERS)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Set a way up once for all that is asked of it."""
    with standing() as stand:
        way: Way = request.param
        mta = way.build(stand)
        stand.calendars.start()
        stand.imipd.start()
        with ExitStack() as started:
            for each in (*stand.beside, mta):
                each.start()
                started.callback(each.stop)
            until(lambda: is_listening(mta.port), "the mail server")
            yield Running(way, stand, mta)


def test_one_mail(running: Running) -> None:
    letter = invitation(ALICE)
    submit(running.mta, letter)
    running.arrives(letter)


def test_several_recipients_in_one_transaction(running: Running) -> None:
    """Two with calendars, one without."""
    letter = invitation(ALICE, DAVE, CAROL)
    submit(running.mta, letter)
    running.arrives(letter)


def test_an_address_beyond_ascii(running: Running) -> None:
    """Where a program on the way cannot take it, the sender hears of it, and no mailbox has it."""
    letter = invitation(ALICE_UMLAUT)
    if running.way.beyond_ascii == "refused":
        with pytest.raises(smtplib.SMTPNotSupportedError):
            submit(running.mta, letter)
        return
    submit(running.mta, letter)
    if running.way.beyond_ascii == "arrives":
        running.arrives(letter)
        return
    until(lambda: "5.6.7" in running.mta.log, "a bounce")
    until(running.mta.empty, "an empty queue")
    assert running.stand.mailbox(ALICE_UMLAUT, letter) == []


def test_a_large_mail(running: Running) -> None:
    letter = invitation(ALICE, filling=LARGE)
    submit(running.mta, letter)
    running.arrives(letter)


def test_a_mail_over_the_limit(running: Running) -> None:
    """imipd does not read it (`limits.mail`), and every byte of it reaches the mailbox."""
    letter = invitation(ALICE, filling=OVER_THE_LIMIT)
    submit(running.mta, letter)
    until(lambda: running.stand.mailbox(ALICE, letter), "the mail")
    until(running.mta.empty, "an empty queue")
    (mail,) = running.stand.mailbox(ALICE, letter)
    assert mail.partition(b"\n\n")[2].rstrip(b"\n") == letter.body
    assert running.stand.calendar(ALICE, letter) == 0


def test_imipd_away_and_back(running: Running) -> None:
    running.waits_for(running.stand.imipd)


def test_the_calendar_away_and_back(running: Running) -> None:
    running.waits_for(running.stand.calendars)
