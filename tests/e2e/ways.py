"""The ways from a mail server to imipd, each set up with the very files of deploy/, as a table."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemons import free_place
from imipd import client

from .dovecot import Dovecot
from .exim import Exim
from .letter import CALENDARS, CAROL
from .mta import Mta, run, snippet
from .opensmtpd import OpenSmtpd
from .postfix import Postfix
from .stand import Stand


@dataclass(frozen=True)
class Way:
    """One way, and what it can do."""

    name: str
    build: Callable[[Stand], Mta]
    is_copy: bool = False
    """Whether the mailbox has the mail while imipd or the calendar is away."""
    tries_again: bool = True
    """Whether what fails is tried again. Otherwise it is lost for the calendar."""
    beyond_ascii: Literal["arrives", "bounces", "refused"] = "arrives"
    """What becomes of a mail to an address beyond ASCII: old programs do not know SMTPUTF8 (RFC 6531)."""


def imipc(stand: Stand) -> Path:
    """Return imipc as it is installed: one file, which runs by itself."""
    program = stand.folder / "imipc"
    program.write_text(Path(client.__file__).read_text().replace("/usr/bin/python3", _python()))
    program.chmod(0o755)
    return program


def _python() -> str:
    """Return an interpreter that every user may run; the one of the tests may lie in a home folder."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


def _postfix(stand: Stand) -> Postfix:
    return Postfix(stand.subfolder("postfix"), int(free_place().rpartition(":")[2]), stand.mailboxes)


def _copying(stand: Stand, transport: str) -> Postfix:
    """Return Postfix as deploy/postfix/main.cf sets it up, with another transport."""
    postfix = _postfix(stand)
    etc = postfix.folder / "etc"
    replaced = {"/etc/postfix": etc, "lmtp:inet:127.0.0.1:2424": transport}
    postfix.add("main.cf", snippet("postfix/main.cf", replaced))
    postfix.add("imipd_bcc", snippet("postfix/imipd_bcc", {}))
    return postfix


def copy_by_tcp(stand: Stand) -> Mta:
    """Postfix: recipient_bcc_maps, LMTP over TCP."""
    return _copying(stand, f"lmtp:inet:{stand.tcp}")


def copy_by_unix(stand: Stand) -> Mta:
    """Postfix: recipient_bcc_maps, LMTP over a unix socket."""
    return _copying(stand, f"lmtp:unix:{stand.socket}")


def copy_by_imipc(stand: Stand) -> Mta:
    """Postfix: recipient_bcc_maps, a pipe."""
    postfix = _copying(stand, "imipd:")
    replaced = {"user=imipd": "user=nobody", **_imipc(stand)}
    postfix.add("master.cf", snippet("postfix/master.cf", replaced))
    return postfix


def before_dovecot_by_unix(stand: Stand) -> Mta:
    """Postfix, imipd, Dovecot, over unix sockets."""
    dovecot = _dovecot(stand)
    stand.more = _forward("lmtp", f"unix:{dovecot.socket}")
    postfix = _postfix(stand)
    postfix.add("main.cf", snippet("postfix/lmtp-main.cf", {"/run/imipd/lmtp.sock": stand.socket}))
    return postfix


def before_dovecot_by_tcp(stand: Stand) -> Mta:
    """Postfix, imipd, Dovecot, over TCP."""
    dovecot = _dovecot(stand)
    stand.more = _forward("lmtp", dovecot.tcp)
    postfix = _postfix(stand)
    replaced = {"lmtp:unix:/run/imipd/lmtp.sock": f"lmtp:inet:{stand.tcp}"}
    postfix.add("main.cf", snippet("postfix/lmtp-main.cf", replaced))
    return postfix


def content_filter(stand: Stand) -> Mta:
    """Postfix, imipd by SMTP, and back."""
    back = free_place()
    stand.more = _forward("smtp", back)
    postfix = _postfix(stand)
    postfix.add("main.cf", snippet("postfix/filter-main.cf", {"[127.0.0.1]:2525": stand.smtp}))
    postfix.add("master.cf", snippet("postfix/filter-master.cf", {"127.0.0.1:10026": back}))
    return postfix


def procmail(stand: Stand) -> Mta:
    """Postfix, procmail, which calls imipc."""
    rules = stand.folder / "procmailrc"
    rules.write_text(snippet("procmail/procmailrc", _imipc(stand)))
    mailbox = f"DEFAULT={stand.mailboxes}/${{user}}/"
    return _delivering(stand, f"/usr/bin/procmail -t {mailbox} SENDER=${{sender}} RECIPIENT=${{recipient}} {rules}")


def maildrop(stand: Stand) -> Mta:
    """Postfix, maildrop, which calls imipc."""
    rules = stand.folder / "mailfilter"
    for address in (*CALENDARS, CAROL):
        # A maildir is a folder that is there; otherwise maildrop writes one mail after the other into a file.
        run("/usr/bin/maildirmake.maildrop", stand.mailboxes / address.partition("@")[0])
        run("/usr/bin/chown", "-R", "nobody", stand.mailboxes / address.partition("@")[0])
    rules.write_text(snippet("maildrop/mailfilter", _imipc(stand)) + f'to "{stand.mailboxes}/$3/"\n')
    shutil.chown(rules, "nobody")  # or maildrop refuses it
    return _delivering(stand, f"/usr/bin/maildrop {rules} ${{sender}} ${{recipient}} ${{user}}")


