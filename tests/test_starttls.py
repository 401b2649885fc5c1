"""STARTTLS on the listeners: that ordinary clients get through, and that nobody in between is obeyed (RFC 3207)."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from certificates import Certified, certified
from imipd.envelope import DONE, Envelope, Status
from imipd.ingress import Listener, Settings, lmtp, smtp
from imipd.ingress.tls import server_context
from loops import in_loop

NAME = "imipd.example.org"
MAIL = b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n"
PROTOCOLS = {"smtp": (smtp.listener, b"EHLO"), "lmtp": (lmtp.listener, b"LHLO")}
PATIENCE = 20


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certified(tmp_path_factory.mktemp("certificates"), NAME)


@pytest.fixture
def settings(files: Certified) -> Settings:
    return Settings(NAME, certificate=partial(server_context, files.certificate, files.key))


@asynccontextmanager
async def listening(settings: Settings, kind: str = "smtp", place: str = "127.0.0.1:0") -> AsyncIterator[Listener]:
    """Yield a listener whose `mails` are the envelopes that came in."""
    mails: list[Envelope] = []

    async def deliver(envelope: Envelope) -> tuple[Status, ...]:
        mails.append(envelope)
        return (DONE,) * len(envelope.recipients)

    listener = PROTOCOLS[kind][0]([place], bool, deliver, settings)
    listener.mails = mails  # type: ignore[attr-defined]
    await listener.start()
    try:
        yield listener
    finally:
        assert await listener.drain(PATIENCE)


def mails(listener: Listener) -> list[Envelope]:
    found: list[Envelope] = listener.mails  # type: ignore[attr-defined]
    return found


class Peer:
    """A client that says and hears lines, in the clear and in TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, listener: Listener) -> "Peer":
        place = listener.addresses[0]
        if place.startswith("unix:"):
            return cls(*await asyncio.open_unix_connection(place.removeprefix("unix:")))
        host, _, port = place.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def says(self, *lines: bytes) -> None:
        """Send lines in one piece."""
        self.writer.write(b"".join(line + b"\r\n" for line in lines))

    async def hears(self) -> str:
        """Return the code of the next answer, after its last line; empty where the connection has ended."""
        while (line := await asyncio.wait_for(self.reader.readline(), PATIENCE))[3:4] == b"-":
            continue
        return line[:3].decode()

    async def asks(self, line: bytes) -> str:
        """Send a line and return the code of its answer."""
        self.says(line)
        return await self.hears()

    async def offers(self, line: bytes) -> set[str]:
        """Return the extensions that are offered."""
        self.says(line)
        found: set[str] = set()
        while True:
            answer = (await asyncio.wait_for(self.reader.readline(), PATIENCE)).decode()
            found.add(answer[4:].strip())
            if answer[3] == " ":
                return found

    async def secures(self, files: Certified) -> None:
        """Shake hands, as a client that checks the certificate."""
        context = ssl.create_default_context(cafile=str(files.authority))
        protocol = self.writer.transport.get_protocol()
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self.writer.transport, protocol, context, server_hostname=NAME)
        assert transport is not None
        self.reader._transport = self.writer._transport = transport  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", PROTOCOLS)
@in_loop
async def test_a_mail_comes_in_tls(kind: str, files: Certified, settings: Settings) -> None:
    """STARTTLS is offered, then not any more; what was said before it is forgotten."""
    hello = PROTOCOLS[kind][1] + b" c"
    async with listening(settings, kind) as listener:
        peer = await Peer.of(listener)
        assert await peer.hears() == "220"
        assert "STARTTLS" in await peer.offers(hello)
        assert await peer.asks(b"MAIL FROM:<mallory@example.net>") == "250"
        assert await peer.asks(b"STARTTLS") == "220"
        await peer.secures(files)
        assert await peer.asks(b"MAIL FROM:<bob@example.net>") == "503"
        assert "STARTTLS" not in await peer.offers(hello)
        assert await peer.asks(b"RCPT TO:<alice@example.org>") == "503"
        assert await peer.asks(b"STARTTLS") == "503"
        peer.writer.write(MAIL)
        assert [await peer.hears() for _ in range(4)] == ["250", "250", "354", "250"]
        assert await peer.asks(b"QUIT") == "221"
        assert await peer.hears() == ""
    assert [each.reverse_path for each in mails(listener)] == ["bob@example.net"]


