"""Where a listener listens: ``host:port`` or ``unix:/path``, as a socket that is opened and put away."""

import asyncio
import errno
import fcntl
import grp
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import Settings

UNIX = "unix:"
QUEUE = 100
"""Connections that wait to be accepted, as asyncio has it by itself."""

Factory = Callable[[], asyncio.BaseProtocol]


@dataclass(frozen=True, slots=True)
class Share:
    """The sockets of a place from which one of several processes accepts; what else there is of it is another's."""

    sockets: tuple[socket.socket, ...]

    def dismiss(self, last_words: bytes) -> None:
        """Tell those who wait to be accepted; a socket that is closed cuts them off instead."""
        for each in self.sockets:
            with suppress(OSError):
                for _ in range(QUEUE):
                    with each.accept()[0] as peer:
                        peer.sendall(last_words)

    def close(self) -> None:
        """Give it up in this process."""
        for each in self.sockets:
            each.close()


class Place:
    """A place that is ours, whoever accepts there."""

    def __init__(self, text: str, settings: Settings, shares: int = 1) -> None:
        """Bind it, for so many processes. Raises ValueError where it names no place, OSError where it cannot be had.

        By TCP each has sockets of its own (SO_REUSEPORT), among which the kernel spreads the connections.
        """
        self._path = Path(text.removeprefix(UNIX)) if text.startswith(UNIX) else None
        if self._path:
            bound = _bound(self._path, settings)
            self.shares = tuple(Share((each,)) for each in (bound, *(bound.dup() for _ in range(shares - 1))))
        else:
            self.shares = _shared(*_host_and_port(text), shares)
        # Who starts while we stop may have put his socket in the place of ours.
        self._identity = _identity(self._path) if self._path else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return ``unix:/path``, or each ``host:port`` that the name stood for."""
        return tuple(_named(bound.getsockname()) for bound in self.shares[0].sockets)

    def close(self) -> None:
        """Give the sockets up, and remove the socket file, if it is still ours."""
        for share in self.shares:
            share.close()
        if self._path and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)


class Endpoint:
    """One open place to listen at."""

    def __init__(self, share: Share, servers: tuple[asyncio.Server, ...], place: Place | None = None) -> None:
        self._share = share
        self._servers = servers
        self._place = place

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return ``unix:/path``, or each ``host:port`` that the name stood for."""
        return tuple(_named(opened.getsockname()) for server in self._servers for opened in server.sockets)

    def close(self, last_words: bytes = b"") -> None:
        """Accept nobody any more; what is ours alone is put away."""
        self._share.dismiss(last_words)
        for server in self._servers:
            server.close()
        if self._place:
            self._place.close()


async def opened(listen: str | Share, factory: Factory, settings: Settings) -> Endpoint:
    """Listen there. Raises ValueError where a text names no place, OSError where it cannot be had."""
    if isinstance(listen, Share):
        return Endpoint(listen, await _served(listen, factory))
    place = Place(listen, settings)
    return Endpoint(place.shares[0], await _served(place.shares[0], factory), place)


async def _served(share: Share, factory: Factory) -> tuple[asyncio.Server, ...]:
    return tuple([await _accepting(bound, factory) for bound in share.sockets])


async def _accepting(bound: socket.socket, factory: Factory) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if bound.family != socket.AF_UNIX:
        # Accepted sockets inherit it; asyncio sets it by itself only where a socket names its protocol. Without it a
        # client that pipelines waits 40 ms for the second of our answers.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await loop.create_server(factory, sock=bound)
    try:
        # Python 3.13 removes the file by itself, which other processes may listen at.
        return await loop.create_unix_server(factory, sock=bound, cleanup_socket=False)  # type: ignore[call-arg]
    except TypeError:
        return await loop.create_unix_server(factory, sock=bound)


def _shared(host: str, port: int, shares: int) -> tuple[Share, ...]:
    """Return sockets for each address that the name stands for, or none."""
    found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    # A name may stand for addresses of which the kernel knows only some kinds.
    spoken = [each for each in found if _is_spoken(each[0])] or found
    with ExitStack() as stack:
        by_address = [_copies(family, address, shares, stack) for family, _, _, _, address in spoken]
        stack.pop_all()
    return tuple(Share(sockets) for sockets in zip(*by_address, strict=True))


def _is_spoken(family: int) -> bool:
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _copies(family: int, address: Any, shares: int, stack: ExitStack) -> tuple[socket.socket, ...]:
    """Return sockets that listen at one address."""
    if shares > 1:
        address = _free(family, address)
    make = partial(socket.create_server, address, family=family, backlog=QUEUE, reuse_port=shares > 1)
    return tuple([stack.enter_context(make()) for _ in range(shares)])


def _free(family: int, address: Any) -> Any:
    """Return the address, its port 0 as a real one; SO_REUSEPORT alone would let in who runs beside another imipd."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise OSError(error.errno, f"{_named(address)}: {error.strerror}") from error
        return probe.getsockname()


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise ValueError(f'{text!r}: no address to listen at. Write "127.0.0.1:2424" or "unix:/path"')
    return host, int(port)


def _named(address: str | tuple[str, int]) -> str:
    if isinstance(address, str):
        return f"{UNIX}{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(path: Path, settings: Settings) -> socket.socket:
    """Return a socket that listens at `path`; a file that a dead process left there is replaced."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone_in(path.parent):
            if path.is_socket() and not _answers(path):
                path.unlink()
            _bind(bound, path, settings)
            # Within the lock: a socket that is bound and does not listen looks like a dead one.
            bound.listen()
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{UNIX}{path}: {error.strerror}") from error
    return bound


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep out whoever starts at the same moment: both would find the dead socket, and one remove the other's."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _bind(bound: socket.socket, path: Path, settings: Settings) -> None:
    """Bind, and only then let in whom the settings name: until `listen` nobody can connect anyway."""
    group = None if settings.socket_group is None else _group_id(settings.socket_group)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    try:
        # A service whose group it is anyway needs no chown, which its system call filter may refuse.
        if group is not None and path.stat().st_gid != group:
            os.chown(path, -1, group)
        path.chmod(settings.socket_mode)
    except OSError as error:
        path.unlink()
        text = f"cannot be given to the group {settings.socket_group} ({error.strerror}). Make it imipd's group"
        raise OSError(error.errno, text) from error


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(errno.ENOENT, f"no group {name} on this machine") from None


def _answers(path: Path) -> bool:
    """Whether a process listens there; asyncio would take the socket away from it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from another of the same name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
