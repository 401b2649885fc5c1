"""The door of egress: how a mail goes on to the next hop, by LMTP (RFC 2033) or SMTP (RFC 5321).

Drivers, opened by ``cli`` alone: ``hop.lmtp`` and ``hop.smtp``.
"""

from collections.abc import Sequence
from typing import Protocol

from imipd.envelope import Envelope, Status


class NextHop(Protocol):
    """Where mail goes on to."""

    def pass_on(self, envelope: Envelope, outcomes: Sequence[str]) -> tuple[Status, ...]:
        """Hand a mail over with its outcomes on top; return the next hop's answer for each recipient; never raise.

        451 where there is no answer. With `Envelope.one_answer` the mail goes to all of its recipients or to none, as
        far as the next hop lets that be known before the mail is sent.
        """
