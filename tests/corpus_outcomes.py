"""Writes tests/corpus-outcomes.tsv: ``PYTHONPATH=tests python -m corpus_outcomes > tests/corpus-outcomes.tsv``.

Each file of the corpus is delivered twice to an empty calendar that takes new invitations, a bare calendar as the
body of a mail from whom it speaks for. The recipient is whom it is meant for: the ORGANIZER of an answer, else the
first other ATTENDEE.
"""

import csv
import json
import re
import sys
from dataclasses import replace

from structlog.testing import capture_logs

from corpus import corpus
from desks import ALICES, Desk
from imipd import itip, mail
from imipd.accounts import Account
from imipd.envelope import Envelope
from imipd.gateway import Judgement
from imipd.itip import ItipMessage, Unprocessed
from imipd.policy import Policy

FIELDS = ("file", "method", "uid", "recipient", "outcome", "again")
NOBODY = "alice@example.org"


def rows(file: str) -> list[dict[str, str]]:
    """Return what became of each message in one file of the corpus."""
    raw = (corpus() / file).read_bytes()
    content = raw if _is_mail(file) else _wrapped(raw)
    recipient = next(filter(None, map(_recipient, itip.gather(mail.read(content).parts))), NOBODY)
    account = replace(ALICES, addresses=(recipient,), policy=Policy(invitations="add", published="add"))
    desk = Desk({recipient: account})
    first, again = (_delivered(desk, account, recipient, content) for _ in range(2))
    return [
        dict(
            zip(
                FIELDS, (file, one.method or "-", (one.uid or "-")[:40], recipient, _told(one), _told(two)), strict=True
            )
        )
        for one, two in zip(first, again, strict=True)
    ]


def _delivered(desk: Desk, account: Account, recipient: str, content: bytes) -> tuple[Judgement, ...]:
    judged = desk.gateway.judgements(recipient, account, Envelope("", (recipient,), content))
    (status,) = desk.deliver(content, recipient)
    assert status.done
    return judged


def _told(judgement: Judgement) -> str:
    decision = judgement.decision
    return f"{decision.outcome}: {decision.reason}" + (f" ({decision.detail})" if decision.detail else "")


def _recipient(message: ItipMessage | Unprocessed) -> str | None:
    """Return whom the message is meant for."""
    if isinstance(message, Unprocessed) or message.content.organizer is None:
        return None
    organizer = message.content.organizer.address
    others = [party.address for party in message.content.attendees if party.address != organizer]
    return organizer if message.method == "REPLY" else next(iter(others), None)


def _wrapped(raw: bytes) -> bytes:
    """Return a bare calendar as the body of a mail from whom it speaks for."""
    role = rb"ATTENDEE" if re.search(rb"^METHOD:REPLY", raw, re.MULTILINE) else rb"ORGANIZER"
    speaker = re.search(role + rb"[^\n]*?mailto:(\S+@\S+)", re.sub(rb"\r?\n[ \t]", b"", raw), re.IGNORECASE)
    head = b"From: " + (speaker[1] if speaker else b"nobody@example.net") + b"\r\nContent-Type: text/calendar\r\n"
    return head + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + raw


def files() -> list[str]:
    """Return every file of the corpus."""
    return sorted(_kinds())


def _is_mail(file: str) -> bool:
    return _kinds()[file] == "eml"


def _kinds() -> dict[str, str]:
    return {entry["file"]: entry["kind"] for entry in json.loads((corpus() / "manifest.json").read_text())}


def main() -> None:
    """Write the table."""
    table = csv.DictWriter(sys.stdout, FIELDS, delimiter="\t", lineterminator="\n")
    table.writeheader()
    with capture_logs():
        for file in files():
            table.writerows(rows(file))


if __name__ == "__main__":
    main()
