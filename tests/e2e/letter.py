"""Mails for the ways into a mailbox: each an invitation that can be told from all others."""

import uuid
from dataclasses import dataclass

from correspondence import BOB, calendar, event

ALICE, DAVE, CAROL = "alice@example.org", "dave@example.org", "carol@example.org"
ALICE_UMLAUT = "älice@example.org"
"""Another address of alice's."""
CALENDARS = {ALICE: "alice", DAVE: "dave", ALICE_UMLAUT: "alice"}
"""Who has a calendar, by address; carol has a mailbox only."""


@dataclass(frozen=True)
class Letter:
    """One mail and whom it is for."""

    recipients: tuple[str, ...]
    uid: str
    raw: bytes

    @property
    def message_id(self) -> str:
        """Return what tells it from others in a mailbox."""
        return f"<{self.uid}>"

    @property
    def body(self) -> bytes:
        """Return what no way may change, with the line ends of a mailbox."""
        return self.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip(b"\n")


def invitation(*recipients: str, filling: int = 0) -> Letter:
    """Return bob's invitation to these; `filling` bytes of another part make it large."""
    uid = f"{uuid.uuid4()}@example.net"
    invited = [f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{address}" for address in recipients]
    body = calendar("REQUEST", event(f"ORGANIZER:mailto:{BOB}", *invited, uid=uid))
    # Any line that begins with a dot, the last one too, has to come through.
    text = b".\r\n..\r\nWe meet.\r\n." + b"\r\n" + _filled(filling)
    head = (
        *(f"From: {BOB}", f"To: {', '.join(recipients)}", f"Message-ID: <{uid}>", "Subject: Lunch"),
        *("Date: Mon, 04 Jan 2027 08:00:00 +0000", "MIME-Version: 1.0"),
        *("Content-Type: multipart/mixed; boundary=b", "", ""),
    )
    parts = (
        (b"text/plain; charset=utf-8", text),
        (b"text/calendar; method=REQUEST; charset=utf-8", body),
    )
    rows = [b"--b\r\nContent-Type: %b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%b" % part for part in parts]
    return Letter(recipients, uid, "\r\n".join(head).encode() + b"\r\n".join(rows) + b"\r\n--b--\r\n")


def _filled(size: int) -> bytes:
    line = b"." + b"potatoes " * 80 + b"\r\n"
    return line * (size // len(line) + 1) if size else b""
