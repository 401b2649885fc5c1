"""What docs/mail/dovecot.md says of vnd.dovecot.filter: a program that fails is never run again."""

from contextlib import ExitStack

import pytest

from .letter import ALICE, invitation
from .mta import submit
from .stand import standing, until
from .ways import sieving

pytestmark = pytest.mark.e2e

SCRIPT = """\
require ["vnd.dovecot.filter", "mime", "foreverypart"];
foreverypart {
  if header :mime :contenttype "Content-Type" "text/calendar" { filter "failing"; break; }
}
"""


def test_where_a_filter_fails_the_mail_is_filed_as_it_came() -> None:
    """Its exit code is 75, and nothing is left in any queue."""
    with standing() as stand, ExitStack() as started:
        postfix = sieving(stand, SCRIPT)
        program = stand.subfolder("programs") / "failing"
        program.write_text("#!/bin/sh\ncat > /dev/null\nexit 75\n")
        program.chmod(0o755)
        for each in (*stand.beside, postfix):
            each.start()
            started.callback(each.stop)
        letter = invitation(ALICE)
        submit(postfix, letter)
        until(lambda: stand.mailbox(ALICE, letter), "the mail")
        until(postfix.empty, "an empty queue")
        (mail,) = stand.mailbox(ALICE, letter)
        assert mail.partition(b"\n\n")[2].rstrip(b"\n") == letter.body
        assert "Terminated with non-zero exit code 75" in (stand.folder / "dovecot" / "log").read_text()
