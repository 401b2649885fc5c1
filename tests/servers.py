"""Real calendar servers as child processes on free loopback ports, for tests and benches.

Each is a context manager that yields a `Server` and ends the child afterwards; nothing outside its folder is
written. The programs live in `.venv-servers`: they are run beside us and never imported.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from certificates import Certified

PROGRAMS = Path(__file__).parents[1] / ".venv-servers" / "bin"
PATIENCE = 20.0
"""Seconds until a server must listen."""
PAUSE = 0.02
ADDRESSES = ("alice@example.org",)
USERS = {"alice": "wonderland", "bob": "builder"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running calendar server."""

    url: str
    """Its root, with the trailing slash."""
    users: Mapping[str, str]
    """Passwords by user; a server without authentication takes any."""
    home: str
    """Path of a user's calendar home; ``{user}`` stands for the user."""
    process: subprocess.Popen[bytes]
    principal: str = "/{user}/"
    """Path of a user's principal."""
    addresses: tuple[str, ...] = ()
    """What it says to be alice's."""
    makes_no_calendar: bool = False

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a path follows."""
        return "/".join(self.url.split("/")[:3])


@contextmanager
def radicale(
    folder: Path, users: Mapping[str, str] = USERS, port: int = 0, tls: Certified | None = None
) -> Iterator[Server]:
    """Run Radicale with an htpasswd file; it makes a principal at the first login, but no calendar."""
    secured = f"ssl = True\ncertificate = {tls.certificate}\nkey = {tls.key}\n" if tls else ""
    port = port or free_port()
    passwords = folder / "users"
    passwords.write_text("".join(f"{user}:{password}\n" for user, password in users.items()))
    config = folder / "config"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n{secured}"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {passwords}\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {folder / 'collections'}\n"
    )
    with running([PROGRAMS / "radicale", "--config", config], folder, port) as process:
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}/"
        yield Server(url, users, "/{user}/", process, makes_no_calendar=True)


@contextmanager
def xandikos(folder: Path, user: str = "alice", smtp: str = "", email: str = "", lmtp: str = "") -> Iterator[Server]:
    """Run Xandikos for one user, without authentication; it makes his calendar ``calendar`` itself.

    With `smtp` it mails by itself, if it knows his address by `email`. At `lmtp` it takes mail itself.
    """
    port = free_port()
    command: list[Path | str] = [
        PROGRAMS / "xandikos",
        "serve",
        "-d",
        folder / "collections",
        "--state-dir",
        folder / "state",
    ]
    command += ["--defaults", "--no-detect-systemd", "--current-user-principal", f"/{user}/"]
    command += ["-l", "127.0.0.1", "-p", str(port)]
    if smtp:
        host, _, at = smtp.rpartition(":")
        command += ["--imip-send", "smtp", "--smtp-host", host, "--smtp-port", at, "--smtp-from", "dav@example.org"]
    environment = [f"EMAIL={email}"] if email else []
    if lmtp:
        command += ["--imip-listen", lmtp]
        environment.append(f"PYTHONPATH={_lend(folder, 'aiosmtpd', 'public')}")
    with running(["/usr/bin/env", *environment, *command], folder, port) as process:
        yield Server(f"http://127.0.0.1:{port}/", {user: ""}, "/{user}/calendars/", process)


def _lend(folder: Path, *packages: str) -> Path:
    """Return a folder with packages of our own environment: without aiosmtpd Xandikos takes no mail."""
    lent = folder / "lent"
    lent.mkdir()
    for name in packages:
        found = find_spec(name)
        assert found
        assert found.origin
        (lent / name).symlink_to(Path(found.origin).parent)
    return lent


@contextmanager
def running(command: Sequence[Path | str], folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it listens; end it afterwards."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={}, stdout=log, stderr=log)
    try:
        _await(process, port, folder / "log")
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a server with all that it has started; SOGo's watchdog waits for minutes when it is asked politely."""
    pids = [process.pid, *map(int, _children(process.pid))]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(PATIENCE)


def _children(pid: int) -> list[str]:
    """Return the processes that this one has started (Linux)."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return file.read_text().split() if file.exists() else []


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once the port takes connections; waiting for the child's end is the pause between two tries."""
    for _ in range(int(PATIENCE / PAUSE)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(PAUSE)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"{process.args!r} does not listen on {port}:\n{log.read_text()}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
