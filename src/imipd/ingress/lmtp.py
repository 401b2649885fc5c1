"""LMTP: after DATA one answer for each recipient that was taken, in their order (RFC 2033 §4.2)."""

from collections.abc import Sequence
from functools import partial

from aiosmtpd.lmtp import LMTP

from imipd.envelope import Serves, Status

from . import DeliverInThread, Listener, Settings
from .dialog import Dialog
from .endpoint import Share
from .listener import SocketListener
from .reception import Reception


def listener(listen: Sequence[str | Share], serves: Serves, deliver: DeliverInThread, settings: Settings) -> Listener:
    """Return a listener for LMTP; `serves` is called in the event loop, so it must not wait for anything."""
    dialog = partial(LmtpDialog, Reception(serves, deliver, settings), "LMTP imipd")
    return SocketListener(listen, dialog, settings)


class LmtpDialog(Dialog, LMTP):
    """A connection that speaks LMTP: LHLO instead of HELO and EHLO (RFC 2033 §4.1)."""

    def answers(self, statuses: Sequence[Status]) -> Sequence[Status]:
        """Return one answer for each recipient."""
        return statuses

    async def check_helo_needed(self, helo: str = "LHLO") -> bool:
        """Ask for LHLO where it is missing."""
        return bool(await super().check_helo_needed(helo))
