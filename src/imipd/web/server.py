"""The HTTP port: `/healthz`, `/readyz` and `/metrics`, by prometheus-client's WSGI application and the stdlib's server.

The rule here: a question costs little and changes nothing, and a slow or rude asker holds nobody up.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from . import Ready

TIMEOUT = 10.0
"""Seconds that a request may take to arrive."""


class Figures(Protocol):
    """What `/metrics` shows."""

    @property
    def registry(self) -> CollectorRegistry:
        """Return what collects it."""


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class WebServer:
    """An HTTP server in threads of its own; `place` is ``host:port``. Raises OSError where it cannot listen."""

    def __init__(self, place: str, figures: Figures, ready: Ready) -> None:
        host, _, port = place.rpartition(":")
        kind = _Server6 if host.startswith("[") else _Server
        self._server = make_server(host.strip("[]"), int(port), application(figures, ready), kind, _Asked)
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on, also where the configuration leaves that to the system (0)."""
        return self._server.server_port

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def application(figures: Figures, ready: Ready) -> Application:
    """Return the WSGI application (PEP 3333)."""
    told: Application = make_wsgi_app(figures.registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
        if method not in ("GET", "HEAD"):
            return _said(start, "405 Method Not Allowed", "GET only", ("Allow", "GET, HEAD"))
        if path == "/metrics":
            return told(environ, start)
        if path == "/healthz":
            return _said(start, "200 OK", "ok")
        if path == "/readyz":
            trouble = ready()
            return _said(start, "503 Service Unavailable" if trouble else "200 OK", trouble or "ready")
        return _said(start, "404 Not Found", "/healthz, /readyz, /metrics")

    return answer


def _said(start: Callable[..., Any], status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    length = ("Content-Length", str(len(body)))
    plain = ("Content-Type", "text/plain; charset=utf-8")
    start(status, [plain, length, ("Cache-Control", "no-store"), ("Server", "imipd"), *headers])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Bind without asking DNS for our own name, which may take long (http.server, CPython 3.11)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Asked(WSGIRequestHandler):
    timeout = TIMEOUT

    def log_message(self, *_words: object) -> None:
        """Say nothing: a probe comes every few seconds."""

    def address_string(self) -> str:
        """Return the address without asking DNS for its name."""
        return str(self.client_address[0])
