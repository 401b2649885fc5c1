"""Measures and reports: `python -m bench [--full] [--only WORDS] [--into FOLDER]`; exit 1 where something failed."""

import argparse
import signal
import sys
from pathlib import Path

from . import report
from .book import Book
from .course import measured
from .plan import FULL, SERVERS, TOPICS, USUAL, narrowed
from .stands import installed

DOCS = Path(__file__).parent.parent / "docs" / "bench"


def main() -> int:
    """Run what was asked for and return the exit code."""
    arguments = _arguments()
    words = tuple(arguments.only.replace(",", " ").split())
    plan = narrowed(FULL if arguments.full else USUAL, words, installed())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    book = Book()
    measured(plan, book)
    return report.tell(plan, book, arguments.into or (None if words else DOCS))


def _leave(*_: object) -> None:
    """End what was started, and let nobody interrupt that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def _arguments() -> argparse.Namespace:
    words = (*TOPICS, *SERVERS)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every server, every size")
    parser.add_argument("--only", default="", help=f"some of these: {', '.join(words)}")
    parser.add_argument("--into", type=Path, help="where the figures and the plot go; with --only nowhere by default")
    arguments = parser.parse_args()
    if unknown := set(arguments.only.replace(",", " ").split()) - set(words):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(words)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
