"""How many bytes of mails are held at a time: a flood of large mails costs time, and no memory."""

import asyncio
import os
import sys
from contextlib import closing
from dataclasses import replace
from random import Random
from subprocess import PIPE

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from imipd.ingress.budget import MOST_UNCOUNTED as FREE
from imipd.ingress.budget import Allowance, Budget
from loops import in_each_loop, in_loop
from test_ingress import ENVELOPE, HOST, MAIL, Client, Gate, listening

LARGE = 8 * FREE
CONTENT = b"a line of text\r\n" * (LARGE // 16)


# -- The budget --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10 * FREE), min_size=1, max_size=12),
    budget=st.integers(10 * FREE, 25 * FREE),
    order=st.randoms(use_true_random=False),
)
def test_every_mail_comes_to_its_end_and_no_more_is_held(sizes: list[int], budget: int, order: Random) -> None:
    """However the blocks of how many mails are mixed."""

    async def flood() -> None:
        kept = Budget(budget, 10 * FREE)
        allowances = [Allowance(kept) for _ in sizes]

        async def come(allowance: Allowance, size: int) -> None:
            with closing(allowance):
                for received in [*range(1, size, FREE), size]:
                    await asyncio.sleep(0 if order.random() < 0.5 else 0.0001)
                    if not allowance.covers(received):
                        await allowance.grow(received)
                    assert allowance.covers(received)
                    assert sum(map(kept.of, allowances)) <= budget
                await asyncio.sleep(0.0001)

        await asyncio.gather(*map(come, allowances, sizes))
        assert not kept._held
        assert not kept._waiting

    asyncio.run(asyncio.wait_for(flood(), 20))


@in_loop
async def test_who_waits_too_long_is_told_and_gets_nothing_later() -> None:
    budget = Budget(LARGE, LARGE, patience=0.01)
    first, second = Allowance(budget), Allowance(budget)
    await first.grow(FREE + LARGE)
    with pytest.raises(TimeoutError):
        await second.grow(2 * FREE)
    first.close()
    assert budget.of(second) == 0
    await second.grow(FREE + LARGE)


# -- Connections -------------------------------------------------------------------------------------------


@in_loop
async def test_a_large_mail_waits_for_room_and_a_small_one_does_not() -> None:
    """Its connection is not read, and not taken for an idle one; when there is room, it is delivered."""
    gate = Gate()
    limits = replace(HOST, size=LARGE, idle=1.0, budget=Budget(LARGE, LARGE))
    async with listening(gate, limits, workers=3) as listener:
        first, second, small = [await Client.of(listener) for _ in range(3)]
        await first.begins()
        first.writer.write(CONTENT + b".\r\n")
        await gate.wait_until_begun()
        await second.begins()
        second.writer.write(CONTENT + b".\r\n")
        await small.sends()
        await gate.wait_until_begun()
        await asyncio.sleep(1.5)
        assert not gate.begun.acquire(blocking=False)
        gate.go_on.set()
        for client in (first, second, small):
            await client.hears("250 2.0.0")
    assert sorted(len(mail.content) for mail in gate.mails) == [len(MAIL), len(CONTENT), len(CONTENT)]


