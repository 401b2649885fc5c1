"""The door of ingress: how mail comes in, by LMTP (RFC 2033), SMTP (RFC 5321) or a pipe.

Ingress knows neither accounts nor calendars: it is handed `Serves` and `Deliver` and says what they say.
Drivers, opened by ``cli`` alone: ``lmtp.listener`` and ``smtp.listener`` with ``threads.DeliveryThreads``,
``pipe.run``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from ssl import SSLContext
from typing import Protocol

from imipd.envelope import Envelope, Status

from .budget import Budget

SIZE_LIMIT = 25 * 1024 * 1024
"""Bytes of one mail that are kept (rules.md G9)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a listener allows its peers."""

    hostname: str
    """How we call ourselves in the greeting."""
    size: int = SIZE_LIMIT
    """Bytes kept of one mail; a longer one is read to its end and handed over as `Envelope.oversize`."""
    keeps_all: bool = False
    """Whether what is over `size` is kept, too, in a temporary file: for a mail that goes on to a next hop."""
    recipients: int = 1000
    """Recipients of one mail; the next one hears 452, and the MTA sends it in another mail."""
    connections: int = 100
    """Open connections; the next one hears 421."""
    budget: Budget = field(default_factory=Budget)
    """What the mails of all connections may hold together; several listeners may share one."""
    idle: float = 300.0
    """Seconds without a word from the peer until it hears 421; at least 300 (RFC 5321 §4.5.3.2.7)."""
    allow_from: tuple[IPv4Network | IPv6Network, ...] = ()
    """Who may connect by TCP besides this machine; others hear 421."""
    socket_mode: int = 0o660
    """Permissions of a unix socket."""
    socket_group: str | None = None
    """Group of a unix socket; None: that of the process."""
    certificate: Callable[[], SSLContext] | None = None
    """Asked at each STARTTLS, so that a new certificate needs no new connection; None: not offered."""
    require_tls: bool = False
    """Whether MAIL over TCP hears 451 before STARTTLS."""


class Listener(Protocol):
    """One or more sockets that take mail; all methods run in one event loop."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return where it listens, ``host:port`` or ``unix:/path``; a port 0 is resolved after `start`."""

    async def start(self) -> None:
        """Open every socket and take mail; OSError or ValueError name the address, and then none is open."""

    async def drain(self, timeout: float) -> bool:
        """Stop accepting, dismiss idle peers (421), finish and answer the mails in hand, close.

        Return whether every mail in hand was answered within `timeout` seconds; the others are cut off
        without an answer, so that the MTA keeps them.
        """


DeliverInThread = Callable[[Envelope], Awaitable[tuple[Status, ...]]]
"""`imipd.envelope.Deliver` as the event loop calls it; what it raises is answered 451 for every recipient."""
