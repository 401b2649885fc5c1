"""STARTTLS: the context of a server's certificate, and the step from the clear into TLS (RFC 3207)."""

import asyncio
import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context for a certificate and its key. Raises OSError, of which ssl.SSLError is one.

    TLS 1.2 and 1.3 (RFC 8996, 9325); which ciphers, Python and OpenSSL choose.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # Without a password of ours OpenSSL would ask for one in the terminal.
    context.load_cert_chain(certificate, key, password="")
    return context


async def secured(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, timeout: float
) -> tuple[asyncio.Transport, bool]:
    """Shake hands; return the transport on top of TLS, and whether something came before its time. Raises OSError.

    Commands sent ahead of the handshake came in the clear: somebody in between may have put them there, to be
    obeyed as if they had come by TLS. They are dropped (RFC 3207 §6).
    """
    hasty = bool(reader._buffer)  # type: ignore[attr-defined]
    reader._buffer.clear()  # type: ignore[attr-defined]
    below = writer.transport
    # Not `writer.start_tls`, which in Python 3.11 breaks where the peer has gone: the transport is None then.
    transport = await asyncio.get_running_loop().start_tls(
        below, below.get_protocol(), context, server_side=True, ssl_handshake_timeout=timeout
    )
    # Where the connection was lost meanwhile, uvloop 0.23 returns a transport that is closed.
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the peer has gone")
    # asyncio has no public way to say it; aiosmtpd 1.4.6 does the same.
    reader._transport = writer._transport = transport  # type: ignore[attr-defined]
    return transport, hasty
