"""Who may connect: networks, the modes of sockets, and what stays on this machine.

Each reader takes what TOML gives and raises `ValueError` whose text says what is wrong and what to write.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import BeforeValidator

from .errors import shown
from .units import as_list

Network = IPv4Network | IPv6Network


def network(value: object) -> Network:
    """Read ``10.0.0.0/8``, ``2001:db8::/32`` or a single address."""
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{shown(value)} is not a network. Write {_meant(value)}") from None


def _meant(value: object) -> str:
    """Return the network around an address that was written in its place, else an example."""
    try:
        return f'"{ip_network(value if isinstance(value, str) else "", strict=False)}"'
    except ValueError:
        return '"10.0.0.0/8", "2001:db8::/32" or "192.0.2.25"'


def socket_mode(value: object) -> int:
    """Read the permissions of a socket, ``0660``, as chmod takes them."""
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError(f'{shown(value)} is not a mode. Write it as for chmod, in quotes: "0660"')
    return int(value, 8)


def stays_here(place: str) -> bool:
    """Whether who connects to this place, as `listen` names it, is on this machine."""
    return place.startswith("unix:") or is_here(place.rpartition(":")[0].strip("[]"))


def is_here(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Networks = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(network)], ...], BeforeValidator(as_list)
]
SocketMode = Annotated[int, BeforeValidator(socket_mode)]
