"""A real `imipd serve` as a child process, and mail for it."""

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from correspondence import ALICE, BOB
from imipd.ledger import Query, Recorded
from imipd.ledger.sql import open_ledger

PATIENCE = 20.0
CONFIG = """\
[lmtp]
listen = {listen}
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "{url}"
[log]
level = "debug"
[[account]]
addresses = ["alice@example.org"]
user = "alice"
password = "wonderland"
"""


@dataclass
class Daemon:
    """A running daemon; `place` is where it takes LMTP."""

    process: subprocess.Popen[bytes]
    place: str
    config: Path

    @contextmanager
    def connection(self) -> Iterator[smtplib.LMTP]:
        """Return an LMTP connection."""
        host, _, port = self.place.rpartition(":")
        where = (self.place.removeprefix("unix:"), 0) if self.place.startswith("unix:") else (host, int(port))
        # Closed without QUIT: a daemon that stops does not wait for it.
        with closing(smtplib.LMTP(*where)) as lmtp:
            yield lmtp

    def send(self, mail: bytes, recipient: str = ALICE, sender: str = BOB) -> None:
        """Hand a mail over; raise where it is not taken."""
        with self.connection() as lmtp:
            assert lmtp.sendmail(sender, [recipient], mail) == {}

    def told(self, message_id: str = "") -> list[Recorded]:
        """Return what the ledger says, newest first, of one mail or of all."""
        with closing(open_ledger(f"sqlite:///{self.config.parent}/ledger.db")) as ledger:
            return [each for each in ledger.log(Query()) if message_id in ("", each.entry.message_id)]

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines of its log."""
        return [json.loads(row) for row in self.log.read_text().splitlines()]

    @property
    def log(self) -> Path:
        """Where its stderr goes."""
        return self.config.with_suffix(".log")

    def end(self) -> int:
        """Tell it to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, url: str, listen: tuple[str, ...], more: str = "", text: str = CONFIG) -> Iterator[Daemon]:
    """Run `imipd serve` until the block ends; it says by sd_notify when it is ready."""
    config = folder / "imipd.toml"
    config.write_text(text.format(listen=json.dumps(listen), folder=folder, url=url) + more)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        command = [sys.executable, "-m", "imipd", "serve", "-c", str(config)]
        with config.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            assert systemd.recv(100) == b"READY=1", config.with_suffix(".log").read_text()
            yield Daemon(process, listen[0], config)
        finally:
            process.kill()
            process.wait()


def free_place() -> str:
    """Return a loopback address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
