"""The load: one process for each connection, which sends until its time is up; and what that has taken.

All of them start at one word. The client is bare: MAIL, RCPT and DATA go out in one piece (RFC 2920) to everybody, so
that what is measured is the server.
"""

import multiprocessing
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

from .jobs import Job
from .letters import BOB

PATIENCE = 300.0
"""Seconds until a server that says nothing is given up."""
_FORK = multiprocessing.get_context("fork")


class Client(Protocol):
    """One connection."""

    def do(self, job: Job) -> str:
        """Do a job and return what went wrong, empty where nothing did."""

    def close(self) -> None:
        """Hang up."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was sent in one go."""

    numbers: tuple[int, ...]
    """How many jobs of each connection's row."""
    seconds: float
    latencies: tuple[float, ...]
    """Seconds from a job's first byte to its last."""
    problems: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return sum(self.numbers) / self.seconds


def drive(connect: Callable[[], Client], rows: Sequence[Sequence[Job]], seconds: float) -> Run:
    """Work off each row on a connection of its own, until it is done or the time is up."""
    pipes = [_FORK.Pipe() for _ in rows]
    children = [
        _FORK.Process(target=_work, args=(theirs, connect, row, seconds))
        for (_, theirs), row in zip(pipes, rows, strict=True)
    ]
    for child in children:
        child.start()
    try:
        ours = [mine for mine, _ in pipes]
        for pipe in ours:
            pipe.recv()
        for pipe in ours:
            pipe.send("go")
        told = [pipe.recv() for pipe in ours]
    finally:
        for child in children:
            child.join(5)
            child.kill()
    begin, end = min(one[0] for one in told), max(one[1] for one in told)
    latencies = tuple(latency for one in told for latency in one[2])
    problems = tuple(problem for one in told for problem in one[3])
    return Run(tuple(len(one[2]) for one in told), end - begin, latencies, problems)


def _work(pipe: Connection, connect: Callable[[], Client], row: Sequence[Job], seconds: float) -> None:
    with closing(connect()) as client:
        pipe.send("ready")
        pipe.recv()
        latencies: list[float] = []
        problems: list[str] = []
        begin = now = time.perf_counter()
        for job in row:
            problem = client.do(job)
            before, now = now, time.perf_counter()
            latencies.append(now - before)
            if problem:
                problems.append(problem)
            if now - begin > seconds:
                break
        pipe.send((begin, now, latencies, problems))


class Lmtp:
    """A connection to an LMTP server (RFC 2033)."""

    def __init__(self, place: str) -> None:
        host, _, port = place.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")
        self._answer()
        self._socket.sendall(b"LHLO bench.example.net\r\n")
        self._answer()

    def do(self, job: Job) -> str:
        """Send the mail of a job."""
        self._socket.sendall(f"MAIL FROM:<{BOB}>\r\nRCPT TO:<{job.recipient}>\r\nDATA\r\n".encode())
        answers = [self._answer() for _ in range(3)]
        if not answers[2].startswith(b"354"):
            return f"{job.recipient}: {b' | '.join(answers).decode()}"
        self._socket.sendall(job.mail + b".\r\n")
        answer = self._answer()
        return "" if answer.startswith(b"250") else f"{job.recipient}: {answer.decode()}"

    def close(self) -> None:
        """Say good-bye."""
        self._socket.sendall(b"QUIT\r\n")
        self._socket.close()

    def _answer(self) -> bytes:
        """Return the last line of an answer."""
        while line := self._lines.readline():
            if line[3:4] != b"-":
                return line.rstrip()
        raise ConnectionError("the server has hung up")
