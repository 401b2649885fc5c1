"""`imipd explain` and `imipd check` tell whether a sender can be proven (rules.md G11)."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import dns.rcode
import pytest

from correspondence import cancel, invited
from imipd.cli import logs
from imipd.cli.main import main
from names import answering
from signers import signed

PASS = b"Authentication-Results: mx.example.org; dmarc=pass header.from=example.net\r\n"
Explain = Callable[..., str]


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Explain a mail beside what is stored, and return what was printed."""
    monkeypatch.delenv("IMIPD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "begin", lambda _config: None)
    (tmp_path / "held.ics").write_bytes(invited())

    def explained(mail: bytes, *arguments: str) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(mail)))
        command = ["explain", "--stored", "held.ics", *arguments, "--policy", "sender=dmarc", "-"]
        assert main(command) == 0
        return capsys.readouterr().out

    return explained


def configured(folder: Path, more: str) -> Path:
    file = folder / "imipd.toml"
    start = '[caldav]\nurl = "http://127.0.0.1:1/"\npassword = "secret"\ntimeout = "500ms"\n'
    start += '[lmtp]\nlisten = "127.0.0.1:0"\n'
    ledger = f'[ledger]\nurl = "sqlite:///{folder}/ledger.db"\n'
    file.write_text(f'{start}{ledger}[[account]]\naddresses = ["alice@example.org"]\n{more}')
    return file


def test_explain_believes_nobody_whom_it_was_not_told(explain: Explain) -> None:
    told = explain(PASS + cancel())
    assert "error: sender-not-proven\n# no Authentication-Results are believed without policy.authserv_id" in told


def test_explain_believes_whom_it_was_told(explain: Explain) -> None:
    told = explain(PASS + cancel(), "--authserv-id", "mx.example.org")
    assert "authserv-id: mx.example.org\n== decision\nupdated: cancelled\n# sender proven: dmarc=pass" in told


def test_explain_believes_whom_the_configuration_names(explain: Explain, tmp_path: Path) -> None:
    file = configured(tmp_path, '[policy]\nauthserv_id = "mx.example.org"\n')
    assert "updated: cancelled" in explain(PASS + cancel(), "-c", str(file))
    assert "sender-not-proven" in explain(PASS + cancel(), "-c", str(file), "--authserv-id", "mx.example.com")


def test_explain_asks_no_resolver_beside_what_is_stored(explain: Explain, tmp_path: Path) -> None:
    with answering({}) as place:
        file = configured(tmp_path, f'[proof]\nresolver = "{place}"\n')
        assert "no signature is verified" in explain(signed(cancel()), "-c", str(file))


@pytest.mark.parametrize("sender", ["from", "dmarc"])
def test_check_tries_the_resolver_where_proof_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sender: str
) -> None:
    policy = f'[account.policy]\nsender = "{sender}"\n'
    with answering({"_dmarc.example.org": dns.rcode.SERVFAIL}) as place:
        file = configured(tmp_path, f'{policy}[proof]\nresolver = "{place}"\ntimeout = "500ms"\n')
        assert main(["check", "-c", str(file)]) == 1
    assert ("FAIL  resolver: DNS: _dmarc.example.org: " in capsys.readouterr().out) is (sender == "dmarc")
    with answering({}) as place:
        file = configured(tmp_path, f'{policy}[proof]\nresolver = "{place}"\n')
        assert main(["check", "-c", str(file)]) != os.EX_CONFIG
    assert ("ok    resolver\n" in capsys.readouterr().out) is (sender == "dmarc")
