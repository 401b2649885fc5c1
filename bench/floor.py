"""The floor: what a bare HTTP client takes for one GET and one conditional PUT, and nothing else."""

import base64
import http.client
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from . import letters
from .jobs import Held, Job
from .load import PATIENCE

TRIES = 50
PAUSE = 0.005
CONTENT = {"Content-Type": "text/calendar; charset=utf-8"}


class Bare:
    """A connection to the server of an account."""

    def __init__(self, held: Held) -> None:
        place = urlsplit(held.collection)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)

    def do(self, job: Job) -> str:
        """Read an event, let it say what the job wants, and write it on condition that nobody else has."""
        for _ in range(TRIES):
            status, etag, body = self.get(job.held, job.held.url(job.number))
            if status != 200:
                return f"GET {job.held.url(job.number)}: {status}"
            told = {"If-Match": etag, **CONTENT}
            status = self._request(
                job.held, "PUT", job.held.url(job.number), letters.with_answer(body, job.says, job.tick), told
            )[0]
            if status in (200, 201, 204):
                return ""
            if status not in (412, 423):  # Xandikos: 423 while somebody else writes
                break
            time.sleep(PAUSE)
        return f"PUT {job.held.url(job.number)}: {status}"

    def get(self, held: Held, url: str) -> tuple[int, str, bytes]:
        """Return status, ETag and body."""
        return self._request(held, "GET", url)

    def put(self, held: Held, url: str, body: bytes) -> None:
        """Write without a condition."""
        status, _, text = self._request(held, "PUT", url, body, CONTENT)
        if status not in (200, 201, 204):
            raise RuntimeError(f"PUT {url}: {status} {text.decode(errors='replace')}")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def request(self, held: Held, method: str, url: str) -> tuple[int, bytes]:
        """Send any request and return status and body."""
        status, _, text = self._request(held, method, url)
        return status, text

    def _request(
        self, held: Held, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        token = base64.b64encode(f"{held.account}:{held.password}".encode()).decode()
        path = urlsplit(url).path
        for attempt in range(TRIES):
            try:
                self._connection.request(
                    method, path, body or None, {"Authorization": f"Basic {token}", **(headers or {})}
                )
                answer = self._connection.getresponse()
                return answer.status, answer.headers.get("ETag", ""), answer.read()
            except (OSError, http.client.HTTPException):  # SOGo 5.8 resets connections now and then
                self._connection.close()
                if attempt == TRIES - 1:
                    raise
        raise AssertionError


def unchanged(jobs: Iterable[Job]) -> list[str]:
    """Return the URLs of events that do not say what the last job about them wanted."""
    last = {job.held.url(job.number): job for job in jobs if job.says}
    clients: dict[str, Bare] = {}
    found = []
    for url, job in last.items():
        client = clients.setdefault(job.held.collection, Bare(job.held))
        _, _, body = client.get(job.held, url)
        if not job.is_done(body):
            found.append(f"{url} does not say {job.says}")
    for client in clients.values():
        client.close()
    return found
