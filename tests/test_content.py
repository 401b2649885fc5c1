"""The content of a mail, cut anywhere and of any size."""

import io
import os
import subprocess
import sys
import tracemalloc

from hypothesis import example, given, settings
from hypothesis import strategies as st

from imipd.ingress.content import Content
from loops import in_each_loop

WIRE = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n."]), max_size=40).map(b"".join)


@settings(deadline=None)
@given(wire=WIRE, cuts=st.lists(st.integers(1, 7), min_size=1, max_size=20), limit=st.integers(0, 50))
@example(wire=b"\r\n..\r\n", cuts=[1], limit=50)
def test_content_is_the_same_however_it_was_cut(wire: bytes, cuts: list[int], limit: int) -> None:
    """Cut anywhere, the content, its length and what follows are as of one piece, and as the RFC says."""
    sent = wire + b"\r\n.\r\nQUIT\r\n"
    lines, _, rest = (b"\r\n" + sent).partition(b"\r\n.\r\n")
    expected = b"\r\n".join(line[line[:1] == b"." :] for line in (lines + b"\r\n").split(b"\r\n"))[2:]
    content, beyond = Content(limit), Content(limit, io.BytesIO)
    position = 0
    for cut in (cuts * len(sent))[: len(sent)]:
        if content.rest is not None:
            break
        for each in (content, beyond):
            each.feed(sent[position : position + cut])
        position += cut
    assert content.rest is not None
    assert content.rest + sent[position:] == rest
    assert (content.size, content.oversize) == (len(expected), len(expected) > limit)
    assert (content.take(), content.beyond) == (expected[:limit], None)
    file = beyond.beyond
    assert bool(file) == beyond.oversize
    assert beyond.take() + (file.getvalue() if isinstance(file, io.BytesIO) else b"") == expected


def test_a_mail_is_held_once() -> None:
    """Neither while it grows nor when it is taken is there a second copy."""
    content, block = Content(40_000_000), b"a line of text\r\n" * 4096
    tracemalloc.start()
    try:
        for _ in range(320):
            content.feed(block)
        content.feed(b".\r\n")
        mail, (now, most) = content.take(), tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(mail) == 320 * len(block)
    assert now < 1.01 * len(mail)
    assert most < 1.2 * len(mail)


GROWTH = """
import asyncio, resource, sys
from imipd.envelope import DONE
from imipd.ingress import Settings, lmtp
from loops import ran

async def deliver(envelope):
    assert envelope.oversize and len(envelope.content) == 5_000_000
    return (DONE,) * len(envelope.recipients)

async def talk():
    listener = lmtp.listener(["127.0.0.1:0"], lambda _: True, deliver, Settings("h", size=5_000_000))
    await listener.start()
    reader, writer = await asyncio.open_connection(*listener.addresses[0].split(":"))
    writer.write(b"LHLO c\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<a@b>\\r\\nDATA\\r\\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b"a" * 1_000_000
    for _ in range(200):
        writer.write(block)
        await writer.drain()
    writer.write(b"\\r\\n.\\r\\nQUIT\\r\\n")
    answers = (await reader.read()).splitlines()
    assert answers[-2:] == [b"250 2.0.0 Ok", b"221 2.0.0 Bye"], answers
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

ran(sys.argv[1], talk(), 300)
"""


@in_each_loop
def test_memory_is_bounded_by_the_limit(loop: str) -> None:
    """200 MB without a line end, of which 5 MB are kept, cost less than 30 MB."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", GROWTH, loop]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.split()[-1]) < 30_000
