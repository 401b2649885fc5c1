"""imipd demo: a tour. A real Radicale and a real `imipd serve`, both in a temporary folder, and the sample mails.

Each mail goes through the LMTP listener; what it did is read from the ledger and from the calendar, not computed.
"""

import argparse
import contextlib
import email
import email.header
import json
import os
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from imipd import itip, mail, scenario
from imipd.ledger import Ledger, Query
from imipd.ledger.sql import open_ledger
from imipd.store import Home, Store
from imipd.store.caldav import CalDavStore

from . import telling

ALICE, PASSWORD = "alice", "wonderland"
PATIENCE = 20.0
COLLECTIONS = json.dumps(
    {
        "calendar": {
            "tag": "VCALENDAR",
            "D:displayname": "Calendar",
            "C:supported-calendar-component-set": "VEVENT,VTODO",
        }
    }
)
CONFIG = """\
[lmtp]
listen = "{lmtp}"
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "{caldav}"
password = "{password}"
[policy]
invitations = "add"
[log]
format = "json"
[[account]]
addresses = ["alice@example.org", "alice.smith@example.org"]
user = "alice"
"""


@dataclass(frozen=True, slots=True)
class Tour:
    """What the tour is shown with."""

    folder: Path
    lmtp: tuple[str, int]
    home: Home
    store: Store
    ledger: Ledger


def run(arguments: argparse.Namespace) -> int:
    """Show the tour and return the exit code."""
    radicale = _radicale(arguments.radicale)
    samples = _samples()
    if radicale is None or samples is None:
        what = f"{arguments.radicale} is not there" if arguments.radicale else "it needs Radicale"
        print(f"imipd demo: {what}. Install it with: pip install 'imipd[demo]'", file=sys.stderr)
        return os.EX_UNAVAILABLE
    with tempfile.TemporaryDirectory(prefix="imipd-demo-") as folder, _started(Path(folder), radicale) as tour:
        _introduce(tour)
        _fill(tour, samples)
        _show_all(tour, samples)
        _show_calendar(tour)
        if arguments.stay:
            _stay(tour, samples)
    return os.EX_OK


def _radicale(program: Path | None) -> list[str] | None:
    """Radicale is a GPL program that is run, never imported."""
    if program is not None:
        return [str(program)] if program.exists() else None
    return [sys.executable, "-m", "radicale"] if find_spec("radicale") else None


def _samples() -> Path | None:
    """The samples lie beside the package when it is installed, and beside src/ in a checkout."""
    package = Path(__file__).parents[1]
    places = (package / "sample-mail", package.parents[1] / "sample-mail")
    return next((place for place in places if (place / "tour.txt").exists()), None)


