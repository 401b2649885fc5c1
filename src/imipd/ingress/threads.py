"""The bounded threads in which mails are delivered while the event loop goes on talking.

To hand a mail over costs more than to see that it is an ordinary one, so that is asked in the event loop first.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from imipd.envelope import AtOnce, Deliver, Envelope, Status

LONGEST_AT_ONCE = 64 * 1024
"""Bytes of a mail that may be looked at in the event loop: 0.2 ms, in which nobody else is talked to."""


class DeliveryThreads:
    """A `DeliverInThread`: at most `workers` mails are delivered at a time, the others wait their turn."""

    def __init__(self, deliver: Deliver, at_once: AtOnce, workers: int) -> None:
        self._deliver = deliver
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="deliver")

    async def __call__(self, envelope: Envelope) -> tuple[Status, ...]:
        """Deliver in a thread; a mail that waits is dropped when its connection is lost."""
        if len(envelope.content) <= LONGEST_AT_ONCE and (statuses := self._at_once(envelope)) is not None:
            return statuses
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._deliver, envelope)

    def close(self) -> None:
        """Begin nothing more; what a thread has begun it finishes, also after this returns."""
        self._pool.shutdown(wait=False, cancel_futures=True)
