"""Who is let in, as soon as it is known where he comes from; everybody else hears 421 (RFC 5321 §3.8).

Not 554: an MTA that got a new address, or that the configuration forgot, shall keep its mails and try again, and
not bounce them over a calendar.
"""

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

STRANGER = "421 4.7.1 imipd takes no mail from your address"

Peer = tuple[str, int] | tuple[str, int, int, int] | str | bytes | None
"""What asyncio calls ``peername``: host and port, a path for a unix socket, None where nobody is there any more."""


def is_let_in(peer: Peer, allow_from: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether a peer is on this machine or in one of the networks; of a unix socket its mode decides."""
    if not isinstance(peer, tuple):
        return peer is not None
    address = ip_address(peer[0])
    # A socket for both families names IPv4 as ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2).
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or any(address in network for network in allow_from)


class Doorman(asyncio.Protocol):
    """A connection of which nothing is known yet; `judge` says who takes it over, or the last words to it."""

    def __init__(self, judge: Callable[[Peer], asyncio.Protocol | str]) -> None:
        self._judge = judge

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream
        """Hand it over, or send it away."""
        verdict = self._judge(transport.get_extra_info("peername"))
        if isinstance(verdict, str):
            transport.write(verdict.encode() + b"\r\n")
            transport.close()
        else:
            transport.set_protocol(verdict)
            verdict.connection_made(transport)
