"""The bounded threads in which mails are delivered while the event loop goes on talking."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from imipd.envelope import Deliver, Envelope, Status


class DeliveryThreads:
    """A `DeliverInThread`: at most `workers` mails are delivered at a time, the others wait their turn."""

    def __init__(self, deliver: Deliver, workers: int) -> None:
        self._deliver = deliver
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="deliver")

    async def __call__(self, envelope: Envelope) -> tuple[Status, ...]:
        """Deliver in a thread; a mail that waits is dropped when its connection is lost."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._deliver, envelope)

    def close(self) -> None:
        """Begin nothing more; what a thread has begun it finishes, also after this returns."""
        self._pool.shutdown(wait=False, cancel_futures=True)
