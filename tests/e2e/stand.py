"""What every way ends at: a real calendar server, a real `imipd serve`, mailboxes. Servers go down and come back."""

import base64
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.request import Request, urlopen

import pytest

from daemons import free_place, serving
from servers import radicale

from .letter import ALICE, ALICE_UMLAUT, CALENDARS, DAVE, Letter

PATIENCE = 60.0
USERS = dict.fromkeys(("alice", "dave", "carol"), "wonderland")
CONFIG = """\
[lmtp]
listen = {listen}
unknown_recipients = "accept"
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "{url}"
password = "wonderland"
[policy]
invitations = "add"
[[account]]
"""
ACCOUNTS = f"""\
addresses = ["{ALICE}", "{ALICE_UMLAUT}"]
user = "alice"
[[account]]
addresses = ["{DAVE}"]
user = "dave"
[[domain]]
name = "example.org"
also = ["imip.invalid"]
user = "{{localpart}}"
"""


def until(reached: Callable[[], object], what: str) -> None:
    """Wait for something; the bound only tells a slow machine from an end that never comes."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


class Beside(Protocol):
    """Another program of a way."""

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """Stop it."""


@dataclass
class Server:
    """Something that can be started and stopped again and again."""

    open: Callable[[], AbstractContextManager[object]]
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start it."""
        self._running.enter_context(self.open())

    def stop(self) -> None:
        """Stop it."""
        self._running.close()


@dataclass
class Stand:
    """The folder of one way; whatever is in it is gone at the end."""

    folder: Path
    tcp: str = field(default_factory=free_place)
    smtp: str = field(default_factory=free_place)
    dav: str = field(default_factory=free_place)
    more: str = ""
    """What the way adds to imipd's configuration."""
    beside: list[Beside] = field(default_factory=list)
    """What else runs."""

    def __post_init__(self) -> None:
        self.calendars = Server(self._calendars)
        self.imipd = Server(self._imipd)
        self.mailboxes = self.subfolder("mailboxes", 0o1777)

    @property
    def socket(self) -> Path:
        """Where imipd listens for LMTP besides TCP."""
        return self.folder / "lmtp.sock"

    def subfolder(self, name: str, mode: int = 0o755) -> Path:
        """Return a folder of this name."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        return path

    def mailbox(self, recipient: str, letter: Letter) -> list[bytes]:
        """Return every copy of a mail that lies in a mailbox."""
        folders = (self.mailboxes / recipient.partition("@")[0] / name for name in ("new", "cur"))
        mails = [file.read_bytes() for folder in folders if folder.exists() for file in folder.iterdir()]
        return [mail for mail in mails if letter.message_id.encode() in mail.partition(b"\n\n")[0]]

    def calendar(self, recipient: str, letter: Letter) -> int:
        """Return how many events of this mail a calendar holds."""
        found = self._dav("GET", f"{CALENDARS[recipient]}/work/")
        return found.count(f"UID:{letter.uid}".encode())

    def outcomes(self, recipient: str, letter: Letter) -> list[str]:
        """Return what the ledger says of a mail: every entry."""
        local = recipient.partition("@")[0]
        return [
            f"{each.entry.outcome}: {each.entry.reason}{'' if each.completed else ', never completed'}"
            for each in self._daemon.told(letter.message_id)
            if each.entry.recipient.partition("@")[0] == local
        ]

    def _dav(self, method: str, path: str) -> bytes:
        user = path.partition("/")[0]
        login = base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()
        request = Request(f"http://{self.dav}/{path}", method=method, headers={"Authorization": f"Basic {login}"})
        with urlopen(request) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found

    @contextmanager
    def _calendars(self) -> Iterator[None]:
        port = int(self.dav.rpartition(":")[2])
        is_first = not (self.folder / "collections").exists()
        with radicale(self.folder, USERS, port):
            for user in set(CALENDARS.values()) if is_first else ():
                self._dav("MKCALENDAR", f"{user}/work/")
            yield

    @contextmanager
    def _imipd(self) -> Iterator[None]:
        listen = (self.tcp, f"unix:{self.socket}")
        more = ACCOUNTS + f'[smtp]\nlisten = "{self.smtp}"\n' + self.more
        (self.folder / "notify").unlink(missing_ok=True)
        with serving(self.folder, f"http://{self.dav}/", listen, more, CONFIG) as self._daemon:
            self.socket.chmod(0o666)
            yield
            assert self._daemon.end() == 0


@contextmanager
def standing() -> Iterator[Stand]:
    """Run calendars and imipd in a folder that other users may search."""
    if os.geteuid() != 0:
        pytest.fail("the ways from mail servers need root, because mail servers do", pytrace=False)
    # Not pytest's own folder, which nobody but root may enter.
    folder = Path(tempfile.mkdtemp(prefix="imipd-way-"))
    folder.chmod(0o755)
    stand = Stand(folder)
    try:
        yield stand
    finally:
        stand.imipd.stop()
        stand.calendars.stop()
        shutil.rmtree(folder)