@in_loop
async def test_ordinary_clients_get_through(files: Certified, settings: Settings) -> None:
    """smtplib delivers 2 MB in TLS, twice on one connection."""
    content = b"Subject: x\r\n\r\n" + b"0123456789abcdef\r\n" * 120_000

    def send(host: str, port: int) -> str | None:
        with smtplib.SMTP(host, port, timeout=PATIENCE) as client:
            # smtplib checks the name that it connected to.
            client._host = NAME  # type: ignore[attr-defined]
            client.starttls(context=ssl.create_default_context(cafile=str(files.authority)))
            for _ in range(2):
                assert client.sendmail("bob@example.net", ["alice@example.org"], content) == {}
            assert isinstance(client.sock, ssl.SSLSocket)
            return client.sock.version()

    async with listening(settings) as listener:
        host, _, port = listener.addresses[0].rpartition(":")
        assert await asyncio.to_thread(send, host, int(port)) == "TLSv1.3"
    assert [each.content for each in mails(listener)] == [content, content]


@pytest.mark.parametrize("kind", PROTOCOLS)
@in_loop
async def test_commands_sent_ahead_of_the_handshake_are_not_obeyed(
    kind: str, files: Certified, settings: Settings
) -> None:
    """What comes with STARTTLS in one piece is dropped: the first answer in TLS is to the first command in TLS."""
    hello = PROTOCOLS[kind][1] + b" c"
    async with listening(settings, kind) as listener:
        peer = await Peer.of(listener)
        assert await peer.hears() == "220"
        assert await peer.asks(hello) == "250"
        with capture_logs() as logged:
            peer.says(b"STARTTLS", hello, b"MAIL FROM:<mallory@example.net>", b"RCPT TO:<alice@example.org>", b"VRFY x")
            assert await peer.hears() == "220"
            await peer.secures(files)
            assert await peer.asks(b"NOOP") == "250"
        assert [line["event"] for line in logged] == ["commands-before-tls-dropped"]
        assert await peer.asks(hello) == "250"
        assert await peer.asks(b"RCPT TO:<alice@example.org>") == "503"
        peer.writer.write(MAIL)
        assert [await peer.hears() for _ in range(4)] == ["250", "250", "354", "250"]
    assert [each.reverse_path for each in mails(listener)] == ["bob@example.net"]


@pytest.mark.parametrize("ahead", [b"", b"EHLO c\r\nMAIL FROM:<mallory@example.net>\r\n", bytes(range(256)) * 9])
@in_loop
async def test_without_a_handshake_the_connection_ends(ahead: bytes, settings: Settings) -> None:
    """Plain commands instead of TLS are answered by nothing that a client would take for an answer."""
    async with listening(settings) as listener:
        peer = await Peer.of(listener)
        assert await peer.hears() == "220"
        assert await peer.asks(b"EHLO c") == "250"
        assert await peer.asks(b"STARTTLS") == "220"
        if ahead:
            peer.writer.write(ahead)
            rest = await asyncio.wait_for(peer.reader.read(), PATIENCE)
            assert not rest[:3].isdigit()
        else:
            peer.writer.close()
        # Nobody is left in the count of connections, or `drain` would wait: see `listening`.
        other = await Peer.of(listener)
        assert await other.hears() == "220"


