"""One connection, from the greeting to the answers after DATA: what LMTP and SMTP share (RFC 5321, RFC 2033).

The peer hears 5xx only for what it said itself or for a recipient that is not served; whatever goes wrong on
our side is 451, with the traceback in our log only. A mail is answered once it is done, and never before.

The overrides below cure aiosmtpd 1.4.6 and lean on its inner names, hence the pinned version.
"""

import asyncio
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from enum import Enum, auto
from ssl import SSLContext
from tempfile import TemporaryFile

import structlog
from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as Transaction

from imipd.envelope import TRY_AGAIN, Envelope, Status

from . import path
from .answer import enhanced, line
from .budget import Allowance
from .content import Content
from .reception import Reception
from .tls import secured

log = structlog.get_logger()

LEAVING = "421 4.3.2 Shutting down, try again later"
IDLE = "421 4.4.2 Idle for too long"
BROKEN = "421 4.3.0 Try again later"
NO_ROOM = Status(451, "4.3.1", "Too much mail at a time, try again later")

_BLOCK = 64 * 1024
_GRACE = 5.0  # seconds that a peer whom we have left may take to read our last words
# HELP tells the library, and AUTH is not offered: the listeners stand behind the MTA.
_NOT_OFFERED = ("AUTH", "HELP")


class Stage(Enum):
    """Where the dialog stands, as far as a mail is in our hands."""

    COMMANDS = auto()
    SECURING = auto()
    """Between STARTTLS and the end of the handshake: nothing can be said."""
    RECEIVING = auto()
    DELIVERING = auto()


