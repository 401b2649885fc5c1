"""A private Cyrus from Debian's packages: cyrus-imapd to make mailboxes, cyrus-caldav, sasl2-bin for passwords."""

import base64
import imaplib
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
sievedir: {folder}/sieve
sieve_extensions: vnd.cyrus.imip
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
{more}
}}
EVENTS {{
}}
"""
TAKING_MAIL = """\
  lmtp cmd="lmtpd -C {config} -a" listen="{lmtp}" prefork=1
  sieve cmd="timsieved -C {config}" listen="127.0.0.1:{sieve}" prefork=0
"""
SIEVE = b"""\
require ["vnd.cyrus.imip"];
processimip;
"""
"""Cyrus takes iTIP messages out of the mail itself."""


@contextmanager
def cyrus(
    smtp: str = "127.0.0.1:9", domain: str = "example.org", users: Mapping[str, str] = USERS, lmtp: str = ""
) -> Iterator[Server]:
    """Run Cyrus with a calendar ``Default`` for each user.

    It mails by itself, within the request that is the cause: `smtp` is where somebody has to listen then. At `lmtp` it
    takes mail, and what a message says into the calendars.
    """
    master = program(f"{PROGRAMS}/master", package="cyrus-imapd")
    program(f"{PROGRAMS}/httpd", package="cyrus-caldav")
    with open_folder("cyrus") as folder:
        config, services, http, imap = folder / "imapd.conf", folder / "cyrus.conf", free_port(), free_port()
        config.write_text(CONFIG.format(folder=folder, smtp=smtp, domain=domain))
        sieve = free_port()
        more = TAKING_MAIL.format(config=config, lmtp=lmtp, sieve=sieve) if lmtp else ""
        services.write_text(SERVICES.format(config=config, http=http, imap=imap, more=more))
        _make_folders(folder, users)
        command: list[str | Path] = [master, "-C", config, "-M", services, "-p", folder / "pid"]
        with running(command, folder, imap) as process:
            _make_mailboxes(imap, users)
            url, home = f"http://127.0.0.1:{http}/", "/dav/calendars/user/{user}/"
            for user, password in users.items():
                await_calendars(f"http://127.0.0.1:{http}{home.format(user=user)}", user, password, folder / "log")
                if lmtp:
                    _put_script(sieve, user, password)
            yield Server(url, users, home, process, "/dav/principals/user/{user}/", ADDRESSES)


def _make_folders(folder: Path, users: Mapping[str, str]) -> None:
    for name in ("conf", "conf/socket", "spool", "proc", "locks", "sieve"):
        (folder / name).mkdir()
    for user, password in {ADMINISTRATOR: ADMINISTRATOR, **users}.items():
        command = program("/usr/sbin/saslpasswd2", package="sasl2-bin")
        run(command, "-c", "-p", "-u", "localhost", "-f", folder / "passwords", user, text=password)
    run("chown", "-R", "cyrus:mail", folder)


def _make_mailboxes(port: int, users: Mapping[str, str]) -> None:
    """Make each user's INBOX, without which Cyrus makes no calendars."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=20) as administrator:
        administrator.login(ADMINISTRATOR, ADMINISTRATOR)
        for user in users:
            assert administrator.create(f"user/{user}")[0] == "OK"


def _put_script(port: int, user: str, password: str) -> None:
    """Make the script that takes messages the user's active one, by ManageSieve (RFC 5804)."""
    login = base64.b64encode(f"\0{user}\0{password}".encode())
    with socket.create_connection(("127.0.0.1", port), 20) as connection, connection.makefile("rb") as answers:
        _await_ok(answers)
        for line in (
            b'AUTHENTICATE "PLAIN" "%s"' % login,
            b'PUTSCRIPT "imip" {%d+}\r\n%s' % (len(SIEVE), SIEVE),
            b'SETACTIVE "imip"',
        ):
            connection.sendall(line + b"\r\n")
            _await_ok(answers)


def _await_ok(answers: BinaryIO) -> None:
    while not (line := answers.readline()).startswith(b"OK"):
        assert line, "ManageSieve has hung up"
        assert not line.startswith((b"NO", b"BYE")), line