@in_loop
async def test_a_daemon_that_stops_does_not_wait_for_a_handshake(settings: Settings) -> None:
    listener = smtp.listener(["127.0.0.1:0"], bool, None, settings)  # type: ignore[arg-type]  # no mail comes
    await listener.start()
    peer = await Peer.of(listener)
    await peer.hears()
    await peer.asks(b"EHLO c")
    assert await peer.asks(b"STARTTLS") == "220"
    assert await asyncio.wait_for(listener.drain(1000), PATIENCE)
    assert await peer.reader.read() == b""


@in_loop
async def test_a_silent_handshake_is_given_up(settings: Settings) -> None:
    async with listening(replace(settings, idle=0.2)) as listener:
        peer = await Peer.of(listener)
        await peer.hears()
        await peer.asks(b"EHLO c")
        assert await peer.asks(b"STARTTLS") == "220"
        assert await asyncio.wait_for(peer.reader.read(), PATIENCE) == b""


@in_loop
async def test_idle_peers_and_leaving_speak_tls_too(files: Certified, settings: Settings) -> None:
    async with listening(replace(settings, idle=1.0)) as listener:
        peer = await Peer.of(listener)
        await peer.hears()
        await peer.asks(b"EHLO c")
        await peer.asks(b"STARTTLS")
        await peer.secures(files)
        assert await peer.hears() == "421"
        assert await peer.hears() == ""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@in_loop
async def test_versions_of_the_last_century_are_refused(
    version: ssl.TLSVersion, files: Certified, settings: Settings
) -> None:
    """RFC 8996."""
    old = ssl.create_default_context(cafile=str(files.authority))
    old.minimum_version = old.maximum_version = version
    old.set_ciphers("ALL:@SECLEVEL=0")
    with capture_logs() as logged:
        async with listening(settings) as listener:
            peer = await Peer.of(listener)
            await peer.hears()
            await peer.asks(b"EHLO c")
            await peer.asks(b"STARTTLS")
            protocol = peer.writer.transport.get_protocol()
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await asyncio.get_running_loop().start_tls(peer.writer.transport, protocol, old, server_hostname=NAME)
    assert "no TLS: [SSL: UNSUPPORTED_PROTOCOL]" in logged[0]["error"]
    # OpenSSL may be built to refuse them anyway.
    context = server_context(files.certificate, files.key)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("kind", PROTOCOLS)
@in_loop
async def test_where_tls_is_required_mail_waits_for_it(kind: str, files: Certified, settings: Settings) -> None:
    """451: an MTA that cannot keeps the mail. In TLS the same command is taken."""
    hello = PROTOCOLS[kind][1] + b" c"
    async with listening(replace(settings, require_tls=True), kind) as listener:
        peer = await Peer.of(listener)
        await peer.hears()
        assert await peer.asks(hello) == "250"
        assert await peer.asks(b"MAIL FROM:<bob@example.net>") == "451"
        assert await peer.asks(b"RCPT TO:<alice@example.org>") == "503"
        assert await peer.asks(b"STARTTLS") == "220"
        await peer.secures(files)
        assert await peer.asks(hello) == "250"
        assert await peer.asks(b"MAIL FROM:<bob@example.net>") == "250"


@in_loop
async def test_a_unix_socket_needs_no_tls(settings: Settings, tmp_path: Path) -> None:
    async with listening(replace(settings, require_tls=True), place=f"unix:{tmp_path}/s") as listener:
        peer = await Peer.of(listener)
        await peer.hears()
        assert "STARTTLS" not in await peer.offers(b"EHLO c")
        assert await peer.asks(b"STARTTLS") == "503"
        assert await peer.asks(b"MAIL FROM:<bob@example.net>") == "250"


@in_loop
async def test_without_a_certificate_it_is_an_unknown_command() -> None:
    async with listening(Settings(NAME)) as listener:
        peer = await Peer.of(listener)
        await peer.hears()
        assert "STARTTLS" not in await peer.offers(b"EHLO c")
        assert await peer.asks(b"STARTTLS") == "500"
