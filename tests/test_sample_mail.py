"""The sample mails are what their README says, and are read as recorded."""

import csv
import re
from pathlib import Path

import pytest

from corpus import ROOT
from imipd.mail import read
from mails import row

SAMPLES = ROOT / "sample-mail"
TOUR = (SAMPLES / "tour.txt").read_text().split()
README = (SAMPLES / "README.md").read_text()
TABLE = re.findall(
    r"^\| \[(\S+\.eml)\]\(\1\) \| [^|]+ \| [^|]+ \| (added|updated|no_action|error): (\S+) \|$", README, re.M
)
with Path(__file__).with_name("sample-mail.tsv").open(newline="") as lines:
    RECORDED = {recorded["file"]: recorded for recorded in csv.DictReader(lines, delimiter="\t")}
OBSTACLES = ("no-calendar-part", "encrypted", "tnef", "bounce", "forwarded-as-attachment")
PEOPLE = {
    "bob@example.net",
    "carol@example.com",
    "dave@example.net",
    "mallory@evil.example",
    "mailer-daemon@example.org",
}
DOMAIN = re.compile(r"[@.](example\.(?:com|net|org)|[a-z]+\.example)(?![a-z])", re.I)


def test_the_readme_names_every_mail_in_the_order_of_the_tour() -> None:
    """Who adds a mail says what it shows and what becomes of it."""
    assert [file for file, _, _ in TABLE] == TOUR
    assert sorted(TOUR) == sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*.eml"))
    assert all(f"](stored/{path.name})" in README for path in (SAMPLES / "stored").iterdir())


@pytest.mark.parametrize("file", TOUR)
def test_sample(file: str) -> None:
    """Parts, methods and originator as recorded, for alice, with a Date."""
    mail = read((SAMPLES / file).read_bytes())
    assert {"file": file, **row(mail)} == RECORDED[file]
    assert set(mail.recipients) & {"alice@example.org", "alice.smith@example.org"}
    assert mail.originator in PEOPLE
    assert mail.date is not None
    assert mail.message_id


@pytest.mark.parametrize(("file", "outcome", "reason"), TABLE)
def test_what_the_mail_alone_decides(file: str, outcome: str, reason: str) -> None:
    """Obstacles and flags of the mail are the reasons that the README gives."""
    mail = read((SAMPLES / file).read_bytes())
    assert (mail.obstacle or "-") == (reason if reason in OBSTACLES else "-")
    assert bool(mail.flagged) == (reason == "flagged-as-spam")
    assert mail.parts or outcome == "no_action"


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.[ei][mc][ls]")), ids=lambda path: str(path.name))
def test_samples_are_mails_and_objects_as_sent(path: Path) -> None:
    """CRLF throughout, nobody's real domain, and 8-bit bytes only where they are declared."""
    raw = path.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n") > 10
    assert raw.isascii() or b"Content-Transfer-Encoding: 8bit" in raw
    unfolded = re.sub(rb"\r\n |=\r\n", b"", raw).decode("latin-1")
    addresses = re.findall(r"[\w.+-]+@[\w.-]+", unfolded)
    assert not [address for address in addresses if not DOMAIN.search(address)]