def exim(stand: Stand) -> Mta:
    """Exim: an unseen router, LMTP over a unix socket."""
    replaced = {"/run/imipd/lmtp.sock": stand.socket}
    pieces = snippet("exim/router", {}), snippet("exim/transport", replaced)
    return Exim(stand.subfolder("exim"), int(free_place().rpartition(":")[2]), stand.mailboxes, *pieces)


def opensmtpd(stand: Stand) -> Mta:
    """OpenSMTPD: two destinations for one address, SMTP."""
    deployed = snippet("opensmtpd/smtpd.conf", {"relay host smtp://127.0.0.1:2525": f"relay host smtp://{stand.smtp}"})
    return OpenSmtpd(stand.subfolder("opensmtpd"), int(free_place().rpartition(":")[2]), stand.mailboxes, deployed)


def sieve_redirect(stand: Stand) -> Mta:
    """Postfix, Dovecot, whose Sieve sends a copy back."""
    return sieving(stand, snippet("dovecot/redirect.sieve", {}))


def sieve_execute(stand: Stand) -> Mta:
    """Postfix, Dovecot, whose Sieve calls imipc, and sends a copy back where that fails."""
    return sieving(stand, snippet("dovecot/execute.sieve", {"/run/imipd/lmtp.sock": stand.socket}))


def sieve_pipe(stand: Stand) -> Mta:
    """Postfix, Dovecot, whose Sieve calls imipc."""
    return sieving(stand, snippet("dovecot/pipe.sieve", {"/run/imipd/lmtp.sock": stand.socket}))


def sieving(stand: Stand, script: str) -> Postfix:
    """Return Postfix before Dovecot with a script, and with the way back of deploy/postfix/main.cf."""
    postfix = _postfix(stand)
    programs = stand.subfolder("programs")
    imipc(stand).rename(programs / "imipc")
    sieve = stand.subfolder("sieve") / "imipd.sieve"
    sieve.write_text(script)
    places = {"/etc/imipd/imipd.sieve": sieve, "/usr/local/lib/imipd/sieve": programs}
    dovecot = _dovecot(stand, snippet("dovecot/sieve.conf", {**places, ":25": f":{postfix.port}"}))
    run("/usr/bin/sievec", "-c", dovecot.config, sieve)
    postfix.add("main.cf", f"virtual_transport = lmtp:unix:{dovecot.socket}\n")
    back = snippet("postfix/main.cf", {"lmtp:inet:127.0.0.1:2424": f"lmtp:inet:{stand.tcp}"})
    # Sieve makes the copies, not Postfix.
    postfix.add("main.cf", back.replace("recipient_bcc_maps =", "#recipient_bcc_maps ="))
    return postfix


def _imipc(stand: Stand) -> dict[str, object]:
    return {"/usr/local/bin/imipc": imipc(stand), "/run/imipd/lmtp.sock": stand.socket}


def _delivering(stand: Stand, command: str) -> Postfix:
    """Return Postfix with a program that delivers."""
    postfix = _postfix(stand)
    postfix.add("main.cf", "virtual_transport = deliver\ndeliver_destination_recipient_limit = 1\n")
    service = f"deliver unix - n n - 2 pipe\n  flags=R user=nobody null_sender=\n  argv={command}\n"
    postfix.add("master.cf", service)
    return postfix


def _dovecot(stand: Stand, more: str = "") -> Dovecot:
    dovecot = Dovecot(stand.subfolder("dovecot"), stand.mailboxes, more)
    stand.beside.append(dovecot)
    return dovecot


def _forward(key: str, place: str) -> str:
    return f'[forward]\n{key} = "{place}"\n'


WAYS = (
    Way("postfix-copy-tcp", copy_by_tcp, is_copy=True),
    Way("postfix-copy-unix", copy_by_unix, is_copy=True),
    Way("postfix-copy-imipc", copy_by_imipc, is_copy=True),
    Way("postfix-imipd-dovecot-unix", before_dovecot_by_unix, beyond_ascii="bounces"),
    Way("postfix-imipd-dovecot-tcp", before_dovecot_by_tcp, beyond_ascii="bounces"),
    Way("postfix-filter", content_filter),
    Way("procmail", procmail),
    Way("maildrop", maildrop),
    Way("exim", exim, is_copy=True),
    Way("sieve-redirect", sieve_redirect, is_copy=True, beyond_ascii="bounces"),
    Way("sieve-execute", sieve_execute, is_copy=True, beyond_ascii="bounces"),
    Way("sieve-pipe", sieve_pipe, is_copy=True, beyond_ascii="bounces", tries_again=False),
    Way("opensmtpd", opensmtpd, is_copy=True, beyond_ascii="refused"),
)