@contextlib.contextmanager
def _started(folder: Path, radicale: Sequence[str]) -> Iterator[Tour]:
    caldav, lmtp = _free_port(), _free_port()
    (folder / "users").write_text(f"{ALICE}:{PASSWORD}\n")
    (folder / "radicale.conf").write_text(
        f"[server]\nhosts = 127.0.0.1:{caldav}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\nhtpasswd_encryption = plain\n"
        f"[storage]\nfilesystem_folder = {folder}/collections\npredefined_collections = {COLLECTIONS}\n"
    )
    url, place = f"http://127.0.0.1:{caldav}/", f"127.0.0.1:{lmtp}"
    home = Home(url, ALICE, PASSWORD)
    (folder / "imipd.toml").write_text(CONFIG.format(lmtp=place, folder=folder, caldav=url, password=PASSWORD))
    with _running([*radicale, "--config", str(folder / "radicale.conf")], folder / "radicale.log", caldav):
        serve = [sys.executable, "-m", "imipd", "serve", "-c", str(folder / "imipd.toml")]
        with _running(serve, folder / "imipd.log", lmtp):
            ledger = open_ledger(f"sqlite:///{folder}/ledger.db")
            store = CalDavStore(index=ledger.index)
            yield Tour(folder, ("127.0.0.1", lmtp), home, store, ledger)
            store.close()
            ledger.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path, port: int) -> Iterator[None]:
    """Run a server until the block ends; what it says goes into `log`."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:  # noqa: S603
        try:
            _await(process, Path(command[0]).name, port, log)
            yield
        finally:
            process.terminate()


def _await(process: subprocess.Popen[bytes], name: str, port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"imipd demo: {name} did not start:\n{log.read_text()}")


def _introduce(tour: Tour) -> None:
    print("imipd demo: mail arrives for alice@example.org, and her calendar is brought up to date.\n")
    print(f"  her calendar server   {tour.home.url} (Radicale, in {tour.folder})")
    print(f"  her mail              LMTP at {tour.lmtp[0]}:{tour.lmtp[1]} (imipd serve)")
    print("  her policy            invitations are added; nobody speaks for somebody else\n")


def _fill(tour: Tour, samples: Path) -> None:
    """Give alice the meetings that she has organized herself."""
    for path in sorted((samples / "stored").glob("*.ics")):
        held = itip.read(path.read_bytes())
        tour.store.create(tour.home, held.uid, held.kind, path.read_bytes())
        print(f"  she has organized     {telling.title(held)}")


def _show_all(tour: Tour, samples: Path) -> None:
    """Deliver the mails of the tour, one after the other."""
    introductions = telling.introductions(samples / "README.md")
    names = (samples / "tour.txt").read_text().split()
    for number, name in enumerate(names, 1):
        client, shows = introductions.get(name, ("somebody", name))
        print(f"\n=== {number}/{len(names)}  {name}: {shows}")
        _show(tour, samples / name, client)


def _show(tour: Tour, path: Path, client: str) -> None:
    """Deliver one mail and say what it did."""
    content = path.read_bytes()
    read = mail.read(content)
    uids = {message.uid for message in itip.gather(read.parts) if message.uid}
    before = {uid: _body(tour, uid) for uid in uids}
    print(f'  mail     "{_subject(content)}", from {read.originator} ({client})')
    try:
        _deliver(tour, content)
    except smtplib.SMTPException as error:
        print(f"  the MTA keeps it: {error}")
        return
    for outcome, reason, detail in _recorded(tour, read.message_id):
        print(f"  decided  {outcome}: {reason}" + (f" ({detail})" if detail else ""))
        print(f"  why      {telling.in_words(reason)}")
    changed = [row for uid in sorted(uids) for row in scenario.changes(before[uid], _body(tour, uid))]
    rows = telling.changes(changed) or ["nothing" if not changed else "only what no calendar shows"]
    print("\n".join(f"  {'changed' if index == 0 else '':<8} {row}" for index, row in enumerate(rows)))


def _deliver(tour: Tour, content: bytes) -> None:
    with smtplib.LMTP(*tour.lmtp) as client:
        client.sendmail("sender@example.net", ["alice@example.org"], content)


def _recorded(tour: Tour, message_id: str) -> list[tuple[str, str, str]]:
    """Return what the ledger says of the mail: outcome, reason, detail. Ordinary mail has no entry."""
    entries = [item.entry for item in tour.ledger.log(Query()) if item.entry.message_id == message_id]
    nothing = (itip.NoAction.outcome, itip.Reason.NO_CALENDAR_PART, "")
    return [(entry.outcome, entry.reason, entry.detail) for entry in entries] or [nothing]


def _body(tour: Tour, uid: str) -> bytes | None:
    return next((stored.body for stored in tour.store.find(tour.home, uid)), None)


def _subject(content: bytes) -> str:
    """The sample mails are ours, so their subjects may be shown; imipd itself never does."""
    subject = email.message_from_bytes(content)["Subject"]
    return str(email.header.make_header(email.header.decode_header(subject or "")))


def _show_calendar(tour: Tour) -> None:
    """Show what alice's calendar holds in the end, and what came of all the mail."""
    entries = [item.entry for item in tour.ledger.log(Query())]
    print("\n=== Her calendar now\n")
    bodies = [body for uid in {entry.uid for entry in entries if entry.uid} if (body := _body(tour, uid))]
    print("\n".join(telling.agenda(map(itip.read, bodies), ALICE)))
    counted = Counter(entry.outcome for entry in entries)
    print("\n=== The ledger: " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(counted.items())))
    print("    `imipd log` shows each decision, `imipd explain MAIL` makes one without carrying it out.")


def _stay(tour: Tour, samples: Path) -> None:
    """Keep the servers up until the reader has seen enough."""
    host, port = tour.lmtp
    print("\n=== It stays up. Send more of your own, end with Ctrl-C\n")
    print(f"  python3 -c \"import smtplib; smtplib.LMTP('{host}', {port}).sendmail('bob@example.net',")
    print(f"      ['alice@example.org'], open('{samples}/…/….eml', 'rb').read())\"")
    print(f"  imipd log -c {tour.folder}/imipd.toml")
    print(f"  imipd explain -c {tour.folder}/imipd.toml -r alice@example.org MAIL")
    print(f"  {tour.home.url} in any calendar client: user {ALICE}, password {PASSWORD}")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
