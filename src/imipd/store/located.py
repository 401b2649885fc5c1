"""Where the DNS says that a domain's calendars are (RFC 6764 §3, §6): what `dns:example.org` in caldav.url means.

Whoever answers for the DNS must not choose who gets the credentials: only TLS, and only hosts of the domain itself.
"""

from collections.abc import Sequence
from ipaddress import ip_address

from dns.exception import DNSException
from dns.nameserver import Do53Nameserver
from dns.rdatatype import SRV, TXT, RdataType
from dns.resolver import NXDOMAIN, Answer, LRUCache, NoAnswer, Resolver

from . import Place, RefusedError, UnreachableError

SERVICE = "_caldavs._tcp"


class DnsLocator:
    """Implements `Locate`; what it was told it keeps as long as the DNS allows."""

    def __init__(self, servers: Sequence[str] = (), timeout: float = 5.0) -> None:
        """Ask `servers` ("192.0.2.1", "[::1]:5353"), without any those of the system, at most for `timeout` seconds."""
        self._servers = [_server(each) for each in servers]
        self._timeout = timeout
        self._cache = LRUCache(1000)

    def __call__(self, domain: str) -> tuple[Place, ...]:
        """See `Locate`."""
        name = f"{SERVICE}.{domain}"
        found = self._asked(name, SRV) or ()
        # RFC 2782: by priority; among equals the greater weight first, which is the same on every node.
        rows = sorted(found, key=lambda row: (row.priority, -row.weight, str(row.target)))
        targets = [(str(row.target).rstrip(".").lower(), row.port) for row in rows]
        path = self._path(name) if targets else ""
        return tuple(_place(domain, host, port, path) for host, port in targets if host)

    def _path(self, name: str) -> str:
        """Return what the TXT record says (RFC 6764 §4), else the root, from which the well-known URI is found."""
        texts = (b"".join(row.strings).decode("utf-8", "replace") for row in self._asked(name, TXT) or ())
        return next((text[5:] for text in texts if text.lower().startswith("path=/")), "/")

    def _asked(self, name: str, kind: RdataType) -> Answer | None:
        resolver = Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = self._servers
        resolver.cache = self._cache
        try:
            return resolver.resolve(f"{name}.", kind, lifetime=self._timeout, search=False)
        except (NXDOMAIN, NoAnswer):
            return None
        except DNSException as error:
            raise UnreachableError(f"DNS: {name}: {type(error).__name__}") from error


def _place(domain: str, host: str, port: int, path: str) -> Place:
    if host != domain.lower() and not host.endswith(f".{domain.lower()}"):
        raise RefusedError(
            f"DNS: {SERVICE}.{domain} names {host}, which is not in {domain}. If that is right, write its https:// URL"
        )
    return Place(host, port, path)


def _server(text: str) -> Do53Nameserver:
    """Read an address with or without a port."""
    try:
        return Do53Nameserver(str(ip_address(text)), 53)
    except ValueError:
        host, _, port = text.rpartition(":")
        return Do53Nameserver(host.strip("[]"), int(port))
