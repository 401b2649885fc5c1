"""A private Cyrus from Debian's packages: cyrus-imapd to make mailboxes, cyrus-caldav, sasl2-bin for passwords."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from debian import await_calendars, open_folder, program, run
from servers import ADDRESSES, USERS, Server, free_port, running

PROGRAMS = Path("/usr/lib/cyrus/bin")
ADMINISTRATOR = "cyrus"
CONFIG = """\
configdirectory: {folder}/conf
partition-default: {folder}/spool
proc_path: {folder}/proc
mboxname_lockpath: {folder}/locks
servername: localhost
defaultdomain: {domain}
calendar_user_address_set: {domain}
admins: cyrus
unixhierarchysep: yes
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/passwords
httpmodules: caldav carddav
smtp_backend: host
smtp_host: {smtp}
"""
SERVICES = """\
START {{
  recover cmd="ctl_cyrusdb -C {config} -r"
}}
SERVICES {{
  imap cmd="imapd -C {config}" listen="127.0.0.1:{imap}" prefork=0
  http cmd="httpd -C {config}" listen="127.0.0.1:{http}" prefork=1
}}
EVENTS {{
}}
"""


@contextmanager
def cyrus(smtp: str = "127.0.0.1:9", domain: str = "example.org") -> Iterator[Server]:
    """Run Cyrus with a calendar ``Default`` for each user.

    It mails by itself, within the request that is the cause: `smtp` is where somebody has to listen then.
    """
    master = program(f"{PROGRAMS}/master", package="cyrus-imapd")
    program(f"{PROGRAMS}/httpd", package="cyrus-caldav")
    with open_folder("cyrus") as folder:
        config, services, http, imap = folder / "imapd.conf", folder / "cyrus.conf", free_port(), free_port()
        config.write_text(CONFIG.format(folder=folder, smtp=smtp, domain=domain))
        services.write_text(SERVICES.format(config=config, http=http, imap=imap))
        _make_folders(folder)
        command: list[str | Path] = [master, "-C", config, "-M", services, "-p", folder / "pid"]
        with running(command, folder, imap) as process:
            _make_mailboxes(imap)
            url, home = f"http://127.0.0.1:{http}/", "/dav/calendars/user/{user}/"
            for user, password in USERS.items():
                await_calendars(f"http://127.0.0.1:{http}{home.format(user=user)}", user, password, folder / "log")
            yield Server(url, USERS, home, process, "/dav/principals/user/{user}/", ADDRESSES)


def _make_folders(folder: Path) -> None:
    for name in ("conf", "spool", "proc", "locks"):
        (folder / name).mkdir()
    for user, password in {ADMINISTRATOR: ADMINISTRATOR, **USERS}.items():
        command = program("/usr/sbin/saslpasswd2", package="sasl2-bin")
        run(command, "-c", "-p", "-u", "localhost", "-f", folder / "passwords", user, text=password)
    run("chown", "-R", "cyrus:mail", folder)


def _make_mailboxes(port: int) -> None:
    """Make each user's INBOX, without which Cyrus makes no calendars."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=20) as administrator:
        administrator.login(ADMINISTRATOR, ADMINISTRATOR)
        for user in USERS:
            assert administrator.create(f"user/{user}")[0] == "OK"
