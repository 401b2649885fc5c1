"""Postfix, run by root with a configuration and a queue of its own; nothing below /etc is read or changed."""

import json
import shutil
from pathlib import Path
from typing import Any

from .letter import CALENDARS, CAROL
from .mta import run

# Real mail servers wait minutes between two tries; what is tested is that they try again, not when.
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log/postfix
maillog_file_prefixes = {folder}/log
import_environment = MAIL_CONFIG TZ LANG=C
myhostname = mx.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
alias_maps =
alias_database =
message_size_limit = 52428800
default_transport = error:5.1.2 no way out of here
minimal_backoff_time = 2s
maximal_backoff_time = 3s
queue_run_delay = 2s
recipient_delimiter = +
# The mailboxes: a folder for each local part.
virtual_mailbox_domains = example.org
virtual_mailbox_maps = inline:{{ {maps} }}
virtual_mailbox_base = {mailboxes}
virtual_mailbox_limit = 0
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
"""
MAPS = " ".join(f"{address}={address.partition('@')[0]}/" for address in (*CALENDARS, CAROL))
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
showq     unix  n - n - - showq
virtual   unix  - n n - - virtual
smtp      unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance in a folder."""

    def __init__(self, folder: Path, port: int, mailboxes: Path) -> None:
        self.port = port
        self.folder = folder
        for name in ("etc", "spool", "data", "log"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        self.add("main.cf", MAIN.format(folder=folder, mailboxes=mailboxes, maps=MAPS))
        self.add("master.cf", MASTER.format(port=port))

    def add(self, name: str, text: str) -> None:
        """Append to one of its files."""
        with (self.folder / "etc" / name).open("a") as file:
            file.write(text)

    def start(self) -> None:
        """Start it."""
        self._run("postfix", "start")

    def stop(self) -> None:
        """Stop it."""
        self._run("postfix", "stop")

    def waiting(self) -> bool:
        """Return whether a mail was deferred."""
        return any(
            entry["queue_name"] == "deferred" and all("delay_reason" in each for each in entry["recipients"])
            for entry in self._queue()
        )

    def empty(self) -> bool:
        """Return whether the queue is empty."""
        return not self._queue()

    def flush(self) -> None:
        """Have it try again now."""
        self._run("postqueue", "-f")

    @property
    def log(self) -> str:
        """What it says about its deliveries."""
        return (self.folder / "log" / "postfix").read_text()

    def _queue(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._run("postqueue", "-j").splitlines()]

    def _run(self, program: str, *arguments: str) -> str:
        return run(f"/usr/sbin/{program}", "-c", self.folder / "etc", *arguments)
