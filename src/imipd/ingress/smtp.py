"""SMTP: after DATA one answer for all recipients (RFC 5321 §4.1.1.4).

A mail that is done for some recipients only comes again for all: delivering twice changes nothing.
"""

from collections.abc import Sequence
from functools import partial

from imipd.envelope import TRY_AGAIN, Serves, Status

from . import DeliverInThread, Listener, Settings
from .dialog import Dialog
from .endpoint import Share
from .listener import SocketListener
from .reception import Reception


def listener(listen: Sequence[str | Share], serves: Serves, deliver: DeliverInThread, settings: Settings) -> Listener:
    """Return a listener for SMTP; `serves` is called in the event loop, so it must not wait for anything."""
    dialog = partial(SmtpDialog, Reception(serves, deliver, settings), "ESMTP imipd")
    return SocketListener(listen, dialog, settings)


class SmtpDialog(Dialog):
    """A connection that speaks SMTP."""

    has_one_answer = True

    def answers(self, statuses: Sequence[Status]) -> Sequence[Status]:
        """Return the answer for all: 451 where one has to come again, else a refusal (the next hop's), else done.

        Where some have the mail and it is refused for others for good, 451 would bring it to the first again and again.
        """
        if any(status.code // 100 == 4 for status in statuses):
            return [TRY_AGAIN]
        return [max(statuses, key=lambda status: status.code)]