@in_loop
async def test_who_waits_for_room_too_long_hears_451_and_may_go_on() -> None:
    """One for each recipient, when all has come; what he had is free at once, what follows are commands again."""
    gate = Gate()
    limits = replace(HOST, size=LARGE, budget=Budget(10 * FREE, LARGE, patience=0.2))
    async with listening(gate, limits) as listener:
        first, second, third = [await Client.of(listener) for _ in range(3)]
        await first.begins()
        first.writer.write(CONTENT[: 13 * FREE // 2] + b".\r\n")
        await gate.wait_until_begun()
        second.writer.write(ENVELOPE.replace(b"DATA", b"RCPT TO:<ok@example.net>\r\nDATA"))
        await second.hears("220", *["250-"] * 4, "250 ", *["250"] * 3, "354")
        with capture_logs() as logged:
            second.writer.write(CONTENT + b"RSET\r\n" * FREE)
            while not logged:
                await asyncio.sleep(0.01)
            await third.begins()
            third.writer.write(CONTENT[: 5 * FREE // 2] + b".\r\n")
            await gate.wait_until_begun()
            second.writer.write(b".\r\nNOOP\r\n")
            await second.hears("451 4.3.1", "451 4.3.1", "250 2.0.0")
        gate.go_on.set()
        await third.hears("250 2.0.0")
        second.writer.write(ENVELOPE.partition(b"\r\n")[2] + MAIL + b".\r\n")
        await second.hears("250", "250", "354", "250 2.0.0")
    assert [line["event"] for line in logged] == ["no-room"]
    assert sorted(len(mail.content) for mail in gate.mails) == [len(MAIL), 5 * FREE // 2, 13 * FREE // 2]


@in_loop
async def test_who_goes_while_he_waits_leaves_room() -> None:
    gate = Gate()
    async with listening(gate, replace(HOST, size=LARGE, budget=Budget(LARGE, LARGE))) as listener:
        first, second, third = [await Client.of(listener) for _ in range(3)]
        for client in (first, second):
            await client.begins()
            client.writer.write(CONTENT[: LARGE // 2])
            await asyncio.sleep(0.05)
        await third.begins()
        third.writer.write(CONTENT + b".\r\n")
        first.writer.close()
        second.writer.close()
        gate.go_on.set()
        await third.hears("250 2.0.0")


# -- A flood -----------------------------------------------------------------------------------------------

MIB = 2**20
CONNECTIONS = 100
BLOCK = b"a line of text\r\n" * (MIB // 16)
DAEMON = """
import asyncio, sys, time
from imipd.envelope import DONE
from imipd.ingress import Settings, lmtp
from imipd.ingress.budget import MOST_UNCOUNTED as FREE
from imipd.ingress.budget import Budget, Allowance
from imipd.ingress.threads import DeliveryThreads
from loops import ran

def deliver(envelope):
    assert len(envelope.content) == 2 * 2**20 and not envelope.oversize
    time.sleep(0.03)
    return (DONE,) * len(envelope.recipients)

def most():
    return next(int(row.split()[1]) for row in open("/proc/self/status") if row.startswith("VmHWM"))

async def talk():
    threads = DeliveryThreads(deliver, lambda _: None, 2)
    settings = Settings("h", budget=Budget(16 * 2**20, 3 * 2**20))
    listener = lmtp.listener(["127.0.0.1:0"], bool, threads, settings)
    await listener.start()
    before = most()
    print(listener.addresses[0].rpartition(":")[2], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(most() - before)
    threads.close()

ran(sys.argv[1], talk(), 300)
"""


@in_each_loop
def test_a_flood_of_large_mails_costs_no_more_memory_than_the_budget(loop: str) -> None:
    """100 connections bring 200 MiB at once to a slow calendar: all is done, in memory for 16 MiB and buffers."""
    asyncio.run(asyncio.wait_for(_flood(loop), 300))


async def _flood(loop: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, loop, stdin=PIPE, stdout=PIPE, env=environment
    )
    assert daemon.stdin
    assert daemon.stdout
    try:
        port = int(await daemon.stdout.readline())
        answers = await asyncio.gather(*(_sent(port) for _ in range(CONNECTIONS)))
        assert answers == [b"250 2.0.0 Ok\r\n"] * CONNECTIONS
        daemon.stdin.close()
        assert int(await daemon.stdout.readline()) < 110 * 1024
    finally:
        daemon.kill()
        await daemon.wait()


async def _sent(port: int) -> bytes:
    """Hand two MiB over and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ENVELOPE)
    for block in (BLOCK, BLOCK, b".\r\n"):
        writer.write(block)
        await writer.drain()
    answers = [await reader.readline() for _ in range(10)]
    writer.close()
    return answers[-1]
