"""The recipients of one mail side by side: the thread that has the mail sees to them, and others that are free help it.

The rule here: nobody waits for a thread that has not begun, so every mail goes on, however many there are.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Seen = TypeVar("Seen")


class Abreast:
    """Threads that help with mails of several recipients; without any, one recipient follows the other."""

    def __init__(self, helpers: int) -> None:
        self._helpers = helpers
        self._pool = once(lambda: _threads(helpers))

    def __call__(self, see_to: Callable[[str], Seen], recipients: Sequence[str]) -> tuple[Seen, ...]:
        """Return what `see_to` returns for each recipient, in their order."""
        waiting, seen = deque(enumerate(recipients)), dict[int, Seen]()

        def work() -> None:
            while waiting:
                try:
                    index, recipient = waiting.popleft()
                except IndexError:
                    return  # another thread took the last one
                seen[index] = see_to(recipient)

        helping = [self._pool().submit(work) for _ in range(min(self._helpers, len(recipients) - 1))]
        work()
        for helper in helping:
            if not helper.cancel():
                helper.result()
        return tuple(seen[index] for index in range(len(recipients)))


def _threads(number: int) -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  a pipe seldom has a use for it

    return ThreadPoolExecutor(number, thread_name_prefix="recipient")


def once(make: Callable[[], Seen]) -> Callable[[], Seen]:
    """Return what makes a thing when it is first asked for, once for all threads."""
    made, lock = cache(make), threading.Lock()

    def first() -> Seen:
        with lock:
            return made()

    return first
