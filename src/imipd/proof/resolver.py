"""Asks the DNS for TXT records (RFC 1035 §3.3.14), through the system's resolver or the configured ones."""

import re
from collections.abc import Sequence
from ipaddress import ip_address

from dns.exception import DNSException
from dns.name import EmptyLabel, LabelTooLong, NameTooLong
from dns.nameserver import Do53Nameserver
from dns.rdatatype import TXT
from dns.resolver import NXDOMAIN, LRUCache, NoAnswer, Resolver

from . import UnansweredError

PORT = 53
_HOST_NAME = re.compile(r"[a-z0-9_.-]{1,253}", re.IGNORECASE)


class DnsResolver:
    """Implements `Ask`; what it was told it keeps as long as the DNS allows."""

    def __init__(self, servers: Sequence[str], timeout: float) -> None:
        """Ask `servers` ("192.0.2.1", "[::1]:5353"), without any those of the system, at most for `timeout` seconds."""
        self._timeout = timeout
        self._servers = [_server(each) for each in servers]
        self._cache = LRUCache(1000)

    def __call__(self, name: str) -> tuple[bytes, ...]:
        """Return the TXT records of a name, none where there is no such name. Raises UnansweredError."""
        if not _HOST_NAME.fullmatch(name):
            return ()  # a backslash would begin an escape, and hide where a label ends
        try:
            answer = self._resolver().resolve(f"{name}.", TXT, lifetime=self._timeout, search=False)
        except (NXDOMAIN, NoAnswer, LabelTooLong, EmptyLabel, NameTooLong):
            return ()
        except DNSException as error:
            raise UnansweredError(f"DNS: {name}: {type(error).__name__}") from error
        return tuple(b"".join(record.strings) for record in answer)

    def _resolver(self) -> Resolver:
        resolver = Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = self._servers
        resolver.cache = self._cache
        return resolver


def _server(text: str) -> Do53Nameserver:
    """Read an address with or without a port."""
    try:
        return Do53Nameserver(str(ip_address(text)), PORT)
    except ValueError:
        host, _, port = text.rpartition(":")
        return Do53Nameserver(host.strip("[]"), int(port))
