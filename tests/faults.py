"""A calendar server that does what a test tells it: small enough to lie in every way a real one can."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT, PRINCIPAL, HOME, CALENDAR, OBJECT = "/", "/p/alice/", "/c/alice/", "/c/alice/work/", "/c/alice/work/x.ics"
UID = "x"
TYPE = "<D:resourcetype><D:collection/></D:resourcetype>"
ICALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:x\r\nSUMMARY:Lunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@dataclass(frozen=True, slots=True)
class Says:
    """One answer. `cut` is how many bytes of the body are really sent, None all of them."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    honest: bool = True
    """Whether Content-Length is told; without it the end of the connection is the end of the body."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reset:
    """Instead of an answer: the connection is reset."""


class Silence:
    """Instead of an answer: none, until the test is over."""


Answered = Says | Reset | Silence
Key = tuple[str, str]


@dataclass
class Liar:
    """The server: `answers` by method and path, each an answer or what makes one of the request."""

    url: str
    answers: dict[Key, Answered | Callable[[Asked], Answered]]
    asked: list[Asked] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    """The request lines as they came, also those that are none."""
    over: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    def times(self, method: str) -> int:
        """Return how often a method was asked for."""
        return sum(asked.method == method for asked in self.asked)

    def answer(self, asked: Asked) -> Answered:
        """Return what to say."""
        self.asked.append(asked)
        answer = self.answers.get((asked.method, asked.path), Says(404))
        return answer(asked) if callable(answer) else answer


def multistatus(*responses: str) -> Says:
    """Return a multistatus of these responses."""
    names = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
    text = f"<D:multistatus {names}>{''.join(responses)}</D:multistatus>"
    return Says(207, text.encode(), (("Content-Type", "application/xml"),))


def response(href: str, properties: str = "", status: int = 200) -> str:
    """Return a DAV:response whose properties have one status."""
    propstat = f"<D:prop>{properties}</D:prop><D:status>HTTP/1.1 {status} Whatever</D:status>"
    return f"<D:response><D:href>{href}</D:href><D:propstat>{propstat}</D:propstat></D:response>"


def calendar(href: str, properties: str = "", *, owner: str = PRINCIPAL) -> str:
    """Return the response of a calendar collection."""
    owned = f"<D:owner><D:href>{owner}</D:href></D:owner>" if owner else ""
    return response(href, f"<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>{owned}{properties}")


def href(name: str, *values: str) -> str:
    """Return a property that holds hrefs."""
    return f"<{name}>{''.join(f'<D:href>{value}</D:href>' for value in values)}</{name}>"


def honest() -> dict[Key, Answered | Callable[[Asked], Answered]]:
    """Return the answers of a server without faults: one account, one calendar, one event."""
    principal = href("C:calendar-home-set", HOME) + href("C:calendar-user-address-set", "mailto:Alice@Example.org")
    return {
        ("PROPFIND", ROOT): multistatus(response(ROOT, TYPE + href("D:current-user-principal", PRINCIPAL))),
        ("PROPFIND", PRINCIPAL): multistatus(response(PRINCIPAL, principal)),
        ("PROPFIND", HOME): multistatus(
            response(HOME, TYPE),
            calendar(CALENDAR, "<D:displayname>Work</D:displayname>"),
        ),
        ("REPORT", CALENDAR): multistatus(response(OBJECT, '<D:getetag>"1"</D:getetag>')),
        ("GET", OBJECT): Says(200, ICALENDAR, (("ETag", '"1"'), ("Content-Type", "text/calendar"))),
        ("PUT", OBJECT): Says(204),
        ("DELETE", OBJECT): Says(204),
    }


@contextmanager
def liar(tls: ssl.SSLContext | None = None) -> Iterator[Liar]:
    """Run the server on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    script = Liar(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/", honest())
    server.script = script  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept-alive connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        self.server.script.connections += 1  # type: ignore[attr-defined]

    def parse_request(self) -> bool:
        """Note the line before anything is made of it."""
        self.server.script.lines.append(self.raw_requestline)  # type: ignore[attr-defined]
        return super().parse_request()

    def _answer(self) -> None:
        script: Liar = self.server.script  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = script.answer(Asked(self.command, self.path, dict(self.headers), body))
        match answer:
            case Says():
                self._say(answer)
            case Reset():
                # SO_LINGER of zero seconds: close() sends a RST.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.close_connection = True
            case Silence():
                script.over.wait(30)
                self.close_connection = True

    def _say(self, answer: Says) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.honest and answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        if not answer.honest:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut])
        self.close_connection = self.close_connection or answer.cut is not None or not answer.honest

    do_GET = do_PUT = do_DELETE = do_OPTIONS = do_PROPFIND = do_REPORT = _answer  # noqa: N815

    def log_message(self, *_args: object) -> None:
        """Say nothing."""
