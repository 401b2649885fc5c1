"""Who is let in: the answers to EHLO, MAIL and RCPT, as the hooks that aiosmtpd calls (RFC 5321 §3.3).

One reception serves all connections of a listener, so it remembers nothing.
"""

from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as Transaction

from imipd.envelope import UNKNOWN_RECIPIENT, Serves

from . import DeliverInThread, Settings, path

EXTENSIONS = ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8")
"""RFC 2920, 2034, 6152, 6531; RFC 2033 §5 wants the first two of every LMTP server."""


def extensions_of(server: SMTP) -> tuple[str, ...]:
    """Return what EHLO offers; `Dialog.may_start_tls` says whether RFC 3207 is among it."""
    return (*EXTENSIONS, "STARTTLS") if getattr(server, "may_start_tls", False) else EXTENSIONS


class Reception:
    """Hooks for one listener."""

    def __init__(self, serves: Serves, deliver: DeliverInThread, settings: Settings) -> None:
        self.serves = serves
        self.deliver = deliver
        self.settings = settings

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, _transaction: Transaction, hostname: str, _lines: list[str]
    ) -> list[str]:
        """Return the extensions; without SIZE, see `Dialog`."""
        # aiosmtpd 1.4.6 leaves this to the hook, and would want EHLO again before MAIL.
        session.host_name = hostname
        *inner, last = (self.settings.hostname, *extensions_of(server))
        return [*(f"250-{line}" for line in inner), f"250 {last}"]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, transaction: Transaction, address: str, options: list[str]
    ) -> str:
        """Take every sender: a stranger is never bounced over a calendar."""
        # Raw bytes that are no UTF-8 are not worth a bounce, but nothing further in could store them.
        transaction.mail_from = address.encode(errors="surrogateescape").decode(errors="replace")
        transaction.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, transaction: Transaction, address: str, _options: list[str]
    ) -> str:
        """Take a recipient whom we serve."""
        if len(transaction.rcpt_tos) >= self.settings.recipients:
            return "452 4.5.3 Too many recipients"  # RFC 5321 §4.5.3.1.10
        if address == path.NULL or not _is_text(address):
            return "553 5.1.3 Error: malformed address"
        if not self.serves(address):
            return str(UNKNOWN_RECIPIENT)
        transaction.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_RSET(self, _server: SMTP, _session: Session, _transaction: Transaction) -> str:  # noqa: N802
        """Answer RSET."""
        return "250 2.0.0 Ok"

    async def handle_NOOP(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, _transaction: Transaction, _arg: str | None
    ) -> str:
        """Answer NOOP."""
        return "250 2.0.0 Ok"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _transaction: Transaction) -> str:  # noqa: N802
        """Answer QUIT."""
        return "221 2.0.0 Bye"


def _is_text(address: str) -> bool:
    """Whether the address was UTF-8 on the wire (RFC 6531 §3.3); aiosmtpd makes surrogates of other bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in address)
