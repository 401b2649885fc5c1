"""Dovecot with LMTP and Sieve, run by root with a configuration of its own; nothing below /etc is read or changed."""

from pathlib import Path

from daemons import free_place

from .mta import run

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
first_valid_uid = 1
auth_username_format = %Ln
mail_location = maildir:{mailboxes}/%n
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mailboxes}/%n
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
# A chroot would have to hold what the folder of a test does not.
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """One instance in a folder."""

    def __init__(self, folder: Path, mailboxes: Path, more: str = "") -> None:
        self.tcp = free_place()
        self.socket = folder / "run" / "lmtp"
        self.folder = folder
        port = self.tcp.rpartition(":")[2]
        text = CONFIG.format(folder=folder, mailboxes=mailboxes, port=port) + more
        self.config = folder / "dovecot.conf"
        self.config.write_text(text)

    def start(self) -> None:
        """Start it."""
        run("/usr/sbin/dovecot", "-c", self.config)

    def stop(self) -> None:
        """Stop it."""
        run("/usr/bin/doveadm", "-c", self.config, "stop")

    @property
    def log(self) -> str:
        """What it says."""
        return (self.folder / "log").read_text()
