"""How many bytes of mails are held at a time, whichever connection they come by, and who waits for room.

The first `MOST_UNCOUNTED` bytes of a mail are free, so that a small mail never waits for large ones. A larger one
waits within its content: nothing is read from its connection meanwhile, and TCP makes the peer wait as well.

The rule here: a mail that has begun can come to its end. More is given only where what is left then would do for the
longest of all to become as long as a mail may be; once that one has gone, there is room for any other.
"""

import asyncio

MOST_UNCOUNTED = 64 * 1024
"""Bytes of each mail that are not counted; others are in steps of as many."""
_SIZE = 100 * 2**20
_LARGEST = 25 * 2**20
PATIENCE = 120.0
"""Seconds that a mail waits for room; Postfix waits 180 for a peer who takes nothing (RFC 5321 §4.5.3.2.5)."""


class Budget:
    """Bytes that may be held, for mails of at most `largest` bytes, of which one always has room."""

    def __init__(self, size: int = _SIZE, largest: int = _LARGEST, patience: float = PATIENCE) -> None:
        self._size = max(size, largest)
        self._largest = largest
        self._patience = patience
        self._held: dict[Allowance, int] = {}
        self._waiting: dict[Allowance, tuple[int, asyncio.Future[None]]] = {}

    def of(self, allowance: "Allowance") -> int:
        """Return what an allowance has."""
        return self._held.get(allowance, 0)

    async def give(self, allowance: "Allowance", more: int) -> None:
        """Wait until `allowance` can have so many bytes more; who came first is served first. Raises TimeoutError."""
        granted = asyncio.get_running_loop().create_future()
        self._waiting[allowance] = more, granted
        self._grant()
        try:
            async with asyncio.timeout(self._patience):
                await granted
        finally:
            self._waiting.pop(allowance, None)

    def take_back(self, allowance: "Allowance") -> None:
        """Take everything back, for those who wait."""
        if self._held.pop(allowance, 0):
            self._grant()

    def _grant(self) -> None:
        held, longest = sum(self._held.values()), max(self._held.values(), default=0)
        for allowance, (more, granted) in tuple(self._waiting.items()):
            length = self.of(allowance) + more
            left = self._size - held - more
            if left >= self._largest - max(longest, length) and not granted.done():
                self._held[allowance] = length
                held, longest = held + more, max(longest, length)
                granted.set_result(None)


class Allowance:
    """What one mail has of a budget, until it is closed."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def covers(self, size: int) -> bool:
        """Whether there is room for so many bytes of the mail."""
        return size <= MOST_UNCOUNTED + self._budget.of(self)

    async def grow(self, size: int) -> None:
        """Wait until there is room for so many bytes of the mail. Raises TimeoutError."""
        missing = size - MOST_UNCOUNTED - self._budget.of(self)
        await self._budget.give(self, -(-missing // MOST_UNCOUNTED) * MOST_UNCOUNTED)

    def close(self) -> None:
        """Give everything back."""
        self._budget.take_back(self)
