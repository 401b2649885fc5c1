"""How long a program takes that is started for each mail, beside an interpreter that does nothing.

Both are run by turns, so that a busy machine slows both: `imipd pipe` with a REPLY and with mail that has no calendar
part, and imipc, whose daemon is a stand-in that answers at once.
"""

import os
import resource
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from . import jobs
from .book import Book, Row
from .daemon import Imipd, now
from .floor import unchanged
from .jobs import Held, Job
from .letters import BOB

ROUNDS = 5
FIRST = 2
"""Starts that do not count: something is compiled, made or remembered in them."""
CLIENT = Path(__file__).parent.parent / "src" / "imipd" / "client.py"
SYSTEM = "/usr/bin/python3"
"""What runs imipc; it needs no environment."""


class StandIn(socketserver.StreamRequestHandler):
    """An LMTP server that takes everything."""

    def handle(self) -> None:
        """Answer each line, and the content after DATA as a whole."""
        self.wfile.write(b"220 stand-in LMTP\r\n")
        for line in self.rfile:
            if line.startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
            self.wfile.write(b"250 2.0.0 Ok\r\n")


@dataclass(frozen=True, slots=True)
class Start:
    """What one process took, in seconds."""

    wall: float
    cpu: float
    """User and system."""


def measure_pipe(held: Held, imipd: Imipd, starts: int, book: Book) -> None:
    """Start `imipd pipe` so often, with the configuration of a daemon, and check what it did."""
    since = now()
    (answers,), ((mail, *_),) = jobs.replies([held], 1, starts + FIRST), jobs.plain([held], 1, 1)
    program = str(Path(sys.executable).parent / "imipd")
    pipe = [program, "pipe", "-c", str(imipd.daemon.config), "-f", BOB, "-r", mail.recipient]
    nothing = [sys.executable, "-c", "pass"]
    times = [(_start(nothing, b""), _start(pipe, answer.mail), _start(pipe, mail.mail)) for answer in answers]
    jobs.keep(answers)
    book.problems += [f"imipd pipe: {text}" for text in (*unchanged(answers), *imipd.untold(answers, since))]
    idle, with_reply, without = zip(*times[FIRST:], strict=True)
    for what, taken, most in (("a REPLY", with_reply, 12), ("mail without a calendar part", without, 1.6)):
        name = f"imipd pipe, {what}, against python3 -c pass"
        book.rows.append(Row(name, _ratios(taken, idle), at_most=most))
        cpu = sum(one.cpu for one in taken) / sum(one.cpu for one in idle)
        book.rows.append(Row(f"{name}, CPU", (cpu,)))


def measure_imipc(mail: Job, folder: Path, starts: int, book: Book) -> None:
    """Start imipc so often, ten times as many as the others: it is quick."""
    with _standing_in(folder) as path:
        bare = [SYSTEM if Path(SYSTEM).exists() else sys.executable, "-I", "-S"]
        imipc = [*bare, str(CLIENT), "-s", path, "-r", mail.recipient, "-f", BOB]
        times = [(_start([*bare, "-c", "pass"], b""), _start(imipc, mail.mail)) for _ in range(10 * starts)]
    idle, client = zip(*times, strict=True)
    book.rows.append(Row("imipc, against python3 -I -S -c pass", _ratios(client, idle)))


@contextmanager
def _standing_in(folder: Path) -> Iterator[str]:
    path = str(folder / "imipc")
    with socketserver.ThreadingUnixStreamServer(path, StandIn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def _ratios(over: Sequence[Start], under: Sequence[Start]) -> tuple[float, ...]:
    """Return the ratio of the medians of each round: every so many'th start belongs to one."""
    rounds = range(min(ROUNDS, len(over)))
    return tuple(_wall(over[first::ROUNDS]) / _wall(under[first::ROUNDS]) for first in rounds)


def _wall(starts: Sequence[Start]) -> float:
    return median(one.wall for one in starts)


def _start(command: Sequence[str], text: bytes) -> Start:
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, input=text, check=True, capture_output=True, env=_environment())
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _environment() -> dict[str, str]:
    """Return the environment as it is, save for folders that are ours alone: every import would look into them."""
    paths = os.environ.get("PYTHONPATH", "").split(":")
    return {**os.environ, "PYTHONPATH": ":".join(path for path in paths if Path(path, "imipd").is_dir())}
