"""What docs/mail/forward.md says of a next hop that is away: the mail waits, and the calendar has it once."""

from contextlib import ExitStack

import pytest

from .letter import ALICE, invitation
from .mta import submit
from .stand import standing, until
from .ways import before_dovecot_by_unix

pytestmark = pytest.mark.e2e


def test_the_next_hop_away_and_back() -> None:
    """Dovecot is away; imipd has processed the mail already when Postfix brings it again."""
    with standing() as stand, ExitStack() as started:
        postfix = before_dovecot_by_unix(stand)
        (dovecot,) = stand.beside
        stand.calendars.start()
        stand.imipd.start()
        postfix.start()
        started.callback(postfix.stop)
        letter = invitation(ALICE)
        submit(postfix, letter)
        until(postfix.waiting, "a mail that waits")
        assert (stand.calendar(ALICE, letter), stand.mailbox(ALICE, letter)) == (1, [])
        dovecot.start()
        started.callback(dovecot.stop)
        postfix.flush()
        until(postfix.empty, "an empty queue")
        assert (stand.calendar(ALICE, letter), len(stand.mailbox(ALICE, letter))) == (1, 1)
        assert stand.outcomes(ALICE, letter) == ["added: invited"]
