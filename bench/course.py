"""The course of a run: one server after the other, everything that it is asked interleaved."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import jobs
from .book import Book, Key
from .cases import answers, cases, ours, plain
from .daemon import Imipd, imipd
from .memory import measure_memory
from .peers import aiosmtpd
from .plan import PEOPLE, Plan, account_of
from .progress import said
from .rounds import Case, measure, run
from .stands import Stand, standing
from .starts import measure_imipc, measure_pipe
from .targets import rows

WORKERS = (1, 2)
SETTING = "serve.workers"


def measured(plan: Plan, book: Book) -> None:
    """Write everything into the book; what needs no particular server is measured on the first."""
    for server in plan.servers:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imipd-bench-")))
            stand = stack.enter_context(standing(server, plan.accounts(server), folder))
            daemon = stack.enter_context(imipd(folder / "imipd", stand))
            if found := cases(plan, stand, daemon):
                measure(found, plan.rounds, plan.seconds, book)
            if "unknown" in plan.topics:
                _unknown(plan, stand, daemon, book)
            if server == plan.servers[0]:
                _anywhere(plan, stand, daemon, book)
            if "workers" in plan.topics:
                _workers(plan, stand, folder, book)
    book.rows = [*rows(plan, book), *book.rows]


def _unknown(plan: Plan, stand: Stand, daemon: Imipd, book: Book) -> None:
    """Send answers to events that nobody holds, to the largest calendar."""
    held = stand.held[account_of(plan.sizes[stand.kind][-1])]
    case = Case(
        Key("unknown UIDs", stand.kind, held.size),
        lambda k, n: jobs.strangers([held], k, n),
        (ours(daemon),),
        plan.unknown,
    )
    said(f"{case.key}: at most {plan.unknown}, {plan.patience:.0f} s")
    run(case, case.contenders[0], plan.patience, book)


def _anywhere(plan: Plan, stand: Stand, daemon: Imipd, book: Book) -> None:
    """Measure what is the same on every server."""
    held = stand.held[account_of(plan.sizes[stand.kind][0])]
    folder = daemon.daemon.config.parent
    if "plain" in plan.topics:
        with aiosmtpd() as peer:
            measure(plain(plan, held, daemon, peer), plan.rounds, plan.seconds, book)
    if "memory" in plan.topics:
        measure_memory(plan, stand, held, folder, book)
    if "start" in plan.topics:
        measure_pipe(held, daemon, plan.starts, book)
        measure_imipc(jobs.plain([held], 1, 1)[0][0], folder, plan.starts, book)


def _workers(plan: Plan, stand: Stand, folder: Path, book: Book) -> None:
    """Let two processes take the mail, beside one."""
    people = [stand.held[account] for account in PEOPLE if account in stand.held]
    with ExitStack() as stack:
        several = [
            ours(
                stack.enter_context(imipd(folder / f"workers{number}", stand, f"[serve]\nworkers = {number}\n")),
                f"workers = {number}",
            )
            for number in WORKERS
        ]
        found = []
        if people:
            key = Key("replies", stand.kind, people[0].size, len(people), SETTING)
            found.append(answers(people, key, several))
        if stand.kind == plan.servers[0]:
            held = stand.held[account_of(plan.sizes[stand.kind][0])]
            key = Key("plain mail", "", held.size, plan.plain[-1], SETTING)
            found.append(Case(key, lambda k, n: jobs.plain([held], k, n), tuple(several)))
        if found:
            measure(found, plan.rounds, plan.seconds, book)
