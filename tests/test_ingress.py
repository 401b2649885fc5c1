"""What talks cannot show: draining, several connections at a time, silence."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from imipd.envelope import DONE, Envelope, Status
from imipd.ingress import Listener, Settings, lmtp
from imipd.ingress.threads import DeliveryThreads
from loops import in_loop

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
ENVELOPE = b"LHLO c\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<ok@example.org>\r\nDATA\r\n"
HOST = Settings(hostname="imipd.example.org")


class Gate:
    """A gateway that delivers when the test says so, and counts how many deliver at a time."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.mails: list[Envelope] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def deliver(self, envelope: Envelope) -> tuple[Status, ...]:
        """Wait for `go_on`."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.begun.release()
        self.go_on.wait(10)
        with self._lock:
            self._now -= 1
            self.mails.append(envelope)
        return (DONE,) * len(envelope.recipients)

    async def wait_until_begun(self) -> None:
        """Return when one more mail is being delivered."""
        assert await asyncio.to_thread(self.begun.acquire, True, 10)


@asynccontextmanager
async def listening(gate: Gate, settings: Settings = HOST, workers: int = 2) -> AsyncIterator[Listener]:
    """Yield a listener for LMTP that has started."""
    threads = DeliveryThreads(gate.deliver, lambda _: None, workers)
    listener = lmtp.listener(["127.0.0.1:0"], lambda _: True, threads, settings)
    await listener.start()
    try:
        yield listener
    finally:
        gate.go_on.set()
        await listener.drain(5)
        threads.close()


class Client:
    """A peer of LMTP that says and hears lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def of(cls, listener: Listener) -> "Client":
        """Connect to the first address of a listener."""
        host, _, port = listener.addresses[0].rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def hears(self, *answers: str) -> None:
        """Demand these answers next, ``""`` for the end of the connection."""
        for answer in answers:
            line = (await asyncio.wait_for(self._reader.readline(), 10)).decode()
            assert line.startswith(answer)
            assert bool(line) == bool(answer)

    async def begins(self) -> None:
        """Send everything up to the content."""
        self.writer.write(ENVELOPE)
        await self.hears("220", "250-", "250-", "250-", "250-", "250 ", "250", "250", "354")

    async def sends(self) -> None:
        """Send a whole mail, without waiting for its answer."""
        await self.begins()
        self.writer.write(MAIL + b".\r\n")


# -- Draining ----------------------------------------------------------------------------------------------


@in_loop
async def test_drain_finishes_and_answers_the_mail_in_hand() -> None:
    """A mail that is being delivered is answered 250, then its peer hears 421."""
    gate = Gate()
    async with listening(gate) as listener:
        client = await Client.of(listener)
        await client.sends()
        await gate.wait_until_begun()
        draining = asyncio.create_task(listener.drain(10))
        await asyncio.sleep(0.05)
        assert not draining.done()
        gate.go_on.set()
        await client.hears("250 2.0.0", "421 4.3.2", "")
        assert await draining


@in_loop
async def test_drain_lets_a_peer_finish_its_content() -> None:
    """A mail of which half has come is taken to its end."""
    gate = Gate()
    gate.go_on.set()
    async with listening(gate) as listener:
        client = await Client.of(listener)
        await client.begins()
        client.writer.write(MAIL)
        draining = asyncio.create_task(listener.drain(10))
        await asyncio.sleep(0.05)
        client.writer.write(b".\r\n")
        await client.hears("250 2.0.0", "421 4.3.2", "")
        assert await draining
        assert gate.mails[0].content == MAIL


@in_loop
async def test_drain_answers_a_mail_that_breaks() -> None:
    """A defect during the drain is 451, then 421."""
    gate = Gate()
    gate.mails = None  # type: ignore[assignment]
    async with listening(gate) as listener:
        client = await Client.of(listener)
        await client.sends()
        await gate.wait_until_begun()
        draining = asyncio.create_task(listener.drain(10))
        await asyncio.sleep(0.05)
        gate.go_on.set()
        await client.hears("451 4.3.0", "421 4.3.2", "")
        assert await draining


@in_loop
async def test_drain_dismisses_idle_peers_and_takes_no_new_ones() -> None:
    """A peer between two commands hears 421; nobody can connect any more."""
    async with listening(Gate()) as listener:
        idle = await Client.of(listener)
        await idle.hears("220")
        host, port = listener.addresses[0].split(":")
        assert await listener.drain(5)
        await idle.hears("421 4.3.2", "")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))


