"""Waiting for a server that is busy: the same request again, after a little while and never for long.

A request that was answered 423, 429 or 503 was not carried out, and a write is conditional, so it may be repeated.
Xandikos 0.4.10 takes one write into a collection at a time and answers 423 to the others (RFC 4918 §11.3): there our
own go one after the other, from the first such answer on.
"""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock

from .verdict import Answer

LOCKED, TOO_MANY, UNAVAILABLE = 423, 429, 503
PAUSES = 0.02, 0.5
"""The first and the last; each is up to twice as long as the one before."""
COLLECTIONS = 1000
"""Collections that are remembered to take one write at a time."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a request waits for a busy server, all its pauses together; and the clock by which it does."""

    seconds: float = 5.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


A_LITTLE = Waiting()


class Turns:
    """Who may write into which collection; any thread may ask."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._one_by_one: OrderedDict[str, Lock] = OrderedDict()

    def taken(self, collection: str, ask: Callable[[], Answer]) -> Answer:
        """Return the answer; ask again while the server is busy, as long as there is time.

        `collection` is the URL of that into which is written; empty where nothing is.
        """
        until = self._waiting.now() + self._waiting.seconds
        for pause in _pauses():
            with self._one_by_one.get(collection) or nullcontext():
                answer = ask()
            wanted = _wanted(answer, pause)
            if wanted is None or self._waiting.now() + wanted > until:
                break
            if answer.status == LOCKED and collection:
                self._keep_apart(collection)
            self._waiting.sleep(wanted)
        return answer

    def _keep_apart(self, collection: str) -> None:
        """Let our own writes into it go one after the other."""
        self._one_by_one.setdefault(collection, Lock())
        if len(self._one_by_one) > COLLECTIONS:
            self._one_by_one.popitem(last=False)


def _pauses() -> Iterator[float]:
    """Yield ever longer pauses, which differ from those of the other writers."""
    pause, last = PAUSES
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311  nobody gains by guessing it
        pause = min(2 * pause, last)


def _wanted(answer: Answer, pause: float) -> float | None:
    """Return the seconds to wait before the request is repeated, None where it is not."""
    said = answer.headers.get("Retry-After") or ""  # seconds, or a date, which our clocks may not agree upon
    after = float(said) if said.isascii() and said.isdigit() and len(said) < 10 else None
    if answer.status == LOCKED or (answer.status in (TOO_MANY, UNAVAILABLE) and after is not None):
        return pause + (after or 0.0)
    return None
