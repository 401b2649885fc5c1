"""kill -9 at every step between receiving and answering, then the mail again, on a real Radicale and SQLite.

The calendar ends as if the mail had gone through once, and the ledger holds exactly one completed entry that tells
what really happened.
"""

import base64
import http.client
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from correspondence import BOB, TUESDAYS, UID, WEEKLY, cancel, invited, meeting, reply, request
from crashing import LAST_STEPS, STEPS
from imipd.ledger import Entry, Query
from imipd.ledger.sql import open_ledger
from imipd.memory import Memory
from servers import Server, radicale

KILLED = -9
CALENDAR = "/alice/work/"
OBJECT = f"{CALENDAR}{UID}"
INSTANCE = f"RECURRENCE-ID:{TUESDAYS[1]}"
CONFIG = """\
[lmtp]
listen = "127.0.0.1:2424"
[ledger]
url = "sqlite:///{ledger}"
[caldav]
url = "{url}"
[policy]
invitations = "add"
cancelled = "{cancelled}"
[[account]]
addresses = ["alice@example.org"]
user = "alice"
password = "wonderland"
"""


@dataclass(frozen=True)
class Case:
    """A mail, what is stored before it comes, and what becomes of it."""

    stored: bytes | None
    mail: bytes
    outcome: str
    cancelled: str = "mark"


# The deleting CANCEL has SEQUENCE 0: one that is unknown leaves no tombstone, so the intended one has to do.
CASES = {
    "REPLY": Case(meeting(), reply(BOB, "ACCEPTED"), "updated: attendee-replied"),
    "REQUEST added": Case(None, request(), "added: invited"),
    "REQUEST update": Case(invited(), request("SEQUENCE:1", "LOCATION:Hall"), "updated: details-changed"),
    "CANCEL mark": Case(invited(), cancel("SEQUENCE:1"), "updated: cancelled"),
    "CANCEL delete": Case(invited(), cancel(), "updated: cancelled", "delete"),
    "CANCEL one, delete": Case(
        invited(WEEKLY), cancel(INSTANCE, "SEQUENCE:1"), "updated: instance-cancelled", "delete"
    ),
    "CANCEL the only one, delete": Case(
        invited("RRULE:FREQ=WEEKLY;COUNT=1"),
        cancel(f"RECURRENCE-ID:{TUESDAYS[0]}", "SEQUENCE:1"),
        "updated: cancelled",
        "delete",
    ),
}


@dataclass(frozen=True)
class End:
    """What is left when all is over."""

    calendar: bytes | None
    entry: Entry
    memory: Memory


