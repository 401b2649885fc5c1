"""Exim, unpacked and run by root with a configuration and a queue of its own."""

import shutil
import subprocess
from pathlib import Path

from .letter import CALENDARS, CAROL
from .mta import run
from .unpacked import needs_user, unpacked

USER = "Debian-exim"  # the one that Debian's Exim is built for
CONFIG = """\
exim_path = {program}
exim_user = {user}
exim_group = {user}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/pid
primary_hostname = mx.example.org
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
message_size_limit = 0
# A configuration of one's own is trusted by nobody but its user.
deliver_drop_privilege
domainlist local_domains = example.org
acl_smtp_rcpt = take
begin acl
take:
  accept domains = +local_domains
  deny
begin routers
{routers}
mailbox:
  driver = accept
  domains = +local_domains
  local_parts = {names}
  transport = mailbox
begin transports
{transports}
mailbox:
  driver = appendfile
  maildir_format
  directory = {mailboxes}/$local_part_data
begin retry
* * F,1h,1s
"""


class Exim:
    """One instance in a folder."""

    def __init__(self, folder: Path, port: int, mailboxes: Path, routers: str, transports: str) -> None:
        self.port = port
        self.folder = folder
        self._program = unpacked("exim4-daemon-light") / "usr" / "sbin" / "exim4"
        needs_user(USER)
        for name in ("spool", "log"):
            (folder / name).mkdir()
            shutil.chown(folder / name, USER, USER)
        names = " : ".join(address.partition("@")[0] for address in (*CALENDARS, CAROL))
        text = CONFIG.format(
            program=self._program,
            user=USER,
            folder=folder,
            port=port,
            mailboxes=mailboxes,
            names=names,
            routers=routers,
            transports=transports,
        )
        (folder / "exim.conf").write_text(text)

    def start(self) -> None:
        """Start it; its queue is looked through every second."""
        self._process = subprocess.Popen([self._program, "-C", self.folder / "exim.conf", "-bdf", "-q1s"])

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def waiting(self) -> bool:
        """Return whether a mail was deferred."""
        return not self.empty() and " == " in self.log.rpartition(" <= ")[2]

    def empty(self) -> bool:
        """Return whether the queue is empty."""
        return self._run("-bpc").strip() == "0"

    def flush(self) -> None:
        """Have it try again now."""
        self._run("-qff")

    @property
    def log(self) -> str:
        """What it says about its deliveries."""
        return (self.folder / "log" / "mainlog").read_text()

    def _run(self, *arguments: str) -> str:
        return run(self._program, "-C", self.folder / "exim.conf", *arguments)
