"""HTTP to one account's calendar server: requests go out, whole answers come back.

Credentials go to the host of `Home.url` and nowhere else, never from https to http. No redirect is followed
except that of a PROPFIND, by hand. Every request ends within its time or raises `UnreachableError`.
"""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from . import Home, RefusedError, UnreachableError
from .connections import Connections, Origin, Request
from .turns import Turns
from .verdict import WRITES, Answer, verdict

if TYPE_CHECKING:
    from .digest import DigestClient

ENDED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""How a connection ends without an answer; http.client's RemoteDisconnected is a ConnectionError."""
HOPS = 5
REDIRECTS = frozenset({301, 302, 307, 308})
_OWN = "If you trust who issued it, name the issuer's certificate in caldav.ca_file"
HINTS = dict.fromkeys((18, 19, 20, 21), _OWN)
"""What to do by OpenSSL's X509_V_ERR_… (openssl-verification-options(1)): the codes of a chain that ends nowhere."""
PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"
"""What may stand in a path as it is (RFC 3986 §3.3); an href comes quoted, so ``%`` stays."""


class Wire:
    """Requests of one account. Paths are absolute, quoted, and without a host."""

    def __init__(self, home: Home, connections: Connections, turns: Turns) -> None:
        self._home = home
        self._connections = connections
        self._turns = turns
        self._origin = urlsplit(home.url)
        self.start = self._path(self._origin)
        login = b64encode(f"{home.username}:{home.password}".encode()).decode()
        # A proxy that compresses weakens the ETag, and If-Match wants strong ones (RFC 9110 §13.1.1).
        self._headers = {"User-Agent": "imipd", "Accept-Encoding": "identity"}
        self._login = {"Authorization": f"Basic {login}"}
        self._digest: DigestClient | None = None

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send one request and return its answer, whatever it says. Raises `UnreachableError`."""
        written_into = self._named(path[: path.rfind("/") + 1]) if method in WRITES else ""
        return self._turns.taken(written_into, lambda: self._answered(method, path, dict(headers or {}), body))

    def _answered(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = self._exchange(method, path, headers, body)
        if answer.status == 401 and self._digest is None and _wants_digest(answer):
            from .digest import DigestClient  # noqa: PLC0415  few servers want it, and it takes long to load

            self._digest = DigestClient(self._home, self._named("/"))
            answer = self._exchange(method, path, headers, body)
        return answer

    def propfind(self, path: str, depth: int, body: bytes) -> tuple[str, Answer]:
        """Send a PROPFIND, follow its redirects on this host; return where it ended, and the answer."""
        headers = {"Depth": str(depth), "Content-Type": "application/xml; charset=utf-8"}
        for _ in range(HOPS):
            answer = self.request("PROPFIND", path, headers, body)
            if answer.status not in REDIRECTS:
                return path, answer
            path = self._redirected(answer)
        raise RefusedError(f"{answer}, redirected over and over. Correct caldav.url")

    def identity(self, path: str) -> str:
        """Return what names a collection for this account: its URL, and who logs in (each may see another `/me/`)."""
        return f"{self._home.username} {self._named(path)}"

    def path_of(self, href: str, base: str) -> str:
        """Return the path of an href found under `base`.

        Scheme and port in an href are those which a server behind a proxy believes in: ours are kept. Raises
        `RefusedError` where the href is on another host.
        """
        target = _split(self._named(base), href)
        if target is None or target.hostname != self._origin.hostname:
            raise RefusedError(
                f"{self._named(base)}: the server refers to {_named_host(target)}, and the credentials go to"
                f" {self._origin.hostname} alone. If that host is right, let caldav.url name it"
            )
        return self._path(target)

    def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send a request, once more where the connection ended before an answer came, as SOGo's workers end them.

        All methods here are idempotent (RFC 9110 §9.2.2). A write that had arrived is a conflict the second time, for
        it is conditional: it is found and decided again, and nothing is left to do.
        """
        try:
            return self._sent(method, path, headers, body)
        except TimeoutError as error:
            late = f"no answer in {self._home.timeout:g} s"
            raise UnreachableError(f"{method} {self._named(path)}: {late}") from error
        except (OSError, HTTPException, UnreachableError) as error:
            raise UnreachableError(f"{method} {self._named(path)}: {_cause(error)}") from error

    def _sent(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        try:
            return self._once(method, path, headers, body, anew=False)
        except ENDED:
            return self._once(method, path, headers, body, anew=True)

    def _once(self, method: str, path: str, headers: dict[str, str], body: bytes, *, anew: bool) -> Answer:
        """Send one request."""
        named = self._named(path)
        if self._digest:
            return Answer(method, named, *self._digest.exchange(method, named, self._headers | headers, body))
        host = {"Host": self._origin.netloc.rpartition("@")[2]}
        request = Request(method, path, host | self._headers | self._login | headers, body, self._home.timeout)
        origin = Origin(self._origin.scheme, self._origin.hostname or "", _port(self._origin), self._home.ca_file)
        return Answer(method, named, *self._connections.exchange(origin, request, anew=anew))

    def _redirected(self, answer: Answer) -> str:
        """Return the path that a redirect leads to; http to https on the same host moves the origin there."""
        target = _split(answer.url, answer.headers.get("Location", ""))
        if target is None or target.hostname != self._origin.hostname:
            raise verdict(answer)
        if (target.scheme, _port(target)) != (self._origin.scheme, _port(self._origin)):
            if (self._origin.scheme, target.scheme) != ("http", "https"):
                raise verdict(answer)
            self._origin = target
        return self._path(target)

    def _named(self, path: str) -> str:
        """Return the URL of a path, without credentials."""
        host = self._origin.netloc.rpartition("@")[2]
        return f"{self._origin.scheme}://{host}{path}"

    def _path(self, url: SplitResult) -> str:
        """Return path and query, quoted."""
        query = f"?{quote(url.query, safe=PATH_CHARACTERS + '?')}" if url.query else ""
        return quote(url.path or "/", safe=PATH_CHARACTERS) + query


def _split(base: str, reference: str) -> SplitResult | None:
    """Return the parts of the http(s) URL that `reference` means, None where it is none."""
    try:
        parts = urlsplit(urljoin(base, reference))
        _port(parts)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") else None


def _port(url: SplitResult) -> int:
    """Return the port of a URL, its scheme's where it names none."""
    return url.port or (443 if url.scheme == "https" else 80)


def _named_host(url: SplitResult | None) -> str:
    """Return how to name the host of a URL."""
    return "something that is no URL" if url is None else f"the host {url.hostname}"


def _wants_digest(answer: Answer) -> bool:
    """Return whether a 401 offers Digest and not Basic (sabre's default)."""
    challenges = answer.headers.get("WWW-Authenticate", "").lower()
    return "digest" in challenges and "basic" not in challenges


def _cause(error: BaseException) -> str:
    """Return what happened in one line, without the library's object dumps and addresses in memory."""
    if isinstance(error, UnreachableError):
        return str(error)
    return _distrust(error) or f"no whole answer ({type(error).__name__})"


def _distrust(error: BaseException) -> str:
    """Return why TLS did not come about, and what to do; empty where it was something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        hint = HINTS.get(error.verify_code, "Renew or replace it on the server, or correct caldav.url")
        return f"the server's certificate is not accepted ({why}). {hint}"
    return f"no TLS ({error.reason or 'the handshake failed'})" if isinstance(error, ssl.SSLError) else ""
