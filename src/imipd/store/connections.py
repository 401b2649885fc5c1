"""The connections to all calendar servers, kept open between requests: a request goes out, a whole answer comes back.

An answer is read by http.client, its request written at once. A general client (niquests, urllib3) takes three to five
times the CPU of that. The rule here: an exchange ends in time, however slowly its bytes come.
"""

import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, cast

from . import UnreachableError

LARGEST = 64 * 2**20
"""Bytes of one answer that are read."""
IDLE = 60.0
"""Seconds after which a connection is not used again: what is between us and the server may have forgotten it."""
PIECE = 2**20
QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux
"""Set before each receipt, for it does not last: a server that sends an answer in pieces waits for each to be
acknowledged (Cyrus 3.6: 40 ms)."""
_UNSENDABLE = re.compile(r"[\r\n\0]")

Exchanged = tuple[int, Mapping[str, str], bytes]
"""Status, headers (looked up in any case) and body of an answer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A server, and who may vouch for it."""

    scheme: str
    host: str
    port: int
    ca_file: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `seconds` is the time for its whole answer."""

    method: str
    target: str
    """Path and query, quoted."""
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def to_bytes(self) -> bytes:
        """Return it as HTTP/1.1. Raises `UnreachableError`."""
        # Some servers want a length of each PUT and REPORT (RFC 9110 §8.6).
        length = {"Content-Length": str(len(self.body))} if self.body or self.method == "PUT" else {}
        lines = [f"{name}: {value}" for name, value in {**self.headers, **length}.items()]
        lines.insert(0, f"{self.method} {self.target} HTTP/1.1")
        if any(map(_UNSENDABLE.search, lines)):
            raise UnreachableError("a header that the server itself named cannot be sent back")
        return "\r\n".join((*lines, "", "")).encode("latin-1", "replace") + self.body


class Connections:
    """Open connections by server; any thread may use them, each exchange one of its own."""

    def __init__(self, kept: int) -> None:
        """Keep at most so many open to each server while nobody uses them."""
        self._kept = kept
        self._idle: dict[Origin, deque[_Connection]] = {}

    def exchange(self, origin: Origin, request: Request, *, anew: bool = False) -> Exchanged:
        """Send a request and return the answer; over a new connection where that is wanted, or none is open.

        Raises OSError, HTTPException, UnreachableError.
        """
        sent = request.to_bytes()
        until = time.monotonic() + request.seconds
        idle = self._idle.setdefault(origin, deque())
        connection = (None if anew else _fresh(idle)) or _Connection(origin, until)
        try:
            answer = connection.exchange(request.method, sent, until)
        except BaseException:
            connection.close()
            raise
        if connection.is_open and len(idle) < self._kept:
            idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close all connections that nobody uses."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


def _fresh(idle: "deque[_Connection]") -> "_Connection | None":
    """Return the connection that was used last, None where that is too long ago."""
    while True:
        try:
            connection = idle.pop()
        except IndexError:
            return None
        if connection.used > time.monotonic() - IDLE:
            return connection
        connection.close()


class _Connection:
    """One connection; whatever is sent or received on it ends by the time that the exchange has."""

    def __init__(self, origin: Origin, until: float) -> None:
        """Connect. Raises OSError."""
        self.used = 0.0
        self.is_open = True
        self._until = until
        self._socket = socket.create_connection((origin.host, origin.port), timeout=_left(until))
        try:
            # A small body waits for nobody's acknowledgement of what went before.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                context = _trusting(origin.ca_file, _version_of(origin.ca_file))
                self._socket = context.wrap_socket(self._socket, server_hostname=origin.host)
        except BaseException:
            self._socket.close()
            raise

    def exchange(self, method: str, sent: bytes, until: float) -> Exchanged:
        """Send the bytes of a request and return its answer. Raises OSError, HTTPException, UnreachableError."""
        self._until = until
        with suppress(BrokenPipeError, ConnectionResetError):  # who refuses a body may have answered before its end
            self._socket.settimeout(_left(until))
            self._socket.sendall(sent)
        answer = HTTPResponse(cast("socket.socket", self), method=method)
        try:
            answer.begin()
            body = _read(answer)
        finally:
            answer.close()
        self.is_open, self.used = not answer.will_close, time.monotonic()
        return answer.status, cast("Mapping[str, str]", answer.headers), body

    def makefile(self, _mode: str) -> BufferedReader:
        """Return what http.client reads an answer from; the connection outlives it."""
        return BufferedReader(_Incoming(self.receive))

    def receive(self, buffer: Any) -> int:
        """Receive what is there next, and return how much. Raises OSError."""
        self._socket.settimeout(_left(self._until))
        if QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class _Incoming(RawIOBase):
    """The bytes of one answer, as a file."""

    def __init__(self, receive: Callable[[Any], int]) -> None:
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._receive(buffer)


def _read(answer: HTTPResponse) -> bytes:
    """Return the body of an answer, whole."""
    pieces, size = list[bytes](), 0
    try:
        while piece := answer.read(PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                raise UnreachableError(f"the answer is larger than {LARGEST} bytes")
    except TimeoutError as error:
        raise UnreachableError("the answer did not end in time") from error
    except (OSError, HTTPException) as error:
        raise UnreachableError(f"the answer broke off ({type(error).__name__})") from error
    if answer.length:
        raise UnreachableError(f"the answer broke off, {answer.length} bytes before its end")
    return b"".join(pieces)


def _left(until: float) -> float:
    """Return the seconds until then. Raises TimeoutError."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _version_of(ca_file: str | None) -> int:
    """Return what changes with the content of a file."""
    return Path(ca_file).stat().st_mtime_ns if ca_file else 0


@lru_cache(maxsize=16)
def _trusting(ca_file: str | None, _version: int) -> ssl.SSLContext:
    """Return the context that trusts these authorities, those of the system where none are named."""
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
