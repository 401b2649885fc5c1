"""HTTP to one account's calendar server, over the caldav package: requests go out, whole answers come back.

Credentials go to the host of `Home.url` and nowhere else, never from https to http. No redirect is followed
except that of a PROPFIND, by hand. Every request ends within its time or raises `UnreachableError`; only in the header
of an answer each byte may take that long (niquests 3.21).
"""

import ssl
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import niquests
from caldav.davclient import DAVClient
from caldav.lib.error import DAVError
from caldav.lib.python_utilities import WireBytes

from . import Home, RefusedError, UnreachableError
from .turns import Turns
from .verdict import WRITES, Answer, verdict

LARGEST = 64 * 2**20
"""Bytes of one answer that are read."""
HOPS = 5
REDIRECTS = frozenset({301, 302, 307, 308})
_OWN = "If you trust who issued it, name the issuer's certificate in caldav.ca_file"
HINTS = dict.fromkeys((18, 19, 20, 21), _OWN)
"""What to do by OpenSSL's X509_V_ERR_… (openssl-verification-options(1)): the codes of a chain that ends nowhere."""
PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"
"""What may stand in a path as it is (RFC 3986 §3.3); an href comes quoted, so ``%`` stays."""


class Session(niquests.Session):
    """The connections to all calendar servers, shared by accounts and threads.

    It keeps each answer's body from DAVClient, which would log what it cannot parse, rewrite the line ends
    and raise on cut XML (caldav 3.6.0, response.py); `take` gives it to the thread that asked.
    """

    def __init__(self, connections: int) -> None:
        super().__init__(
            pool_maxsize=connections,
            # HTTP/1.1 alone: HTTP/3 would move the request to whatever port Alt-Svc names.
            disable_http2=True,
            disable_http3=True,
            # We speak to the calendar server alone, not to the revocation lists that its certificate names.
            revocation_configuration=None,
            # One account's cookie must not come along with another's request.
            allow_incoming_cookies=False,
        )
        self.trust_env = False  # no proxy, no ~/.netrc
        self._answers = threading.local()

    def take(self) -> tuple[int, Mapping[str, str], bytes]:
        """Hand out status, headers and body of this thread's answer, once."""
        answer: tuple[int, Mapping[str, str], bytes] = self._answers.last
        del self._answers.last
        return answer

    def send(self, request: niquests.PreparedRequest, **kwargs: Any) -> niquests.Response:
        """Send without following redirects; hand DAVClient an answer without its body."""
        deadline = time.monotonic() + float(kwargs["timeout"])
        kwargs |= {"allow_redirects": False, "stream": True}
        answer = super().send(request, **kwargs)
        status = answer.status_code or 0
        headers: Mapping[str, str] = answer.headers or {}
        self._answers.last = (status, headers, _read(answer, deadline))
        bare = niquests.Response()
        bare.status_code, bare.headers, bare.reason = status, answer.headers, answer.reason
        return bare

    def get_redirect_target(self, resp: niquests.Response) -> None:
        """Know of no redirect: niquests 3.21 prepares the next request even when it may not follow."""


def _read(answer: niquests.Response, deadline: float) -> bytes:
    """Return the body; the library's timeout counts anew with every byte, the deadline does not."""
    body = bytearray()
    try:
        for chunk in answer.iter_content(-1):
            body += chunk
            if time.monotonic() > deadline:
                raise UnreachableError("the answer did not end in time")
            if len(body) > LARGEST:
                raise UnreachableError(f"the answer is larger than {LARGEST} bytes")
    except OSError as error:
        raise UnreachableError(f"the answer broke off ({type(error).__name__})") from error
    finally:
        answer.close()
    return bytes(body)


class Wire:
    """Requests of one account. Paths are absolute, quoted, and without a host."""

    def __init__(self, home: Home, session: Session, turns: Turns) -> None:
        self._home = home
        self._session = session
        self._turns = turns
        self._origin = urlsplit(home.url)
        self.start = self._path(self._origin)
        self._client = self._connect("basic")

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send one request and return its answer, whatever it says. Raises `UnreachableError`."""
        written_into = self._named(path[: path.rfind("/") + 1]) if method in WRITES else ""
        return self._turns.taken(written_into, lambda: self._answered(method, path, dict(headers or {}), body))

    def _answered(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = self._exchange(method, path, headers, body)
        if answer.status == 401 and self._client.auth_type == "basic" and _wants_digest(answer):
            self._client = self._connect("digest")
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
        tries = 2
        while True:
            tries -= 1
            try:
                return self._once(method, path, headers, body)
            except niquests.Timeout as error:
                _let_go(error)
                late = f"no answer in {self._home.timeout:g} s"
                raise UnreachableError(f"{method} {self._named(path)}: {late}") from error
            except (OSError, UnreachableError) as error:
                _let_go(error)
                if not tries or not isinstance(error, niquests.ConnectionError):
                    raise UnreachableError(f"{method} {self._named(path)}: {_cause(error)}") from error

    def _once(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send one request through DAVClient."""
        # WireBytes: caldav 3.6.0 rewrites the line ends of every other body. Its types know str alone.
        sent: Any = WireBytes(body) if body else ""
        # Raised on 401, 403, 429 and some 503, and over a Retry-After of 400 digits: the status says it.
        with suppress(DAVError, OverflowError):
            self._client.request(self._named(path), method, sent, headers)
        status, answered, content = self._session.take()
        return Answer(method, self._named(path), status, answered, content)

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

    def _connect(self, auth_type: str) -> DAVClient:
        """Return a client that never asks anybody else who it is."""
        client = DAVClient(
            url=self._named("/"),
            username=self._home.username,
            password=self._home.password,
            auth_type=auth_type,
            ssl_verify_cert=self._home.ca_file or True,
            timeout=self._home.timeout,  # type: ignore[arg-type]  # int in caldav 3.6.0, any number in niquests
            # A proxy that compresses weakens the ETag, and If-Match wants strong ones (RFC 9110 §13.1.1).
            headers={"User-Agent": "imipd", "Accept-Encoding": "identity"},
            enable_rfc6764=False,
            rate_limit_handle=False,
        )
        client.session = self._session
        return client

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


def _let_go(error: BaseException | None) -> None:
    """Clear the frames that an error came through.

    Some of niquests (3.21) hold on to their error, and so to all that called them, a mail of 25 MiB included.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _cause(error: BaseException) -> str:
    """Return what happened in one line, without the library's object dumps and addresses in memory."""
    if isinstance(error, UnreachableError):
        return str(error)
    return _distrust(error) or f"no whole answer ({type(error).__name__})"


def _distrust(error: BaseException) -> str:
    """Return why TLS did not come about, and what to do; empty where it was something else."""
    if not isinstance(error, niquests.exceptions.SSLError):
        return ""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ssl.SSLError):
        # urllib3-future 2.x hands the cause over as an argument.
        inner = inner.__cause__ or inner.__context__ or next((a for a in inner.args if isinstance(a, Exception)), None)
    if isinstance(inner, ssl.SSLCertVerificationError):
        why = inner.verify_message.rstrip(".")
        hint = HINTS.get(inner.verify_code, "Renew or replace it on the server, or correct caldav.url")
        return f"the server's certificate is not accepted ({why}). {hint}"
    return f"no TLS ({(inner.reason if inner else None) or 'the handshake failed'})"