class Lab:
    """A real Radicale, a process that can be killed, and files of its own for each delivery."""

    def __init__(self, server: Server, orders: "subprocess.Popen[str]", folder: Path) -> None:
        self.url = server.url
        self._orders = orders
        self._folder = folder
        self._numbers = count()
        self._empty_ledger = folder / "empty.db"
        open_ledger(f"sqlite:///{self._empty_ledger}").close()
        self.ask("MKCALENDAR", CALENDAR)

    def begin(self, case: Case, url: str = "") -> None:
        """Empty the calendar and the ledger, and store what the case begins with."""
        number = next(self._numbers)
        self.ask("DELETE", OBJECT)
        self.ask("DELETE", f"{OBJECT}.ics")
        if case.stored:
            assert self.ask("PUT", OBJECT, case.stored)[0] == 201
        # A copy: to make the tables takes longer than a delivery.
        self._ledger = shutil.copy(self._empty_ledger, self._folder / f"{number}.db")
        self._config, self._mail = self._folder / f"{number}.toml", self._folder / f"{number}.eml"
        self._mail.write_bytes(case.mail)
        settings = CONFIG.format(ledger=self._ledger, url=url or self.url, cancelled=case.cancelled)
        self._config.write_text(settings)

    def order(self, step: str = "") -> None:
        """Begin to deliver the mail in a process that is killed at a step."""
        order = {"config": str(self._config), "mail": str(self._mail), "step": step}
        assert self._orders.stdin
        self._orders.stdin.write(json.dumps(order) + "\n")
        self._orders.stdin.flush()

    def fate(self) -> int:
        """Return the exit code of that process, negative for a signal."""
        assert self._orders.stdout
        return int(self._orders.stdout.readline())

    def deliver(self, step: str = "") -> int:
        """Deliver the mail in a process that is killed at a step, and return its exit code."""
        self.order(step)
        return self.fate()

    def end(self) -> End:
        """Return what is left; the times of the entry are those of a run, and its ETag may be lost in a crash."""
        with closing(open_ledger(f"sqlite:///{self._ledger}")) as ledger:
            (listed,) = ledger.log(Query())
            recorded = ledger.find(listed.entry.digest, listed.entry.recipient)
            memory = ledger.recall("alice", UID)
        assert recorded
        assert recorded.completed
        entry = replace(recorded.entry, time=recorded.entry.time.min, duration=0.0, etag="")
        return End(self.body(), entry, memory)

    def body(self) -> bytes | None:
        """Return the one object in the calendar as the server gives it."""
        found = [self.ask("GET", path) for path in (OBJECT, f"{OBJECT}.ics")]
        bodies = [body for status, body in found if status == 200]
        assert len(bodies) < 2
        return bodies[0] if bodies else None

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Speak to Radicale directly."""
        return _ask(self.url, method, path, body)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("crash")
    command = [sys.executable, str(Path(__file__).with_name("crashing.py"))]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with (
        radicale(tmp_path_factory.mktemp("radicale")) as server,
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        ) as orders,
    ):
        yield Lab(server, orders, folder)
        assert orders.stdin
        orders.stdin.close()


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> dict[str, End]:
    """What each mail leaves where nothing is killed."""
    ends = {}
    for name, case in CASES.items():
        lab.begin(case)
        assert lab.deliver() == 0
        ends[name] = lab.end()
    return ends


@pytest.mark.parametrize("name", CASES)
def test_a_mail_that_nobody_disturbs_does_what_it_shall(undisturbed: dict[str, End], name: str) -> None:
    case, end = CASES[name], undisturbed[name]
    assert f"{end.entry.outcome}: {end.entry.reason}" == case.outcome
    assert (end.entry.former is None) == (case.stored is None)
    gone = case.cancelled == "delete" and case.outcome == "updated: cancelled"
    assert (end.calendar is None) == gone
    assert end.calendar != case.stored


@pytest.mark.parametrize("step", [*STEPS, *LAST_STEPS])
@pytest.mark.parametrize("name", CASES)
def test_a_mail_killed_at_any_step_and_sent_again_went_through_once(
    lab: Lab, undisturbed: dict[str, End], name: str, step: str
) -> None:
    lab.begin(CASES[name])
    assert lab.deliver(step) == KILLED
    assert lab.deliver() == 0
    assert lab.end() == undisturbed[name]


@pytest.mark.parametrize("name", CASES)
def test_a_mail_killed_again_and_again_went_through_once(lab: Lab, undisturbed: dict[str, End], name: str) -> None:
    """The machine comes up for a moment, and goes down at another step."""
    lab.begin(CASES[name])
    for step in ("intended", "write", "sent", "complete", "completed", "answer"):
        assert lab.deliver(step) in (KILLED, 0)
    assert lab.deliver() == 0
    assert lab.end() == undisturbed[name]


@pytest.mark.parametrize("name", CASES)
def test_the_write_of_a_dead_process_that_arrives_after_the_redelivery_changes_nothing(
    lab: Lab, undisturbed: dict[str, End], name: str
) -> None:
    """Its bytes were still on their way to the server: the condition that they carry is not met any more."""
    with _slow_road(lab.url) as road:
        lab.begin(CASES[name], road.url)
        lab.order("sent")
        assert road.holds.wait(10)
        # The process hears "no answer" now, and is lost at that moment: for the MTA it is the same.
        road.hangs_up.set()
        assert lab.fate() != 0
        assert lab.deliver() == 0
        road.goes_on.set()
        assert road.arrived.wait(10)
    assert road.status in (404, 409, 412)
    assert lab.end() == undisturbed[name]


@dataclass
class Road:
    """A proxy that lets the first write wait."""

    url: str
    holds: threading.Event = field(default_factory=threading.Event)
    hangs_up: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    status: int = 0


@contextmanager
def _slow_road(target: str) -> Iterator[Road]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Toll)
    road = Road(f"http://127.0.0.1:{server.server_port}/")
    server.road, server.target = road, target  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield road
    finally:
        for event in (road.hangs_up, road.goes_on):
            event.set()
        server.shutdown()
        server.server_close()


class _Toll(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        road: Road = self.server.road  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command in ("PUT", "DELETE") and not road.holds.is_set():
            road.holds.set()
            road.hangs_up.wait(20)
            threading.Thread(target=self._arrive_late, args=(road, body), daemon=True).start()
            self.close_connection = True
            return
        status, headers, content = self._asked(body)
        self.send_response(status)
        kept = [(name, value) for name, value in headers if name.lower() in ("etag", "content-type", "dav")]
        for name, value in [*kept, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _arrive_late(self, road: Road, body: bytes) -> None:
        road.goes_on.wait(20)
        road.status, _, _ = self._asked(body)
        road.arrived.set()

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        return _exchange(self.server.target, self.command, self.path, body, headers)  # type: ignore[attr-defined]

    do_GET = do_PUT = do_DELETE = do_PROPFIND = do_REPORT = _pass_on  # noqa: N815

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def _ask(url: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    login = base64.b64encode(b"alice:wonderland").decode()
    status, _, content = _exchange(url, method, path, body, {"Authorization": f"Basic {login}"})
    return status, content


def _exchange(
    url: str, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, list[tuple[str, str]], bytes]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
