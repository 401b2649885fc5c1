"""An SMTP server that takes every mail and keeps it: what a calendar server sends by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from servers import free_port


@dataclass
class Sink:
    """What was sent, and where to send it to."""

    place: str
    mails: list[Envelope] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail."""
        self.mails.append(envelope)
        return "250 taken"


@contextmanager
def sink() -> Iterator[Sink]:
    """Run one on a free loopback port."""
    port = free_port()
    kept = Sink(f"127.0.0.1:{port}")
    controller = Controller(kept, "127.0.0.1", port)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()
