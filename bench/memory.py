"""The most memory that imipd holds: under a flood of mails, and with one that is as large as the limit."""

import base64
import random
from pathlib import Path

from . import jobs, letters
from .book import Book, Key, Row
from .cases import ours
from .daemon import imipd
from .jobs import Held, Job
from .plan import Plan
from .rounds import Case, run
from .stands import Stand

MIB = 2**20
SHORT = 2000
"""What the large mail stays below its size: a mail over the limit is not kept."""
PATIENCE = 120.0
_BOUNDARY = b"--b\r\n"


def measure_memory(plan: Plan, stand: Stand, held: Held, folder: Path, book: Book) -> None:
    """Start a fresh imipd for each, and let it take them."""
    connections = plan.plain[-1]
    flood = Key("flood", "", held.size, connections)
    rows = [row * (plan.flood // connections) for row in jobs.plain([held], connections, 1)]
    peak = _peak(stand, folder / "flood", flood, rows, book)
    name = f"peak memory, {plan.flood:,} mails of 5 KB through {connections} connections"
    book.rows.append(Row(name, (peak,), "MiB", at_most=120))
    for number, (what, job) in enumerate(
        {"without a calendar part": _large(plan, held), "with a REPLY": _answer(plan, held)}.items()
    ):
        peak = _peak(stand, folder / f"large{number}", Key("large", "", held.size, shape=what), [[job]], book)
        name = f"peak memory by size, one mail of {plan.large / MIB:.3g} MiB {what}"
        book.rows.append(Row(name, (peak * MIB / len(job.mail),), at_most=5))


def _peak(stand: Stand, folder: Path, key: Key, rows: list[list[Job]], book: Book) -> float:
    """Return the most MiB that a fresh imipd has held after these jobs."""
    with imipd(folder, stand) as fresh:
        run(Case(key, lambda *_: rows, (ours(fresh),)), ours(fresh), PATIENCE, book)
        return fresh.peak()


def _large(plan: Plan, held: Held) -> Job:
    """Return a mail that is one long text."""
    tick = next(jobs.TICKS)
    return Job(held, -1, "", "", tick, letters.plain(held.account, plan.large - SHORT, tick))


def _answer(plan: Plan, held: Held) -> Job:
    """Return an answer with a large attachment."""
    ((job,),) = jobs.replies([held], 1, 1)
    room = plan.large - SHORT - len(job.mail)
    content = base64.encodebytes(random.Random(job.tick).randbytes(room // 78 * 57))  # 57 bytes are a line of 76
    head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    attachment = _BOUNDARY + head + content.replace(b"\n", b"\r\n")
    mail = job.mail.replace(b"--b--\r\n", attachment + b"--b--\r\n")
    return Job(job.held, job.number, job.method, job.says, job.tick, mail)
