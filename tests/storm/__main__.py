"""Makes the figures: ``PYTHONPATH=tests python -m storm [SEEDS]``; a storm for each seed, and its sum."""

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from servers import radicale

from .proxy import proxied
from .test_storm import PEOPLE, UIDS, everything, node, often, sqlite_of
from .weather import Calendar, Queue, Writer, check


def storm(seed: int, folder: Path) -> tuple[int, int, int, Counter[tuple[str, str]]]:
    """Return how many mails there were, how often they were sent, how many lines alice wrote, and the faults."""
    (folder / "radicale").mkdir()
    with radicale(folder / "radicale") as server, proxied(server.url, often(seed)) as proxy:
        calendar, letters = Calendar(server), everything(seed)
        calendar.make(UIDS, PEOPLE)
        writer = Writer(calendar, UIDS, 20)
        with node(folder / "imipd", proxy.url, sqlite_of(folder)) as daemon:
            writer.start()
            queue = Queue([daemon.place], list(letters))
            queue.run()
            writer.join()
        assert not queue.refused
        check(letters, calendar, sqlite_of(folder))
        assert not writer.lost(b"".join(calendar.objects()))
    return len(letters), queue.tries.total(), writer.times, proxy.injected


def main(seeds: int) -> None:
    """Print a line for each storm, then what kind of fault there was how often."""
    mails = tries = lines = 0
    faults: Counter[tuple[str, str]] = Counter()
    for seed in random.Random(20270112).sample(range(10_000), seeds):
        with tempfile.TemporaryDirectory() as folder:
            one = storm(seed, Path(folder))
        mails, tries, lines = mails + one[0], tries + one[1], lines + one[2]
        faults += one[3]
        print(f"seed {seed}: {one[0]} mails sent {one[1]} times, {one[3].total()} faults", flush=True)
    print(f"{mails} mails, {tries} deliveries, {faults.total()} faults, {lines} lines of another writer; lost: 0")
    kinds: Counter[str] = Counter()
    for (_, kind), number in faults.items():
        kinds[kind] += number
    print(", ".join(f"{kind} {number}" for kind, number in kinds.most_common()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
