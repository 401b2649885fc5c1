"""Where imipd's CPU goes: `python -m bench.profile [--source CHECKOUT] [--label NAME] [--server NAME]`.

A real `imipd serve`, of this checkout or of another, takes answers while py-spy looks at all its threads 1,000 times a
second; what waits does not count. The top ten goes to docs/bench/profile-NAME.md.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from .book import NAMES, Book, Key
from .cases import answers, ours
from .daemon import Imipd, imipd
from .plan import account_of
from .report import commit_of
from .rounds import run
from .stands import standing

ROOT = Path(__file__).parent.parent
SPY = ROOT / ".venv-bench" / "bin" / "py-spy"
PATIENCE = 300.0
SIZE = 100
"""Events in the calendar."""
TOP = 10
PASSED_ON = 0.9
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]+?)(:\d+)?\)$")
_LIBRARY = re.compile(r".*(?:site-packages|lib/python3\.\d+|src)/(.+)$")


@dataclass
class Profile:
    """How many looks found which function at work."""

    looks: int = 0
    own: Counter[str] = field(default_factory=Counter)
    """At work itself."""
    called: Counter[str] = field(default_factory=Counter)
    """Of imipd: at work, or waiting for what it has called."""
    rooms: Counter[str] = field(default_factory=Counter)
    """The room or library that was at work."""
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Which function of imipd led to which."""

    def add(self, frames: Sequence[str], seen: int) -> None:
        """Count one stack."""
        self.looks += seen
        self.own[frames[-1]] += seen
        self.rooms[_room(frames[-1])] += seen
        ours = list(dict.fromkeys(frame for frame in frames if frame.startswith("imipd/")))
        self.called.update(dict.fromkeys(ours, seen))
        self.calls.update(dict.fromkeys(pairwise(ours), seen))

    def steps(self) -> Counter[str]:
        """Return the functions of imipd that do more than to call one other."""
        passing = {caller for (caller, _), seen in self.calls.items() if seen > PASSED_ON * self.called[caller]}
        return Counter({name: seen for name, seen in self.called.items() if name not in passing})


def main() -> int:
    """Take a profile and write it."""
    arguments = _arguments()
    if arguments.source:
        os.environ["PYTHONPATH"] = str((arguments.source / "src").resolve())  # of the children
    book = Book()
    found, cost = _profiled(arguments.server, arguments.number, book)
    for problem in book.problems:
        print(f"FAILED: {problem}")
    commit = commit_of(arguments.source or ROOT)
    title = (
        f"{arguments.label}: {commit}, answers on {NAMES[arguments.server]}, {SIZE} events, {cost:.1f} ms of CPU each"
    )
    page = markdown(found, title, cost)
    print(page)
    if not book.problems:
        (arguments.into / f"profile-{arguments.label}-{arguments.server}.md").write_text(page)
    return 1 if book.problems else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--source", type=Path, help="the checkout whose imipd is profiled; this one by default")
    parser.add_argument("--label", default="now")
    parser.add_argument("--server", default="radicale")
    parser.add_argument("--number", type=int, default=500, help="of answers")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "bench")
    return parser.parse_args()


def _profiled(server: str, number: int, book: Book) -> tuple[Profile, float]:
    """Return the profile of so many answers, and the milliseconds of CPU that one took without py-spy."""
    account = account_of(SIZE)
    with tempfile.TemporaryDirectory(prefix="imipd-bench-") as folder:
        place = Path(folder)
        with standing(server, {account: SIZE}, place) as stand, imipd(place / "imipd", stand) as daemon:
            key = Key("replies", server, SIZE)
            case = answers([stand.held[account]], key, [ours(daemon)], number)
            run(case, ours(daemon), PATIENCE, book)  # discovers, and tells what it costs
            with _spying(daemon, place / "stacks"):
                run(case, ours(daemon), PATIENCE, book)
            return read((place / "stacks").read_text().splitlines()), book.of(key, "imipd").costs[0]


@contextmanager
def _spying(daemon: Imipd, stacks: Path) -> Iterator[None]:
    command = [str(SPY), "record", "--pid", str(daemon.daemon.process.pid), "--output", str(stacks)]
    command += ["--format", "raw", "--rate", "1000", "--gil", "--nonblocking", "--duration", "unlimited"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as spy:
        try:
            told = iter(spy.stdout or ())
            if not any(b"Sampling" in line for line in told):
                raise RuntimeError("py-spy has ended: does it run as root?")
            yield
        finally:
            spy.send_signal(signal.SIGINT)
            spy.wait()


def read(lines: Iterable[str]) -> Profile:
    """Count stacks as py-spy writes them: the frames from the outermost, and how often they were seen."""
    found = Profile()
    for line in lines:
        stack, _, number = line.rpartition(" ")
        frames = [_shown(match) for match in map(_FRAME.match, stack.split(";")) if match]
        if frames:
            found.add(frames, int(number))
    return found


def markdown(found: Profile, title: str, cost: float) -> str:
    """Return the page of one profile, in which an answer costs so many milliseconds."""
    return "\n".join(
        (
            f"# Profile {title}\n",
            f"{found.looks:,} looks at who holds the interpreter's lock, by `python -m bench.profile`.\n",
            _table("function, by its own time", found.own, found.looks, cost),
            _table(
                "function of imipd, with what it calls; without those that only pass on",
                found.steps(),
                found.looks,
                cost,
            ),
            _table("room or library, by its own time", found.rooms, found.looks, cost),
        )
    )


def _table(head: str, counted: Counter[str], looks: int, cost: float) -> str:
    top = [(name, number / looks) for name, number in counted.most_common(TOP)]
    rows = [f"| `{name}` | {share:.1%} | {share * cost:.2f} |" for name, share in top]
    return "\n".join((f"| {head} | share | ms |", "|---|---|---|", *rows, ""))


def _shown(frame: re.Match[str]) -> str:
    """Return `file function` with the file below its library's folder."""
    library = _LIBRARY.search(frame["file"])
    return f"{library[1] if library else frame['file']} {frame['function']}"


def _room(frame: str) -> str:
    """Return the room of ours, or the library, that a frame is in."""
    parts = frame.partition(" ")[0].split("/")
    return "/".join(parts[:2]) if parts[0] == "imipd" and len(parts) > 1 else parts[0]


if __name__ == "__main__":
    sys.exit(main())
