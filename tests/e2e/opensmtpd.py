"""OpenSMTPD, unpacked and run by root. Its paths are built in: there is one at a time, and none beside a real one."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from .letter import CALENDARS, CAROL
from .mta import run
from .unpacked import needs_user, unpacked

EMPTY, PROGRAMS, SPOOL = Path("/var/lib/opensmtpd/empty"), Path("/usr/libexec/opensmtpd"), Path("/var/spool/smtpd")
ALONE = Path("/run/lock/imipd-opensmtpd")
CONFIG = """\
listen on 127.0.0.1 port {port} hostname mx.example.org
smtp max-message-size 50M
queue ttl 1h
table people {{ {people} }}
{deployed}
action "mailbox" maildir "{mailboxes}/%{{rcpt.user}}" virtual <people>
match from any for domain "example.org" action "mailbox"
"""


class OpenSmtpd:
    """The instance of this machine."""

    def __init__(self, folder: Path, port: int, mailboxes: Path, deployed: str) -> None:
        self.port = port
        self.folder = folder
        unpack = unpacked("opensmtpd") / "usr"
        self._sbin = unpack / "sbin"
        for user in ("opensmtpd", "opensmtpq"):
            needs_user(user)
        shutil.chown(self._sbin / "smtpctl", group="opensmtpq")
        (self._sbin / "smtpctl").chmod(0o2755)
        # Released at the latest with the process; who runs the tests a second time waits.
        self._alone = ALONE.open("w")
        fcntl.flock(self._alone, fcntl.LOCK_EX)
        EMPTY.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(SPOOL, ignore_errors=True)
        PROGRAMS.parent.mkdir(exist_ok=True)
        PROGRAMS.unlink(missing_ok=True)
        PROGRAMS.symlink_to(unpack / "libexec" / "opensmtpd")
        names = [(address, address.partition("@")[0]) for address in (*CALENDARS, CAROL) if address.isascii()]
        copies = {name: f", {name}@imip.invalid" for address, name in names if address in CALENDARS}
        people = ", ".join(f'"{address}" = "nobody{copies.get(name, "")}"' for address, name in names)
        text = CONFIG.format(port=port, people=people, mailboxes=mailboxes, deployed=deployed)
        (folder / "smtpd.conf").write_text(text)

    def start(self) -> None:
        """Start it."""
        with (self.folder / "log").open("w") as log:
            command: tuple[Path | str, ...] = (self._sbin / "smtpd", "-dv", "-f", self.folder / "smtpd.conf")
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop it, and leave no trace of it in the system."""
        self._process.terminate()
        self._process.wait()
        PROGRAMS.unlink()
        shutil.rmtree(SPOOL)
        self._alone.close()

    def waiting(self) -> bool:
        """Return whether a mail was deferred."""
        tried = self.log.rpartition("smtp envelope")[2]
        return not self.empty() and ("TempFail" in tried or "Connection refused" in tried)

    def empty(self) -> bool:
        """Return whether the queue is empty."""
        return not self._queue()

    def flush(self) -> None:
        """Have it try again now."""
        run(self._sbin / "smtpctl", "schedule", "all", is_checked=False)

    @property
    def log(self) -> str:
        """What it says about its deliveries."""
        return (self.folder / "log").read_text()

    def _queue(self) -> list[str]:
        return run(self._sbin / "smtpctl", "show", "queue").splitlines()
