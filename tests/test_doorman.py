"""Who may connect: this machine and the networks of the settings; a stranger hears 421 and costs nothing."""

import asyncio
import errno
import grp
import ipaddress
import os
import socket
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from imipd.ingress import Settings, lmtp
from imipd.ingress.doorman import Peer, is_let_in
from loops import in_loop
from test_endpoint import HOST, deliver, listening

OURS = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "192.0.2.25", "2001:db8::/32"))


@pytest.mark.parametrize(
    ("host", "let_in"),
    [
        *[("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True)],
        *[("10.255.0.1", True), ("::ffff:10.0.0.1", True), ("192.0.2.25", True), ("2001:db8::25", True)],
        *[("11.0.0.1", False), ("192.0.2.26", False), ("::ffff:11.0.0.1", False), ("2001:db9::1", False)],
        *[("::10.0.0.1", False), ("0.0.0.1", False), ("::", False), ("fe80::1%2", False)],
    ],
)
def test_this_machine_and_the_networks_are_let_in(host: str, let_in: bool) -> None:
    assert is_let_in((host, 25), OURS) is let_in
    assert is_let_in((host, 25, 0, 0), OURS) is let_in


@pytest.mark.parametrize(("peer", "let_in"), [("", True), (b"\0abstract", True), (None, False)])
def test_of_a_unix_socket_its_mode_decides(peer: Peer, let_in: bool) -> None:
    assert is_let_in(peer, ()) is let_in


@in_loop
async def test_a_stranger_hears_421_and_takes_nobody_s_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one connection that is allowed is still to be had; what the stranger says is not read."""
    _called(monkeypatch, {"127.0.0.7": "192.0.2.7", "127.0.0.8": "192.0.2.8"})
    settings = replace(HOST, connections=1, allow_from=(ipaddress.ip_network("192.0.2.8"),))
    async with listening("127.0.0.1:0", settings) as listener:
        with capture_logs() as logged:
            reader, writer = await _connected(listener.addresses[0], "127.0.0.7")
            assert await reader.readline() == b"421 4.7.1 imipd takes no mail from your address\r\n"
            writer.write(b"LHLO c\r\n")
            assert await reader.readline() == b""
        assert [(line["event"], line["log_level"]) for line in logged] == [("stranger", "warning")]
        assert logged[0]["peer"][0] == "127.0.0.7"
        for source in ("127.0.0.8", "127.0.0.1"):
            reader, writer = await _connected(listener.addresses[0], source)
            assert (await reader.readline()).startswith(b"220")
            writer.close()
            assert await reader.read() == b""
            await asyncio.sleep(0.05)


@in_loop
async def test_a_unix_socket_belongs_to_its_group(tmp_path: Path) -> None:
    mine = [grp.getgrgid(number) for number in os.getgroups()] if os.geteuid() else grp.getgrall()
    other = max(mine, key=lambda group: group.gr_gid != os.getegid())
    settings = Settings("h", socket_mode=0o620, socket_group=other.gr_name)
    async with listening(f"unix:{tmp_path}/s", settings):
        found = Path(tmp_path, "s").stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (other.gr_gid, 0o620)


@in_loop
async def test_a_group_that_is_not_there_leaves_no_socket(tmp_path: Path) -> None:
    settings = Settings("h", socket_group="no-such-group")
    with pytest.raises(OSError, match=r"unix:.*/s: no group no-such-group on this machine"):
        await lmtp.listener([f"unix:{tmp_path}/s"], bool, deliver, settings).start()
    assert not Path(tmp_path, "s").exists()


@in_loop
async def test_a_group_of_others_leaves_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("imipd.ingress.endpoint.os.chown", refuse)
    other = next(group for group in grp.getgrall() if group.gr_gid != os.getegid())
    settings = Settings("h", socket_group=other.gr_name)
    with pytest.raises(OSError, match=r"unix:.*/s: cannot be given to the group \S+ \(Operation not permitted\)"):
        await lmtp.listener([f"unix:{tmp_path}/s"], bool, deliver, settings).start()
    assert not Path(tmp_path, "s").exists()


@in_loop
async def test_its_own_group_needs_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service with a system call filter may not call chown at all."""
    monkeypatch.delattr("imipd.ingress.endpoint.os.chown")
    settings = Settings("h", socket_group=grp.getgrgid(os.getegid()).gr_name)
    async with listening(f"unix:{tmp_path}/s", settings):
        assert stat.S_IMODE(Path(tmp_path, "s").stat().st_mode) == 0o660


@in_loop
async def test_nobody_can_connect_before_the_mode_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask: between bind and chmod the socket is its owner's, and it does not listen yet."""
    seen: list[tuple[int, int]] = []
    chmod = Path.chmod

    def spy(path: Path, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as probe:
            seen.append((stat.S_IMODE(path.stat().st_mode), probe.connect_ex(str(path))))
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", spy)
    before = os.umask(0)
    try:
        async with listening(f"unix:{tmp_path}/s"):
            assert seen == [(0o600, errno.ECONNREFUSED)]
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_of_two_that_start_at_once_only_one_gets_the_socket(tmp_path: Path) -> None:
    """A dead socket lies there; whoever comes second sees one that is alive, and leaves it alone."""
    place = f"unix:{tmp_path}/s"
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(tmp_path / "s"))
        fates: list[str] = []
        start, done = threading.Barrier(4), threading.Barrier(4)
        threads = [threading.Thread(target=_contend, args=(place, start, done, fates)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(fates) == ["listens", "taken", "taken", "taken"]
        assert not (tmp_path / "s").exists()


def _contend(place: str, start: threading.Barrier, done: threading.Barrier, fates: list[str]) -> None:
    async def contend() -> None:
        listener = lmtp.listener([place], bool, deliver, HOST)
        start.wait(10)
        try:
            await listener.start()
            fates.append("listens")
        except OSError:
            fates.append("taken")
        done.wait(10)
        await listener.drain(5)

    asyncio.run(contend())


def _called(monkeypatch: pytest.MonkeyPatch, names: dict[str, str]) -> None:
    """Let addresses of this machine pass for others."""

    def named(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.ip_address(names.get(host, host))

    monkeypatch.setattr("imipd.ingress.doorman.ip_address", named)


async def _connected(place: str, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = place.rpartition(":")
    return await asyncio.open_connection(host, int(port), local_addr=(source, 0))
