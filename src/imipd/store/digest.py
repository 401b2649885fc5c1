"""Requests to a server that wants Digest (RFC 7616), as sabre does by default: over the caldav package.

It is imported for such a server alone: with niquests it takes a quarter of a second to load.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import niquests
from caldav.davclient import DAVClient
from caldav.lib.error import DAVError
from caldav.lib.python_utilities import WireBytes

from . import Home, UnreachableError
from .connections import LARGEST, Exchanged


class DigestClient:
    """Requests of one account, each with an answer to the server's challenge."""

    def __init__(self, home: Home, url: str) -> None:
        """Make a client that never asks anybody else who it is."""
        self._session = _Session()
        self._client = DAVClient(
            url=url,
            username=home.username,
            password=home.password,
            auth_type="digest",
            ssl_verify_cert=home.ca_file or True,
            timeout=home.timeout,  # type: ignore[arg-type]  # int in caldav 3.6.0, any number in niquests
            enable_rfc6764=False,
            rate_limit_handle=False,
        )
        self._client.session = self._session

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Exchanged:
        """Send one request and return its answer. Raises OSError, UnreachableError."""
        # WireBytes: caldav 3.6.0 rewrites the line ends of every other body. Its types know str alone.
        sent: Any = WireBytes(body) if body else ""
        try:
            with suppress(DAVError):  # raised on 401, 403, 429 and some 503: the status says it
                self._client.request(url, method, sent, dict(headers))
        except niquests.Timeout as error:
            raise TimeoutError from error
        except niquests.ConnectionError as error:
            raise ConnectionError from error
        return self._session.take()


class _Session(niquests.Session):
    """The connections of one account, shared by threads.

    It keeps each answer's body from DAVClient, which would log what it cannot parse, rewrite the line ends
    and raise on cut XML (caldav 3.6.0, response.py); `take` gives it to the thread that asked.
    """

    def __init__(self) -> None:
        super().__init__(
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
