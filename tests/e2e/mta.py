"""What the tests ask of a mail server, and the files of deploy/ that it is set up with."""

import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from correspondence import BOB

from .letter import Letter

DEPLOY = Path(__file__).parents[2] / "deploy"


class Mta(Protocol):
    """A mail server that takes mail by SMTP on a port."""

    port: int

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """Stop it."""

    def waiting(self) -> bool:
        """Return whether its queue holds a mail that it has tried to deliver, and will try again."""

    def empty(self) -> bool:
        """Return whether its queue holds nothing."""

    def flush(self) -> None:
        """Have it try again now."""

    @property
    def log(self) -> str:
        """Return what it says about its deliveries."""


def is_listening(port: int) -> bool:
    """Return whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def submit(mta: Mta, letter: Letter) -> None:
    """Send a mail in one transaction; raise where the mail server does not take it."""
    is_ascii = all(recipient.isascii() for recipient in letter.recipients)
    with smtplib.SMTP("127.0.0.1", mta.port, timeout=60) as smtp:
        # Without the parameter, the standard library sends ASCII alone.
        options = ["BODY=8BITMIME"] if is_ascii else ["SMTPUTF8", "BODY=8BITMIME"]
        refused = smtp.sendmail(BOB, letter.recipients, letter.raw, options)
    assert refused == {}


def snippet(name: str, replaced: Mapping[str, object]) -> str:
    """Return a file of deploy/ with the paths and ports of a test; each must stand in it."""
    text = (DEPLOY / name).read_text()
    for found, value in replaced.items():
        assert found in text, f"{name} has no {found}"
        text = text.replace(found, str(value))
    return text


def run(*command: str | Path, is_checked: bool = True) -> str:
    """Run a command and return what it says."""
    # Into a file: a daemon inherits our outputs, and a pipe would stay open as long as it runs.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        done = subprocess.run(command, stdout=output, stderr=errors, timeout=60, check=False)
        said, wrong = (_content(file) for file in (output, errors))
    assert not is_checked or done.returncode == 0, (command, said, wrong)
    return said


def _content(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
