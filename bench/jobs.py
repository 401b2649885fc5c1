"""What is to be done to calendars: one change a job, as a mail and as what the stored event says afterwards.

Two connections never get the same event, so that the last job for an event is the one that must be seen in it.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle, islice

from . import letters

TICKS = count(1)
"""What is said later is newer, in the whole run: the seconds of DTSTAMP and Date."""
UNHELD = 100_000
"""Beyond this no event is held."""
_RANDOM = random.Random(20261121)


@dataclass
class Held:
    """A filled calendar of one account, and what was said last about its events."""

    account: str
    password: str
    collection: str
    """Its URL, with the trailing slash."""
    size: int
    renamed: bool = False
    """Whether the objects are named as another client names them, not by their UID."""
    first: int = 0
    """The number of its first event."""
    said: dict[int, str] = field(default_factory=dict)

    @property
    def numbers(self) -> range:
        """Return the numbers of its events."""
        return range(self.first, self.first + self.size)

    def url(self, number: int) -> str:
        """Return where an event is."""
        name = f"{number * 7919:08x}" if self.renamed else letters.uid_of(self.account, number)
        return f"{self.collection}{name}.ics"


@dataclass(frozen=True, slots=True)
class Job:
    """One mail to one account; `says` is what the event says once it is taken in, empty where nothing changes."""

    held: Held
    number: int
    method: str
    says: str
    tick: int
    mail: bytes

    @property
    def recipient(self) -> str:
        """Return the address that the mail goes to."""
        return f"{self.held.account}@example.org"

    def is_done(self, body: bytes) -> bool:
        """Return whether a stored object says what this job wants it to say."""
        text = letters.unfolded(body).decode()
        if self.method == "REPLY":
            pattern = rf"^ATTENDEE(?=[;:])[^\r\n]*PARTSTAT={self.says}\b[^\r\n]*mailto:{re.escape(letters.BOB)}"
        else:
            pattern = rf"^{re.escape(self.says)}\r?$"
        return re.search(pattern, text, re.MULTILINE | re.IGNORECASE) is not None


def replies(held: Sequence[Held], connections: int, number: int) -> list[list[Job]]:
    """Return answers of bob to events that the accounts organize, dealt out to the connections."""
    own = [(one, event) for one, event in _pairs(held) if letters.is_own(event)]
    return [_answered(own[first::connections], number) for first in range(connections)]


def updates(held: Sequence[Held], connections: int, number: int) -> list[list[Job]]:
    """Return new versions of events that bob organizes."""
    bobs = [(one, event) for one, event in _pairs(held) if event % 5 == 3]
    return [
        [_update(one, event, next(TICKS)) for one, event in islice(cycle(bobs[first::connections]), number)]
        for first in range(connections)
    ]


def cancels(held: Sequence[Held], connections: int, number: int) -> list[list[Job]]:
    """Return cancellations of events that bob organizes and has not called off yet."""
    left = [(one, event) for one, event in _pairs(held) if event % 5 == 4 and event not in one.said]
    return [
        [_cancel(one, event, next(TICKS)) for one, event in left[first::connections][:number]]
        for first in range(connections)
    ]


def plain(held: Sequence[Held], connections: int, number: int, size: int = 5000) -> list[list[Job]]:
    """Return mails without a calendar part; a connection sends the same again and again."""
    tick = next(TICKS)
    mails = [Job(one, -1, "", "", tick, letters.plain(one.account, size, tick)) for one in held]
    return [[mails[first % len(mails)]] * number for first in range(connections)]


def strangers(held: Sequence[Held], connections: int, number: int) -> list[list[Job]]:
    """Return answers to events that no calendar holds."""
    return [[_stranger(held[0], next(TICKS)) for _ in range(number)] for _ in range(connections)]


def mixed(held: Sequence[Held], connections: int, number: int) -> list[list[Job]]:
    """Return mails of which one in a hundred answers."""
    rows = zip(plain(held, connections, number), replies(held, connections, number // 100 + 1), strict=True)
    return [[answers[at // 100] if at % 100 == 50 else mail for at, mail in enumerate(row)] for row, answers in rows]


def _pairs(held: Sequence[Held]) -> list[tuple[Held, int]]:
    """Return all events in chance order, the accounts by turns."""
    orders = [_RANDOM.sample(one.numbers, one.size) for one in held]
    # The same kind of event at the same place in each order: connections then have accounts of their own.
    orders = [sorted(order, key=lambda event: max(event % 5, 2)) for order in orders]
    return [pair for row in zip(*orders, strict=True) for pair in zip(held, row, strict=True)]


def _answered(pairs: Sequence[tuple[Held, int]], number: int) -> list[Job]:
    said: dict[tuple[str, int], str] = {}
    return [_reply(held, event, said) for held, event in islice(cycle(pairs), number)]


def _reply(held: Held, event: int, said: dict[tuple[str, int], str]) -> Job:
    """Return an answer that differs from the one before."""
    last = said.get((held.account, event)) or held.said.get(event, letters.PARTSTATS[-1])
    partstat = letters.PARTSTATS[(letters.PARTSTATS.index(last) + 1) % len(letters.PARTSTATS)]
    said[held.account, event] = partstat
    tick = next(TICKS)
    return Job(held, event, "REPLY", partstat, tick, letters.reply(held.account, event, partstat, tick))


def _update(held: Held, event: int, tick: int) -> Job:
    summary = f"Meeting {event} version {tick}"
    return Job(held, event, "REQUEST", f"SUMMARY:{summary}", tick, letters.update(held.account, event, summary, tick))


def _cancel(held: Held, event: int, tick: int) -> Job:
    return Job(held, event, "CANCEL", "STATUS:CANCELLED", tick, letters.cancel(held.account, event, tick))


def _stranger(held: Held, tick: int) -> Job:
    mail = letters.reply(held.account, UNHELD + tick, "ACCEPTED", tick)
    return Job(held, -1, "REPLY", "", tick, mail)


def sent(rows: Sequence[Sequence[Job]], numbers: Sequence[int]) -> Iterator[Job]:
    """Yield so many jobs of each row."""
    for row, number in zip(rows, numbers, strict=True):
        yield from row[:number]


def keep(jobs: Iterable[Job]) -> None:
    """Keep in mind what events say now."""
    for job in jobs:
        if job.says:
            job.held.said[job.number] = job.says