class Dialog(SMTP):
    """A connection; `closed` is called with it when it is over."""

    # aiosmtpd 1.4.6 makes this the limit of the reader's buffer, and 1001 bytes make reading slow.
    line_length_limit = _BLOCK
    # VERP and SRS addresses outgrow what RFC 5321 §4.5.3.1.4 foresees, and "too long" would bounce them.
    command_size_limit = 4096

    has_one_answer = False
    """Whether all recipients share one answer after DATA."""

    # Unset only before the connection is made, where nothing of ours runs.
    session: Session
    envelope: Transaction
    transport: asyncio.Transport | None
    _handler_coroutine: asyncio.Task[None]
    _timeout_handle: asyncio.TimerHandle

    def __init__(self, reception: Reception, ident: str, closed: Callable[["Dialog"], None]) -> None:
        # aiosmtpd 1.4.6 keeps one dict for all connections and empties it with each new one.
        self.command_size_limits = defaultdict(lambda: self.command_size_limit)
        super().__init__(
            reception,
            # No limit is advertised: the MTA would bounce what is over it (rules.md G9).
            data_size_limit=None,
            enable_SMTPUTF8=True,
            hostname=reception.settings.hostname,
            ident=ident,
            timeout=reception.settings.idle,
            loop=asyncio.get_running_loop(),
        )
        for command in _NOT_OFFERED if reception.settings.certificate else (*_NOT_OFFERED, "STARTTLS"):
            self._smtp_methods.pop(command)
        self._reception = reception
        self._closed_callback = closed
        self._stage = Stage.COMMANDS
        self._leaving = False

    @property
    def may_start_tls(self) -> bool:
        """Whether STARTTLS is offered: there is a certificate, the peer comes by TCP, and has not done so yet."""
        over_tcp = isinstance(self.session.peer, tuple)
        return self._reception.settings.certificate is not None and over_tcp and self.session.ssl is None

    @abstractmethod
    def answers(self, statuses: Sequence[Status]) -> Sequence[Status]:
        """Return what is answered after DATA, given the status of each recipient."""

    def leave(self) -> None:
        """Close the connection, as soon as the mail in hand is answered."""
        self._leaving = True
        if self._stage in (Stage.COMMANDS, Stage.SECURING):
            self._hang_up(LEAVING)

    def abort(self) -> None:
        """Close the connection at once; the MTA keeps a mail that was not answered."""
        if self.transport is not None:
            self.transport.abort()

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Receive one mail, have it delivered, answer."""
        if await self._refuses_data(arg):
            return
        self._stage = Stage.RECEIVING
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        settings = self._reception.settings
        content = Content(settings.size, TemporaryFile if settings.keeps_all else None)
        with closing(content), closing(Allowance(settings.budget)) as allowance:
            await self._receive(content, allowance)
            envelope = self._envelope(content)
            self._stage = Stage.DELIVERING
            # Delivering may take longer than a silent peer is borne with.
            self._timeout_handle.cancel()
            statuses = await self._statuses(envelope, content)
        if len(statuses) != len(envelope.recipients):
            raise ValueError(f"{len(statuses)} statuses for {len(envelope.recipients)} recipients")
        await self.push(self._end_of_mail(statuses))

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Go on in TLS, and forget what was said before it (RFC 3207 §4.2)."""
        certificate = self._reception.settings.certificate
        if arg:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        elif certificate is None or not self.may_start_tls:
            await self.push("503 5.5.1 Error: STARTTLS is not possible here")
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            await self._secure(certificate())

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Begin a mail, where TLS is required not before it.

        451 and not 530 (RFC 3207 §4): an MTA that does not speak TLS would bounce over our configuration.
        """
        if self._reception.settings.require_tls and self.may_start_tls:
            await self.push("451 4.7.0 Must issue a STARTTLS command first")
            return
        await super().smtp_MAIL(arg)

    async def smtp_VRFY(self, _arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Say nothing about who is here (RFC 5321 §7.3)."""
        await self.push("252 2.5.2 Cannot verify, but will take mail for those whom we serve")

    async def push(self, status: str) -> None:  # type: ignore[override]  # bytes: AUTH only
        """Send one answer; a refusal of aiosmtpd's gets its enhanced code (RFC 2034 §4)."""
        await super().push(enhanced(status))
        if self._leaving and self._stage is Stage.COMMANDS:
            self._hang_up(LEAVING)
            # The hang-up cancels this task; here it takes notice, before it reads commands that were sent ahead.
            await asyncio.sleep(0)

    async def handle_exception(self, error: Exception) -> str:
        """Return the answer to whatever went wrong: 451, for LMTP one for each recipient of a mail in hand.

        aiosmtpd 1.4.6 would say "500 Error: (RuntimeError) ...": permanent, telling, and once only.
        """
        log.error("ingress-unexpected", peer=self.session.peer, stage=self._stage.name, exc_info=error)
        if self._stage is Stage.DELIVERING:
            return self._end_of_mail([TRY_AGAIN] * len(self.envelope.rcpt_tos))
        if self._stage is Stage.RECEIVING:
            # The rest of the content must not be read as commands.
            self._hang_up(BROKEN)
        return str(TRY_AGAIN)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to talk."""
        super().connection_made(transport)
        self._handler_coroutine.add_done_callback(self._talk_ended)

    def connection_lost(self, error: Exception | None) -> None:
        """End the talk, once; a mail of which the end has not come is forgotten."""
        if self.transport is None:
            return
        super().connection_lost(error)
        self._closed_callback(self)

    async def _secure(self, certificate: SSLContext) -> None:
        self._stage = Stage.SECURING
        peer, idle = self.session.peer, self._reception.settings.idle
        try:
            self.transport, hasty = await secured(self._reader, self._writer, certificate, idle)
        except OSError as error:
            raise ConnectionResetError(f"no TLS: {error}") from error
        if hasty:
            log.warning("commands-before-tls-dropped", peer=peer)
        self.session = self._create_session()
        self.session.peer, self.session.ssl = peer, {"ssl_object": self.transport.get_extra_info("ssl_object")}
        self._stage = Stage.COMMANDS
        self._reset_timeout()

    async def _refuses_data(self, arg: str | None) -> bool:
        if await self.check_helo_needed():
            return True
        if not self.envelope.rcpt_tos:
            # LMTP demands 503 here (RFC 2033 §4.2).
            await self.push("503 5.5.1 Error: need RCPT command")
            return True
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return True
        return False

    async def _statuses(self, envelope: Envelope, content: Content) -> tuple[Status, ...]:
        if content.given_up:
            return (NO_ROOM,) * len(envelope.recipients)
        return await self._reception.deliver(envelope)

    async def _receive(self, content: Content, allowance: Allowance) -> None:
        """Read the content to its end, whatever its size."""
        while content.rest is None:
            block = await self._reader.read(_BLOCK)
            if not block:
                raise ConnectionResetError("the peer closed the connection within DATA")
            self._reset_timeout()
            if not allowance.covers(content.kept_with(block)):
                await self._wait_for_room(content, allowance, block)
            content.feed(block)
        # Commands that the peer sent ahead (RFC 2920) go back: asyncio has no public way to unread.
        self._reader._buffer[:0] = content.rest  # type: ignore[attr-defined]

    async def _wait_for_room(self, content: Content, allowance: Allowance, block: bytes) -> None:
        """Wait until more may be held; a mail that waits too long is read to its end, not kept, and comes again."""
        self._timeout_handle.cancel()  # it is the peer who waits for us
        try:
            await allowance.grow(content.kept_with(block))
        except TimeoutError:
            log.warning("no-room", peer=self.session.peer, size=content.size, hint="raise serve.mail_memory")
            content.give_up()
            allowance.close()
        self._reset_timeout()

    def _envelope(self, content: Content) -> Envelope:
        reverse_path = self.envelope.mail_from
        recipients = tuple(self.envelope.rcpt_tos)
        if content.oversize:
            log.warning("too-large", peer=self.session.peer, size=content.size, recipients=recipients)
        return Envelope(
            reverse_path="" if reverse_path == path.NULL else reverse_path,
            recipients=recipients,
            content=content.take(),
            oversize=content.oversize,
            beyond=content.beyond,
            smtputf8=bool(self.envelope.smtp_utf8),
            one_answer=self.has_one_answer,
        )

    def _end_of_mail(self, statuses: Sequence[Status]) -> str:
        """Forget the mail; return its answers."""
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        self._stage = Stage.COMMANDS
        self._reset_timeout()
        return "\r\n".join(line(status) for status in self.answers(statuses))

    def _hang_up(self, last_words: str) -> None:
        """Say why and close: a 421 may come at any time (RFC 5321 §3.8)."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if self._stage is Stage.SECURING:
            transport.abort()
            return
        transport.write(last_words.encode() + b"\r\n")
        self._handler_coroutine.cancel()
        transport.close()
        # A peer that does not read keeps a closing transport open.
        self.loop.call_later(_GRACE, transport.abort)

    def _talk_ended(self, task: "asyncio.Task[None]") -> None:
        """Close what is still open, and take note of an error that nobody awaits."""
        if not task.cancelled() and (error := task.exception()):
            log.info("connection-broken", peer=self.session.peer, error=repr(error))
        if self.transport is not None:
            self.transport.close()
        if self._stage is Stage.SECURING:
            # Within the handshake asyncio (Python 3.11) does not tell us that the connection is lost.
            self.connection_lost(None)

    def _timeout_cb(self) -> None:
        # aiosmtpd 1.4.6 closes without a word.
        self._hang_up(IDLE)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # aiosmtpd 1.4.6 uses the parser for mail headers: slow, and strict about what strangers are called.
        return path.read(arg) or (None, None)
