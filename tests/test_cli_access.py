"""imipd serve and check with certificates, socket groups and networks, as an operator meets them."""

import json
import os
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from certificates import certified
from correspondence import ALICE, BOB, reply
from daemons import CONFIG, PATIENCE, Daemon, free_place, serving
from faults import Liar, liar
from imipd import config
from imipd.cli import listening, logs
from imipd.cli.main import main
from imipd.ingress import Settings
from imipd.ingress.budget import Budget
from test_cli_serve import _configure, _said, _until

NAME = "imipd.example.org"
Run = Callable[[str, Path], tuple[int, str]]


@pytest.fixture
def calendars() -> Iterator[Liar]:
    with liar() as server:
        yield server


@pytest.fixture
def smtp(tmp_path: Path) -> str:
    """Return an [smtp] that requires TLS, with files that are there."""
    files = certified(tmp_path / "tls", NAME)
    place = free_place()
    files_of = f'tls_certificate = "{files.certificate}"\ntls_key = "{files.key}"\n'
    return f'[smtp]\nlisten = "{place}"\nrequire_tls = true\n{files_of}'


@pytest.fixture
def daemon(tmp_path: Path, calendars: Liar, smtp: str) -> Iterator[Daemon]:
    with serving(tmp_path, calendars.url, (free_place(),), smtp) as running:
        yield running


def test_it_takes_mail_in_tls_and_shows_a_new_certificate_after_sighup(daemon: Daemon, tmp_path: Path) -> None:
    first = _sent(daemon, tmp_path, reply(BOB, "ACCEPTED", minute=1))
    certified(tmp_path / "tls", NAME)
    _configure(daemon, daemon.config.read_text())
    _until(lambda: _said(daemon, "configuration read again") > 0)
    second = _sent(daemon, tmp_path, reply(BOB, "ACCEPTED", minute=2))
    assert first != second
    assert len(daemon.told()) == 2


def test_without_tls_the_mail_is_kept_by_the_mta(daemon: Daemon) -> None:
    with smtplib.SMTP(*_smtp(daemon), timeout=PATIENCE) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.sendmail(BOB, [ALICE], reply(BOB, "ACCEPTED"))
    assert refused.value.smtp_code == 451


def test_a_certificate_that_is_broken_at_sighup_leaves_the_old_one(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "tls" / "server.key").write_text("")
    _configure(daemon, daemon.config.read_text())
    _until(lambda: _said(daemon, "the configuration stays as it was") > 0)
    assert _sent(daemon, tmp_path, reply(BOB, "ACCEPTED"))
    assert "smtp.tls_certificate" in next(line for line in daemon.logged() if "stays" in line["event"])["problems"]


