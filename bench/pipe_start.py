"""What `imipd pipe` takes for one mail, beside an interpreter that does nothing.

`PYTHONPATH=tests .venv/bin/python bench/pipe_start.py [VENV [ROUNDS]]`. Both are of the same environment and are run in
turns, so that a busy machine slows both. A REPLY is found in a Radicale calendar and written to it; a mail without a
calendar part is read and let go.
"""

import http.client
import os
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from correspondence import ALICE, BOB, meeting, reply
from servers import Server, radicale

ROUNDS = 30
CONFIG = """\
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "{url}"
[policy]
changes_per_hour = 0
[[account]]
addresses = ["{address}"]
user = "alice"
password = "{password}"
"""
PLAIN = f"From: {BOB}\nTo: {ALICE}\nSubject: lunch\n\n".encode() + b"See you at lunch.\n" * 300


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, in milliseconds."""

    cpu: float
    """User and system."""
    wall: float


def main() -> None:
    """Print the medians, and their ratios to the interpreter alone."""
    venv = Path(sys.argv[1] if len(sys.argv) > 1 else Path(sys.executable).parents[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    with tempfile.TemporaryDirectory() as name, radicale(Path(name)) as server:
        folder = Path(name)
        (folder / "imipd.toml").write_text(
            CONFIG.format(folder=folder, url=server.url, address=ALICE, password=server.users["alice"])
        )
        _furnish(server)
        nothing = [venv / "bin" / "python", "-c", "pass"]
        pipe = [venv / "bin" / "imipd", "pipe", "-c", folder / "imipd.toml", "-r", ALICE, "-f", BOB]
        time.sleep(3)  # a configuration that was written just now is not relied on
        for minute in (1, 2):  # the tables are made, and what can be remembered is
            _run(pipe, _answer(minute))
        runs = [(_run(nothing), _run(pipe, PLAIN), _run(pipe, _answer(minute))) for minute in range(3, 3 + rounds)]
    _print(("python -c pass", "no calendar part", "REPLY, written"), list(zip(*runs, strict=True)))


def _answer(minute: int) -> bytes:
    return reply(BOB, ("ACCEPTED", "DECLINED")[minute % 2], minute=minute)


def _furnish(server: Server) -> None:
    """Make alice's calendar with the meeting that is answered."""
    login = b64encode(f"alice:{server.users['alice']}".encode()).decode()
    for method, path, body in (
        ("MKCALENDAR", "/alice/work/", b""),
        ("PUT", "/alice/work/lunch@example.org.ics", meeting()),
    ):
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        connection.request(method, path, body, {"Authorization": f"Basic {login}", "Content-Type": "text/calendar"})
        if connection.getresponse().status != 201:
            raise RuntimeError(f"{method} {path} was refused")
        connection.close()


def _run(command: Sequence[str | Path], mail: bytes = b"") -> Run:
    # Compiled modules are written and read, as everywhere.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, input=mail, env=environ, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(cpu * 1000, wall * 1000)


def _print(names: Sequence[str], columns: Sequence[Sequence[Run]]) -> None:
    cpu = [median(run.cpu for run in runs) for runs in columns]
    wall = [median(run.wall for run in runs) for runs in columns]
    for name, its_cpu, its_wall in zip(names, cpu, wall, strict=True):
        print(
            f"{name:17} CPU {its_cpu:6.1f} ms, ratio {its_cpu / cpu[0]:5.2f};"
            f"  wall {its_wall:6.1f} ms, ratio {its_wall / wall[0]:5.2f}"
        )


if __name__ == "__main__":
    main()
