"""Talks with the real listeners: ``dialogs/lmtp`` over TCP and a unix socket, ``dialogs/smtp`` over TCP.

``dialogs/README.md`` describes the format. A talk that names no mail (``M:``) proves that none was delivered.
"""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest

from imipd.envelope import DONE, Envelope, Status
from imipd.ingress import Listener, Settings, lmtp, smtp
from imipd.ingress.threads import DeliveryThreads
from loops import LOOPS, in_each_loop

HERE = Path(__file__).parent / "dialogs"
SETTINGS = Settings(hostname="imipd.example.org", size=100_000, recipients=4)
FATES = {
    "later": Status(451, "4.4.1", "Calendar out of reach"),
    "refused": Status(550, "5.2.1", "Said the next hop"),
    "chatty": Status(250, "2.0.0", "Ok\r\n250 2.0.0 déjà vu"),
}
STEP = re.compile(r"(?P<mark>[CSM][:|*~#]|--) ?(?P<text>.*)")
PLACES = {"lmtp-tcp": lmtp.listener, "lmtp-unix": lmtp.listener, "smtp-tcp": smtp.listener}
TALKS = [
    pytest.param(place, talk, id=f"{place}-{talk.stem}")
    for place in PLACES
    for talk in sorted((HERE / place[:4]).glob("*.txt"))
]


class Step(NamedTuple):
    """One line of a talk."""

    mark: str
    text: str


@dataclass
class Calendars:
    """A gateway that does what the recipients' local parts say."""

    mails: list[Envelope] = field(default_factory=list)

    def serves(self, address: str) -> bool:
        """Know everybody but unknown@; broken@ is a defect of ours."""
        if address.startswith("broken@"):
            raise OSError("directory out of reach, s3cret")
        return not address.startswith("unknown@")

    def deliver(self, envelope: Envelope) -> tuple[Status, ...]:
        """Keep the mail and answer."""
        self.mails.append(envelope)
        names = [recipient.partition("@")[0] for recipient in envelope.recipients]
        if "crash" in names:
            raise RuntimeError("a defect, s3cret")
        return tuple(FATES.get(name, DONE) for name in names if name != "lost")


class Running:
    """A listener that runs in a thread of its own while the test talks to it."""

    def __init__(self, place: str, listen: str, loop: str = "asyncio") -> None:
        self.place = place
        self.calendars = Calendars()
        self._loop = LOOPS[loop]()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._listener = asyncio.run_coroutine_threadsafe(self._start(place, listen), self._loop).result(10)
        self.address = self._listener.addresses[0]

    async def _start(self, place: str, listen: str) -> Listener:
        threads = DeliveryThreads(self.calendars.deliver, lambda _: None, 2)
        listener = PLACES[place]([listen], self.calendars.serves, threads, SETTINGS)
        await listener.start()
        return listener

    def stop(self) -> None:
        """End every connection; what a client left half done is over then."""
        assert asyncio.run_coroutine_threadsafe(self._listener.drain(5), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def connect(self) -> socket.socket:
        """Return a client's socket."""
        if self.address.startswith("unix:"):
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.address.removeprefix("unix:"))
        else:
            host, _, port = self.address.rpartition(":")
            client = socket.create_connection((host, int(port)))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(5)
        return client


@in_each_loop
@pytest.mark.parametrize(("place", "talk"), TALKS)
def test_talk_goes_as_written(place: str, talk: Path, loop: str, tmp_path: Path) -> None:
    """The server says what the file says, and exactly the mails that it names are delivered."""
    steps = _steps(talk)
    running = Running(place, f"unix:{tmp_path}/s" if place.endswith("unix") else "127.0.0.1:0", loop)
    try:
        with running.connect() as client:
            _talk(client, [step for step in steps if step.mark[0] != "M"])
    finally:
        running.stop()
    expected = list(_mails(steps))
    exactness = chain((content for _, content in expected), repeat(b""))
    assert [*map(_described, running.calendars.mails, exactness)] == expected


def test_every_kind_of_talk_is_there() -> None:
    """A moved folder does not pass for green."""
    assert len(TALKS) > 40


def _steps(talk: Path) -> list[Step]:
    _, _, body = talk.read_text(encoding="utf-8").partition("\n\n")
    found = [(line, STEP.fullmatch(line)) for line in body.splitlines() if line]
    assert all(match for _, match in found), [line for line, match in found if not match]
    return [Step(match["mark"], match["text"]) for _, match in found if match]


def _talk(client: socket.socket, steps: list[Step]) -> None:
    answers = client.makefile("rb")
    for side, group in groupby(steps, key=lambda step: step.mark[0]):
        if side == "C":
            client.sendall(b"".join(_sent(step) for step in group))
            continue
        for step in group:
            if side == "-":
                _stage(client, answers, step.text)
            else:
                _expect(answers, step)
    if steps[-1].mark != "--":
        client.sendall(b"NOOP\r\n")
        assert answers.readline() == b"250 2.0.0 Ok\r\n", "the server had more to say"


def _stage(client: socket.socket, answers: BinaryIO, direction: str) -> None:
    match direction:
        case "pause":
            time.sleep(0.05)
        case "hang up":
            client.shutdown(socket.SHUT_RDWR)
        case _:
            assert (direction, answers.readline()) == ("closed", b"")


def _expect(answers: BinaryIO, step: Step) -> None:
    line = answers.readline().decode()
    assert line.endswith("\r\n"), f"the server closed; expected {step.text}"
    pattern = step.text if step.mark == "S~" else re.escape(step.text) + ".*"
    assert re.fullmatch(pattern, line[:-2]), f"{line!r} is not {step.text!r}"


def _sent(step: Step) -> bytes:
    if step.mark == "C*":
        times, _, text = step.text.partition(" ")
        return text.encode() * int(times)
    return _raw(step.text) if step.mark == "C|" else step.text.encode() + b"\r\n"


def _raw(text: str) -> bytes:
    r"""Return the bytes of a text with ``\r``, ``\n``, ``\x00`` and ``\\``; the rest is UTF-8."""
    escape = re.compile(rb"\\(?:x([0-9a-f]{2})|(.))")
    named = {b"r": b"\r", b"n": b"\n", b"\\": b"\\"}
    return escape.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else named[m[2]], text.encode())


def _mails(steps: list[Step]) -> Iterator[tuple[str, bytes | int]]:
    """Return (addresses, content or its length) of each mail that the talk names."""
    named: list[tuple[str, list[Step]]] = []
    for step in steps:
        if step.mark == "M:":
            named.append((step.text, []))
        elif step.mark[0] == "M":
            named[-1][1].append(step)
    for addresses, content in named:
        if content and content[0].mark == "M#":
            yield addresses, int(content[0].text)
        else:
            yield addresses, b"".join(_raw(step.text) for step in content)


def _described(mail: Envelope, expected: bytes | int) -> tuple[str, bytes | int]:
    """Return a mail as a talk would name it, its content as exactly as it was `expected`."""
    addresses = f"<{mail.reverse_path}> -> {', '.join(mail.recipients)}" + " (oversize)" * mail.oversize
    return addresses, len(mail.content) if isinstance(expected, int) else mail.content
