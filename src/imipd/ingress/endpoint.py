"""Where a listener listens: ``host:port`` or ``unix:/path``, as a socket that is opened and put away."""

import asyncio
import errno
import socket
from collections.abc import Callable
from pathlib import Path

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


async def opened(text: str, factory: Factory, mode: int) -> Endpoint:
    """Listen at `text`. Raises ValueError where it names no place, OSError where it cannot be had."""
    loop = asyncio.get_running_loop()
    if text.startswith(UNIX):
        path = Path(text.removeprefix(UNIX))
        return Endpoint(await loop.create_unix_server(factory, sock=_bound(path, mode)), path)
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


def _bound(path: Path, mode: int) -> socket.socket:
    """Return a socket bound to `path`; a file that a dead process left there is replaced."""
    if path.is_socket() and not _answers(path):
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        # Nobody can connect before `listen`, so the permissions are right from the first moment.
        path.chmod(mode)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{UNIX}{path}: {error.strerror}") from error
    return bound


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