def test_what_changes_only_at_the_next_start_is_said(daemon: Daemon) -> None:
    changed = daemon.config.read_text().replace("require_tls = true", "require_tls = false")
    _configure(daemon, changed.replace('level = "debug"', 'level = "info"'))
    _until(lambda: _said(daemon, "configuration read again") > 0)
    assert _said(daemon, "[smtp] changes at the next start")
    assert _said(daemon, "[log] changes at the next start")
    assert not _said(daemon, "[lmtp] changes at the next start")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no-certificate": (lambda tls: (tls / "server.pem").unlink(), "smtp.tls_certificate: {tls}/server.pem cannot be"),
    "no-key": (
        lambda tls: (tls / "server.key").unlink(),
        "smtp.tls_key: {tls}/server.key cannot be read (No such file",
    ),
    "not-pem": (lambda tls: (tls / "server.pem").write_text("hunter2"), "smtp.tls_certificate: not a certificate"),
    "foreign-key": (
        lambda tls: (tls / "server.key").write_bytes(certified(tls / "other", NAME).key.read_bytes()),
        "smtp.tls_certificate: not a certificate with its key (key values mismatch)",
    ),
    "with-passphrase": (
        lambda tls: _encrypt(tls / "server.key"),
        "smtp.tls_certificate: not a certificate with its key",
    ),
}


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; return its exit code and what it said."""
    monkeypatch.setattr(logs, "begin", lambda _config: None)  # it would outlive the test

    def ran(command: str, file: Path) -> tuple[int, str]:
        code = main([command, "-c", str(file)])
        return code, "".join(capfd.readouterr())

    return ran


@pytest.mark.parametrize(("change", "text"), BROKEN.values(), ids=list(BROKEN))
def test_a_certificate_that_cannot_be_used_is_named_by_serve_and_by_check(
    tmp_path: Path, calendars: Liar, smtp: str, run: Run, change: Callable[[Path], object], text: str
) -> None:
    file = _config(tmp_path, calendars, smtp)
    change(tmp_path / "tls")
    code, told = run("serve", file)
    assert code == os.EX_CONFIG
    assert text.format(tls=tmp_path / "tls") in told
    code, told = run("check", file)
    assert code == 1
    assert f"FAIL  certificate of [smtp]: {text.partition(': ')[2].format(tls=tmp_path / 'tls')}" in told


def test_check_says_that_a_certificate_is_in_order(tmp_path: Path, calendars: Liar, smtp: str, run: Run) -> None:
    assert "ok    certificate of [smtp]\n" in run("check", _config(tmp_path, calendars, smtp))[1]


def test_check_and_serve_name_a_group_that_is_not_there(tmp_path: Path, calendars: Liar, run: Run) -> None:
    place = f"unix:{tmp_path}/smtp.sock"
    file = _config(tmp_path, calendars, f'[smtp]\nlisten = "{place}"\nsocket_group = "no-such-group"\n')
    assert f"FAIL  listen {place}: no group no-such-group on this machine" in run("check", file)[1]
    code, told = run("serve", file)
    assert code == os.EX_TEMPFAIL
    assert "no group no-such-group on this machine" in told


def test_every_setting_reaches_its_listener(tmp_path: Path, calendars: Liar, smtp: str) -> None:
    """What [serve] and [limits] say holds for both; the rest is each listener's own."""
    own = 'allow_from = "10.0.0.0/8"\nsocket_mode = "0600"\nsocket_group = "postfix"\n'
    both = '[serve]\nconnections = 7\nidle = "8s"\nrecipients = 9\n[limits]\nmail = 10\n'
    settings = config.load(_config(tmp_path, calendars, smtp + own + both), {})
    certificates = listening.Certificates(settings)
    budget = Budget()
    expected = Settings(
        socket.getfqdn(),
        size=10,
        budget=budget,
        recipients=9,
        connections=7,
        idle=8.0,
        allow_from=(ip_network("10.0.0.0/8"),),
        socket_mode=0o600,
        socket_group="postfix",
        require_tls=True,
    )
    found = listening._settings(settings, "smtp", certificates, budget)
    assert found.certificate is not None
    assert found.certificate() is certificates["smtp"]
    assert replace(found, certificate=None) == expected
    bare = replace(expected, allow_from=(), socket_mode=0o660, socket_group=None, require_tls=False)
    assert listening._settings(settings, "lmtp", certificates, budget) == bare


def _config(folder: Path, calendars: Liar, more: str) -> Path:
    file = folder / "imipd.toml"
    file.write_text(CONFIG.format(listen=json.dumps([free_place()]), folder=folder, url=calendars.url) + more)
    return file


def _encrypt(key: Path) -> None:
    read = serialization.load_pem_private_key(key.read_bytes(), None)
    way = serialization.BestAvailableEncryption(b"x")
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(read.private_bytes(serialization.Encoding.PEM, form, way))


def _smtp(daemon: Daemon) -> tuple[str, int]:
    places: list[str] = next(line for line in daemon.logged() if line["event"] == "ready")["listen"]
    host, _, port = places[-1].rpartition(":")
    return host, int(port)


def _sent(daemon: Daemon, folder: Path, content: bytes) -> bytes | None:
    """Send a mail in TLS; return the certificate that was shown."""
    host, port = _smtp(daemon)
    with smtplib.SMTP(host, port, timeout=PATIENCE) as client:
        # smtplib checks the name that it connected to.
        client._host = NAME  # type: ignore[attr-defined]
        context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
        client.starttls(context=context)
        client.sendmail(BOB, [ALICE], content)
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True)
