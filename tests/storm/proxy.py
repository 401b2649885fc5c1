"""A proxy in front of a calendar server that does to requests what networks and servers do on a bad day."""

import http.client
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PATIENCE = 30.0
DELAY = 1.6
"""Longer than imipd's timeout in these tests."""


class Fault(StrEnum):
    """What happens to one request."""

    REFUSED = "refused"
    """The connection is reset before anything is read."""
    CUT_REQUEST = "cut-request"
    """It is reset in the middle of the request; the server never sees it."""
    CUT_ANSWER = "cut-answer"
    """The server has done it, and half of its answer arrives."""
    LOST_ANSWER = "lost-answer"
    """The server has done it, and nothing of its answer arrives."""
    DELAYED = "delayed"
    """The server has done it, and its answer comes too late."""
    TRUNCATED = "truncated"
    """Half of the body arrives, with a Content-Length that fits it."""
    WRONG_ETAG = "wrong-etag"
    """The answer names a version that never was."""
    CONFLICT = "412"
    LOCKED = "423"
    TOO_MANY = "429"
    BROKEN = "500"
    UNAVAILABLE = "503"


ANSWERED = {Fault.CONFLICT: 412, Fault.LOCKED: 423, Fault.TOO_MANY: 429, Fault.BROKEN: 500, Fault.UNAVAILABLE: 503}
Script = Callable[[str], Fault | None]
"""What happens to a request with this method; None: it passes."""


class Proxy:
    """The proxy while it runs; `url` is where imipd looks for the calendar server."""

    def __init__(self, target: str, script: Script) -> None:
        split = urlsplit(target)
        self.target = (split.hostname or "", split.port or 80)
        self.script = script
        self.injected: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        proxy = self

        class Passing(_Passing):
            """The requests of this proxy."""

            through = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def fault(self, method: str) -> Fault | None:
        """Return what happens to this request, and note it."""
        with self._lock:
            found = self.script(method)
            if found:
                self.injected[method, found] += 1
            return found

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def proxied(target: str, script: Script = lambda _method: None) -> Iterator[Proxy]:
    """Run a proxy in front of the server at `target`."""
    proxy = Proxy(target, script)
    try:
        yield proxy
    finally:
        proxy.close()


class _Passing(BaseHTTPRequestHandler):
    """One connection."""

    through: Proxy
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def log_message(self, *_words: object) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        fault = self.through.fault(self.command)
        if fault is Fault.REFUSED:
            return self._reset()
        length = int(self.headers.get("Content-Length") or 0)
        if fault is Fault.CUT_REQUEST:
            self.rfile.read(length // 2)
            return self._reset()
        body = self.rfile.read(length)
        if fault in ANSWERED:
            return self._answer(ANSWERED[fault], [], b"no")
        status, headers, answer = self._asked(body)
        with suppress(OSError):  # who asked may have gone
            self._spoilt(fault, status, headers, answer)
        return None

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self.through.target, timeout=PATIENCE)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        hop = ("connection", "transfer-encoding", "content-length", "server", "date")
        return answer.status, [(name, value) for name, value in answer.getheaders() if name.lower() not in hop], read

    def _spoilt(self, fault: Fault | None, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if fault is Fault.LOST_ANSWER:
            self._reset()
        elif fault is Fault.DELAYED:
            # It waits for the end of the test where that comes first.
            threading.Event().wait(DELAY)
            self._answer(status, headers, body)
        elif fault is Fault.CUT_ANSWER:
            self._answer(status, headers, body, sent=len(body) // 2)
            self._reset()
        elif fault is Fault.TRUNCATED:
            self._answer(status, headers, body[: len(body) // 2])
        elif fault is Fault.WRONG_ETAG:
            spoilt = re.sub(rb"(getetag[^>]*>)[^<]*", rb'\1"wrong"', body)
            self._answer(status, [(n, '"wrong"' if n.lower() == "etag" else v) for n, v in headers], spoilt)
        else:
            self._answer(status, headers, body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent] if status != 204 else b"")
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)
        self.connection.close()


for _method in ("DELETE", "GET", "HEAD", "OPTIONS", "PROPFIND", "PUT", "REPORT"):
    setattr(_Passing, f"do_{_method}", _Passing._pass)
