"""Where the listeners listen, and that ordinary clients get through."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from smtplib import LMTP, SMTP

import pytest

from imipd.envelope import DONE, Envelope, Status
from imipd.ingress import Listener, Settings, lmtp, smtp
from imipd.ingress.endpoint import Place, opened
from loops import in_loop

HOST = Settings(hostname="imipd.example.org")


async def deliver(envelope: Envelope) -> tuple[Status, ...]:
    """Answer 250 for each recipient."""
    return (DONE,) * len(envelope.recipients)


@asynccontextmanager
async def listening(listen: str, settings: Settings = HOST) -> AsyncIterator[Listener]:
    """Yield a listener for LMTP that has started."""
    listener = lmtp.listener([listen], bool, deliver, settings)
    await listener.start()
    try:
        yield listener
    finally:
        assert await listener.drain(5)


@in_loop
async def test_unix_socket_comes_and_goes(tmp_path: Path) -> None:
    """The socket has the mode of the settings, replaces a stale file, and is removed at the end."""
    path = tmp_path / "lmtp.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    async with listening(f"unix:{path}", Settings(hostname="h", socket_mode=0o600)) as listener:
        assert listener.addresses == (f"unix:{path}",)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


@in_loop
async def test_unix_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    """A second listener fails, and does not remove what it could not have."""
    listen = f"unix:{tmp_path}/lmtp.sock"
    async with listening(listen) as first:
        with pytest.raises(OSError, match=r"unix:.*lmtp\.sock: Address already in use"):
            await lmtp.listener([listen], bool, deliver, HOST).start()
        assert stat.S_IMODE(Path(tmp_path, "lmtp.sock").stat().st_mode) == 0o660
        assert first.addresses == (listen,)


@in_loop
async def test_unix_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    """Who ends does not remove the socket that another has put in its place."""
    path = tmp_path / "lmtp.sock"
    async with listening(f"unix:{path}"):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()


@in_loop
async def test_start_opens_every_socket_or_none(tmp_path: Path) -> None:
    """A bad second address closes the first."""
    path = tmp_path / "lmtp.sock"
    for bad in ("127.0.0.1", "127.0.0.1:x", ":2424", f"unix:{tmp_path}/no/such.sock"):
        with pytest.raises((OSError, ValueError)):
            await lmtp.listener([f"unix:{path}", bad], bool, deliver, HOST).start()
        assert not path.exists()


@in_loop
@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "unix:{folder}/s"])
async def test_a_place_may_be_shared(tmp_path: Path, text: str) -> None:
    """Every share is the same place, and what is left of it when one has gone goes on."""
    place = Place(text.format(folder=tmp_path), HOST, 3)
    listeners = [lmtp.listener([share], bool, deliver, HOST) for share in place.shares]
    for listener in listeners:
        await listener.start()
    (shown,) = {listener.addresses for listener in listeners}
    assert await listeners[0].drain(5)
    for _ in range(10 if shown[0].startswith("unix:") else 0):
        await asyncio.to_thread(_send, LMTP, shown[0].removeprefix("unix:"))
    for listener in listeners[1:]:
        assert await listener.drain(5)
    place.close()
    again = Place(shown[0], HOST)
    again.close()


@in_loop
@pytest.mark.parametrize("shares", [1, 2])
async def test_a_shared_place_is_not_shared_with_another_daemon(shares: int) -> None:
    """The kernel would let every process of the same user in."""
    place = Place("127.0.0.1:0", HOST, 2)
    host, port = place.shares[0].sockets[0].getsockname()
    with pytest.raises(OSError, match=f"{port}"):
        Place(f"{host}:{port}", HOST, shares)
    place.close()


@in_loop
@pytest.mark.parametrize("text", ["127.0.0.1:0", "unix:{folder}/s"])
async def test_who_waits_at_the_end_is_told(tmp_path: Path, text: str) -> None:
    """Nobody has accepted him yet; 421 says more than a connection that is reset."""
    async with listening(text.format(folder=tmp_path)) as listener, AsyncExitStack() as stack:
        (shown,) = listener.addresses
        waiting = [stack.enter_context(_connected(shown)) for _ in range(5)]
        assert await listener.drain(5)
        for one in waiting:
            assert one.recv(4) == b"421 "


def _connected(place: str) -> socket.socket:
    host, _, port = place.rpartition(":")
    if host == "unix":
        client = socket.socket(socket.AF_UNIX)
        client.connect(port)
        return client
    return socket.create_connection((host, int(port)), 20)


@in_loop
async def test_who_waits_for_a_process_that_has_ended_is_taken_by_the_next() -> None:
    """What ends with a process are its copies of the sockets; the queue stays, and nobody in it is cut off."""
    place = Place("127.0.0.1:0", HOST, 2)
    ended = [each.dup() for share in place.shares for each in share.sockets]
    with ExitStack() as stack:
        where = ended[0].getsockname()
        waiting = [stack.enter_context(socket.create_connection(where, 20)) for _ in range(20)]
        for one in ended:
            one.close()
        listeners = [lmtp.listener([share], bool, deliver, HOST) for share in place.shares]
        for listener in listeners:
            await listener.start()
        assert await asyncio.to_thread(lambda: {one.recv(4) for one in waiting}) == {b"220 "}
    for listener in listeners:
        await listener.drain(5)
    place.close()


@in_loop
async def test_standard_clients_get_through(tmp_path: Path) -> None:
    """smtplib delivers by LMTP over a unix socket and by SMTP."""
    by_smtp = smtp.listener(["127.0.0.1:0"], bool, deliver, HOST)
    await by_smtp.start()
    host, _, port = by_smtp.addresses[0].rpartition(":")
    async with listening(f"unix:{tmp_path}/s"):
        await asyncio.to_thread(_send, LMTP, f"{tmp_path}/s")
        await asyncio.to_thread(_send, SMTP, host, int(port))
    assert await by_smtp.drain(5)


@in_loop
async def test_no_answer_waits_for_the_one_before_to_be_acknowledged() -> None:
    """A client that pipelines its commands would wait 40 ms for each mail (RFC 9293 §3.7.4)."""
    met = asyncio.get_running_loop().create_future()

    class Greeter(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            met.set_result(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    endpoint = await opened("127.0.0.1:0", Greeter, HOST)
    host, _, port = endpoint.addresses[0].rpartition(":")
    with socket.create_connection((host, int(port))):
        assert await met
    endpoint.close()


@in_loop
async def test_ipv6_stands_in_brackets() -> None:
    """As it is configured, so it is shown (RFC 3986 §3.2.2)."""
    async with listening("[::1]:0") as listener:
        host, _, port = listener.addresses[0].rpartition(":")
        assert host == "[::1]"
        await asyncio.to_thread(_send, LMTP, "::1", int(port))


def _send(protocol: type[SMTP], host: str, port: int = 0) -> None:
    with protocol(host, port) as client:
        assert client.sendmail("bob@example.net", ["ok@example.org"], b"\r\n.\r\nbody\r\n") == {}