@in_loop
async def test_drain_begins_no_mail_that_was_sent_ahead() -> None:
    """The mail after the one in hand is left to the MTA, though its commands have come already."""
    gate = Gate()
    async with listening(gate) as listener:
        client = await Client.of(listener)
        await client.sends()
        client.writer.write(ENVELOPE + MAIL + b".\r\n")
        await gate.wait_until_begun()
        draining = asyncio.create_task(listener.drain(10))
        await asyncio.sleep(0.05)
        gate.go_on.set()
        await client.hears("250 2.0.0", "421 4.3.2", "")
        assert await draining
        assert len(gate.mails) == 1


@in_loop
async def test_drain_cuts_off_what_takes_too_long() -> None:
    """After the timeout the connection closes without an answer, so the MTA keeps the mail."""
    gate = Gate()
    async with listening(gate) as listener:
        client = await Client.of(listener)
        await client.sends()
        await gate.wait_until_begun()
        assert not await listener.drain(0.05)
        await client.hears("")


# -- Many at a time ----------------------------------------------------------------------------------------


@in_loop
async def test_mails_are_delivered_side_by_side_in_bounded_threads() -> None:
    """Six mails and three threads: three at a time, all answered."""
    gate = Gate()
    async with listening(gate, workers=3) as listener:
        clients = [await Client.of(listener) for _ in range(6)]
        for client in clients:
            await client.sends()
        for _ in range(3):
            await gate.wait_until_begun()
        gate.go_on.set()
        for client in clients:
            await client.hears("250 2.0.0")
        assert gate.most == 3
        assert len(gate.mails) == 6


@in_loop
async def test_one_connection_too_many_hears_421() -> None:
    """The third of two is sent away; when one has gone there is room again."""
    async with listening(Gate(), Settings(hostname="h", connections=2)) as listener:
        first, second = await Client.of(listener), await Client.of(listener)
        await first.hears("220")
        await second.hears("220")
        await (await Client.of(listener)).hears("421 4.3.2", "")
        first.writer.write(b"QUIT\r\n")
        await first.hears("221", "")
        await (await Client.of(listener)).hears("220")


@in_loop
async def test_silent_peers_hear_421() -> None:
    """Who says nothing is sent away, within the content too; who waits for our answer is not."""
    gate = Gate()
    async with listening(gate, Settings(hostname="h", idle=0.2)) as listener:
        silent, halfway, waiting = [await Client.of(listener) for _ in range(3)]
        await waiting.sends()
        await halfway.begins()
        await silent.hears("220", "421 4.4.2", "")
        await halfway.hears("421 4.4.2", "")
        await asyncio.sleep(0.2)
        gate.go_on.set()
        await waiting.hears("250 2.0.0", "421 4.4.2", "")


@in_loop
async def test_slow_content_is_not_silence() -> None:
    """A mail may take longer than the timeout as long as it goes on coming."""
    gate = Gate()
    gate.go_on.set()
    async with listening(gate, Settings(hostname="h", idle=0.3)) as listener:
        client = await Client.of(listener)
        await client.begins()
        for _ in range(5):
            client.writer.write(b"a line\r\n")
            await asyncio.sleep(0.1)
        client.writer.write(b".\r\n")
        await client.hears("250 2.0.0")


@in_loop
async def test_a_mail_that_waits_is_dropped_with_its_connection() -> None:
    """Nothing is delivered for a peer who has gone before a thread was free: it sends the mail again."""
    gate = Gate()
    async with listening(gate, workers=1) as listener:
        first, second = await Client.of(listener), await Client.of(listener)
        await first.sends()
        await gate.wait_until_begun()
        await second.sends()
        await asyncio.sleep(0.05)
        second.writer.close()
        await asyncio.sleep(0.05)
        gate.go_on.set()
        await first.hears("250")
    assert len(gate.mails) == 1


@in_loop
async def test_a_defect_within_the_content_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """421 and the end: what is left of the content would be read as commands."""
    gate = Gate()
    async with listening(gate) as listener:
        client = await Client.of(listener)
        await client.begins()
        monkeypatch.setattr("imipd.ingress.content.Content.take", None)
        client.writer.write(MAIL + b".\r\n" + ENVELOPE)
        await client.hears("421 4.3.0", "")
    assert gate.mails == []
