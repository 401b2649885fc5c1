"""What imipd tells over HTTP: whether it is alive and ready, and what it has done."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from correspondence import BOB, plain, reply
from daemons import PATIENCE, Daemon, free_place, serving
from faults import HOME as CALENDARS
from faults import Liar, Says, liar
from imipd.envelope import DONE, TRY_AGAIN, UNKNOWN_RECIPIENT, Envelope
from imipd.store import ConflictError, Home, RefusedError, UnreachableError
from imipd.store.memory import MemoryStore
from imipd.web.metrics import Metrics
from imipd.web.server import WebServer
from imipd.web.several import Crew, Several
from imipd.web.store import MeasuredStore

HOME = Home("memory:", "alice", "")


@pytest.fixture
def calendars() -> Iterator[Liar]:
    with liar() as server:
        yield server


@pytest.fixture
def page() -> str:
    return free_place()


@pytest.fixture
def daemon(tmp_path: Path, calendars: Liar, page: str) -> Iterator[Daemon]:
    with serving(tmp_path, calendars.url, (free_place(),), f'[web]\nlisten = "{page}"\n') as running:
        yield running


def asked(place: str, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body."""
    request = urllib.request.Request(f"http://{place}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the values of its labels."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_a_daemon_tells_that_it_is_alive_and_ready(daemon: Daemon, page: str) -> None:
    assert asked(page, "/healthz") == (200, "ok\n")
    assert asked(page, "/readyz") == (200, "ready\n")
    assert asked(page, "/else")[0] == 404
    assert asked(page, "/metrics", "POST")[0] == 405
    assert daemon.end() == 0
    with pytest.raises(OSError, match="refused"):
        asked(page, "/healthz")


def test_a_daemon_counts_what_it_does(daemon: Daemon, page: str, calendars: Liar) -> None:
    daemon.send(reply(BOB, "ACCEPTED", minute=1))
    daemon.send(plain(minute=2))
    calendars.answers["PROPFIND", CALENDARS] = Says(503)
    with pytest.raises(Exception, match="Try again"):
        daemon.send(reply(BOB, "ACCEPTED", minute=3))
    told = figures(asked(page, "/metrics")[1])
    assert told["imipd_messages_total", "REPLY", "no_action", "unknown-uid"] == 1
    assert told["imipd_messages_total", "none", "no_action", "no-calendar-part"] == 1
    assert told["imipd_answers_total", "done"] == 2
    assert told["imipd_answers_total", "try_again"] == 1
    assert told["imipd_calendar_errors_total", "unreachable"] == 1
    assert told["imipd_mail_seconds_count",] == 3
    assert told["imipd_mails_in_flight",] == 0
    assert told["imipd_calendar_seconds_count", "lookup"] > 0


def test_check_knows_its_own_page(daemon: Daemon, page: str, tmp_path: Path) -> None:
    """And tells of another program at its place."""
    command = [sys.executable, "-m", "imipd", "check", "-c", str(daemon.config)]
    assert f"ok    listen {page}" in subprocess.run(command, capture_output=True, text=True, check=False).stdout
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        daemon.config.write_text(daemon.config.read_text().replace(page, place))
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert f"FAIL  listen {place}: another program listens there" in said


def test_the_figures_outlive_a_new_configuration(daemon: Daemon, page: str) -> None:
    daemon.send(reply(BOB, "ACCEPTED", minute=1))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.send(reply(BOB, "ACCEPTED", minute=2))
    assert figures(asked(page, "/metrics")[1])["imipd_messages_total", "REPLY", "no_action", "unknown-uid"] == 2


def test_a_place_that_is_taken_is_named(tmp_path: Path, daemon: Daemon, page: str) -> None:
    with pytest.raises(OSError, match="in use"):
        WebServer(page, Metrics(), lambda: "")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_what_keeps_it_from_taking_mail_is_said(host: str) -> None:
    trouble = "the ledger is out of reach"
    server = WebServer(f"{host}:0", Metrics(), lambda: trouble)
    try:
        assert asked(f"{host}:{server.port}", "/readyz") == (503, "the ledger is out of reach\n")
        assert asked(f"{host}:{server.port}", "/healthz") == (200, "ok\n")
        trouble = ""
        assert asked(f"{host}:{server.port}", "/readyz") == (200, "ready\n")
    finally:
        server.close()


def test_who_asks_and_says_nothing_more_holds_nobody_up() -> None:
    server = WebServer("127.0.0.1:0", Metrics(), lambda: "")
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    try:
        assert asked(f"127.0.0.1:{server.port}", "/healthz") == (200, "ok\n")
    finally:
        for one in silent:
            one.close()
        server.close()


def test_no_label_is_a_stranger_s() -> None:
    metrics = Metrics()
    for method in ("REQUEST", "X-EVIL\n", "YOURS"):
        metrics.decided(method, "no_action", "unsupported-method")
    server = WebServer("127.0.0.1:0", metrics, lambda: "")
    try:
        text = asked(f"127.0.0.1:{server.port}", "/metrics")[1]
    finally:
        server.close()
    assert "EVIL" not in text
    assert figures(text)["imipd_messages_total", "other", "no_action", "unsupported-method"] == 2


def test_answers_are_counted_for_each_recipient_and_time_is_told() -> None:
    clock = iter((10.0, 12.5))
    metrics = Metrics(lambda: next(clock))
    answers = (DONE, TRY_AGAIN, UNKNOWN_RECIPIENT)
    deliver = metrics.measured(lambda _: answers)
    assert deliver(Envelope("", ("a@example.org", "b@example.org", "c@example.org"), b"")) == answers
    for answer in ("done", "try_again", "refused"):
        assert metrics.registry.get_sample_value("imipd_answers_total", {"answer": answer}) == 1
    assert metrics.registry.get_sample_value("imipd_mail_seconds_sum") == 2.5


def test_a_worker_that_is_just_starting_spoils_no_figures(tmp_path: Path) -> None:
    """Its file is empty for a moment, or gone again."""
    (tmp_path / "counter_1.db").touch()
    (tmp_path / "gauge_livesum_1.db").symlink_to(tmp_path / "gone")
    server = WebServer("127.0.0.1:0", Several(tmp_path, lambda: Crew({}, 1)), lambda: "")
    try:
        assert figures(asked(f"127.0.0.1:{server.port}", "/metrics")[1])["imipd_worker_starts_total",] == 1
    finally:
        server.close()


class _Failing(MemoryStore):
    error: Exception = UnreachableError("away")

    def find(self, *_: object) -> tuple[()]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [(UnreachableError("x"), "unreachable"), (RefusedError("x"), "refused"), (ConflictError("x"), "conflict")],
)
def test_a_failure_of_the_calendar_is_counted_by_its_kind(error: Exception, kind: str) -> None:
    metrics, store = Metrics(), _Failing()
    store.error = error
    with pytest.raises(type(error)):
        MeasuredStore(store, metrics).find(HOME, "uid")
    assert metrics.registry.get_sample_value("imipd_calendar_errors_total", {"kind": kind}) == 1
    assert metrics.registry.get_sample_value("imipd_calendar_seconds_count", {"operation": "lookup"}) == 1
