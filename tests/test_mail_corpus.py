"""The real mails of the corpus are read as the recorded table says, which somebody looked through for sense."""

import csv
import email
import json
from pathlib import Path

import pytest

from corpus import corpus
from imipd.mail import read
from mails import row

TABLE = Path(__file__).with_name("corpus-mail.tsv")
with TABLE.open(newline="") as lines:
    ROWS = list(csv.DictReader(lines, delimiter="\t"))


@pytest.mark.parametrize("recorded", ROWS, ids=lambda recorded: str(recorded["file"]))
def test_real_mail(recorded: dict[str, str]) -> None:
    """Parts, methods, originator and obstacle as recorded; the same when read twice."""
    raw = (corpus() / recorded["file"]).read_bytes()
    mail = read(raw)
    assert {"file": recorded["file"], **row(mail)} == recorded
    assert read(raw) == mail
    assert all(part.body.decode() for part in mail.parts if part.body)


@pytest.mark.parametrize(
    "recorded", [found for found in ROWS if found["parts"] != "0"], ids=lambda found: str(found["file"])
)
def test_bytes_stay_as_the_library_decodes_them(recorded: dict[str, str]) -> None:
    """What the library decodes is handed on as it is, byte for byte: every real one is UTF-8."""
    raw = (corpus() / recorded["file"]).read_bytes()
    by_library = [part for part in email.message_from_bytes(raw).walk() if part.get_content_type() in recorded["types"]]
    decoded = {part.get_payload(decode=True) for part in by_library}
    assert {part.body for part in read(raw).parts} <= decoded


def test_every_mail_is_recorded() -> None:
    """A mail that is new in the corpus must be looked at."""
    manifest = json.loads((corpus() / "manifest.json").read_text())
    mails = {entry["file"] for entry in manifest if entry["kind"] == "eml"}
    assert mails == {recorded["file"] for recorded in ROWS}
