"""A PostgreSQL server of the tests' own: a free port on loopback, a temporary folder, gone at the end.

From Debian's package `postgresql`. Where that is missing the tests fail: a skipped test proves nothing.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest

NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; `url` names the database that it begins with."""

    server: str
    """Its URL without a database."""
    control: tuple[str | Path, ...]
    options: str

    @property
    def url(self) -> str:
        """The database that is there from the first."""
        return f"{self.server}/postgres"

    def start(self) -> None:
        """Run it; it may have been stopped before."""
        _run(*self.control, "-o", self.options, "start")

    def stop(self) -> None:
        """End it as a crash would."""
        _run(*self.control, "-m", "immediate", "stop")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server in a folder of its own."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="imipd-postgres-"))
    try:
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        port = _free_port()
        _run(programs / "initdb", "-D", folder / "kept", "-A", "trust", "-U", "postgres", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = (programs / "pg_ctl", "-D", folder / "kept", "-l", folder / "log", "-w")
        server = Postgres(f"postgresql://postgres@127.0.0.1:{port}", control, options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run a server and return its URL, without a database."""
    with postgres() as server:
        yield server.server


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """Return the URL of an empty database."""
    name = f"ledger{next(NUMBERS)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres_server}/{name}"


def _programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions:
        pytest.fail("PostgreSQL is missing here: apt-get install postgresql (Debian's package)", pytrace=False)
    return versions[-1].parent


def _run(*command: str | Path) -> None:
    # The server refuses to run as root.
    as_user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    # Into a file: the server inherits our outputs, and a pipe would stay open as long as it runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run([*as_user, *command], stdout=output, stderr=output, cwd="/", check=False)
        output.seek(0)
        assert done.returncode == 0, output.read().decode()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
