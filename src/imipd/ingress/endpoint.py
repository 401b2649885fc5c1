"""Where a listener listens: ``host:port`` or ``unix:/path``, as a socket that is opened and put away."""

import asyncio
import errno
import fcntl
import grp
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import Settings

UNIX = "unix:"

Factory = Callable[[], asyncio.BaseProtocol]


class Endpoint:
    """One open place to listen at."""

    def __init__(self, server: asyncio.Server, path: Path | None = None) -> None:
        self._server = server
        self._path = path
        # Who starts while we stop may have put his socket in the place of ours.
        self._identity = _identity(path) if path else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return ``unix:/path``, or each ``host:port`` that the name stood for."""
        if self._path:
            return (f"{UNIX}{self._path}",)
        return tuple(_named(*opened.getsockname()[:2]) for opened in self._server.sockets)

    def close(self) -> None:
        """Accept nobody any more and remove the socket file, if it is still ours."""
        self._server.close()
        if self._path and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)


async def opened(text: str, factory: Factory, settings: Settings) -> Endpoint:
    """Listen at `text`. Raises ValueError where it names no place, OSError where it cannot be had."""
    loop = asyncio.get_running_loop()
    if text.startswith(UNIX):
        path = Path(text.removeprefix(UNIX))
        return Endpoint(await loop.create_unix_server(factory, sock=_bound(path, settings)), path)
    host, port = _host_and_port(text)
    return Endpoint(await loop.create_server(factory, host, port))


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise ValueError(f'{text!r}: no address to listen at. Write "127.0.0.1:2424" or "unix:/path"')
    return host, int(port)


def _named(host: str, port: int) -> str:
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
