"""The sockets of one protocol and the connections that came in by them: start, count, drain."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from . import Settings
from .dialog import LEAVING, Dialog
from .doorman import STRANGER, Doorman, Peer, is_let_in
from .endpoint import Endpoint, Share, opened

log = structlog.get_logger()

FULL = "421 4.3.2 Too many connections, try again later"

OpenDialog = Callable[[Callable[[Dialog], None]], Dialog]


class SocketListener:
    """What `imipd.ingress.Listener` promises, for the dialogs that `open_dialog` makes."""

    def __init__(self, listen: Sequence[str | Share], open_dialog: OpenDialog, settings: Settings) -> None:
        self._listen = tuple(listen)
        self._open_dialog = open_dialog
        self._settings = settings
        self._endpoints: list[Endpoint] = []
        self._dialogs: set[Dialog] = set()
        self._draining = False
        self._nobody_left = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return where it listens."""
        return tuple(address for endpoint in self._endpoints for address in endpoint.addresses)

    async def start(self) -> None:
        """Open every socket, or none."""
        try:
            for place in self._listen:
                self._endpoints.append(await opened(place, self._door, self._settings))
        except (OSError, ValueError):
            self._close_endpoints()
            raise

    async def drain(self, timeout: float) -> bool:
        """Stop accepting, finish the mails in hand, close."""
        self._draining = True
        self._close_endpoints()
        for dialog in tuple(self._dialogs):
            dialog.leave()
        if self._dialogs:
            self._nobody_left.clear()
            await asyncio.wait([asyncio.ensure_future(self._nobody_left.wait())], timeout=timeout)
        return self._cut_off()

    def _cut_off(self) -> bool:
        """Close what is left, and return whether nothing was."""
        if not self._dialogs:
            return True
        log.warning("mails-cut-off", connections=len(self._dialogs))
        for dialog in tuple(self._dialogs):
            dialog.abort()
        return False

    def _close_endpoints(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close(f"{LEAVING}\r\n".encode())
        self._endpoints.clear()

    def _door(self) -> asyncio.BaseProtocol:
        return Doorman(self._received)

    def _received(self, peer: Peer) -> Dialog | str:
        """Return who talks to the peer that has just connected, or why nobody does."""
        if self._draining:
            return LEAVING
        if not is_let_in(peer, self._settings.allow_from):
            log.warning("stranger", peer=peer, hint="name its address in allow_from, if it is your MTA")
            return STRANGER
        if len(self._dialogs) >= self._settings.connections:
            log.warning("too-many-connections", limit=self._settings.connections)
            return FULL
        dialog = self._open_dialog(self._closed)
        self._dialogs.add(dialog)
        return dialog

    def _closed(self, dialog: Dialog) -> None:
        self._dialogs.discard(dialog)
        if not self._dialogs:
            self._nobody_left.set()
