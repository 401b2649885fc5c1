"""The DNS as it is asked for keys and records, over the wire (rules.md G11)."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import pytest

from correspondence import BEGIN, BOB, cancel
from imipd.cli import proving
from imipd.config import Config, load
from imipd.proof import Claim, UnansweredError
from imipd.proof.resolver import DnsResolver
from names import answering
from signers import private_key, record, sealed, signed

KEY = "s1._domainkey.example.net"


def quoted(text: bytes) -> str:
    """Return a record as a zone file has it, in strings of at most 255 bytes."""
    whole = text.decode()
    return " ".join(f'"{whole[start : start + 200]}"' for start in range(0, len(whole), 200))


@pytest.fixture
def server() -> Iterator[str]:
    keys = {f"s1._domainkey.{name}": private_key(f"s1.{name}", 2048) for name in ("example.net", "lists.example.com")}
    with answering(
        {
            **{name: [quoted(record(key, {}))] for name, key in keys.items()},
            "_dmarc.example.net": ['"v=DMARC1; p=reject"', '"something else"'],
            "empty.example.net": [],
            "fails.example.net": dns.rcode.SERVFAIL,
            "refuses.example.net": dns.rcode.REFUSED,
            "silent.example.net": None,
        }
    ) as place:
        yield place


def test_records_and_the_strings_of_one_are_told_apart(server: str) -> None:
    ask = DnsResolver([server], 5)
    assert sorted(ask("_dmarc.example.net")) == [b"something else", b"v=DMARC1; p=reject"]
    assert ask(KEY) == (record(private_key("s1.example.net", 2048), {}),)


@pytest.mark.parametrize(
    "name",
    [
        *("nowhere.example.net", "empty.example.net", "a..example.net", ".example.net", ""),
        *(
            "x" * 64 + ".example.net",
            "x." * 130 + "example.net",
            "a\\.example.net",
            "a b.example.net",
            "\x00.net",
            "ä.net",
        ),
    ],
)
def test_a_name_that_does_not_exist_has_no_records(server: str, name: str) -> None:
    assert DnsResolver([server], 5)(name) == ()


@pytest.mark.parametrize("name", ["fails", "refuses", "silent"])
def test_no_answer_is_not_an_answer(server: str, name: str) -> None:
    begun = time.monotonic()
    with pytest.raises(UnansweredError, match=f"DNS: {name}.example.net: "):
        DnsResolver([server], 0.5)(f"{name}.example.net")
    assert time.monotonic() - begun < 30


def test_nobody_listens_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(UnansweredError):
        DnsResolver([place], 0.5)(KEY)


def test_servers_are_asked_one_after_the_other(server: str) -> None:
    with answering({KEY: None}) as silent:
        assert DnsResolver([silent, server], 10)(KEY)


def test_what_was_answered_is_kept() -> None:
    answers = {"x.example.net": ['"1"']}
    with answering(answers) as place:
        ask = DnsResolver([place], 5)
        assert ask("x.example.net") == (b"1",)
        answers["x.example.net"] = ['"2"']
        assert ask("x.example.net") == (b"1",)


@pytest.mark.parametrize("place", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]:5353", "192.0.2.1:5353"])
def test_how_a_server_is_written(place: str) -> None:
    (found,) = DnsResolver([place], 5)._servers
    assert found.address in ("192.0.2.1", "2001:db8::1")
    assert found.port == (5353 if ":5353" in place else 53)


def configured(folder: Path, proof: str) -> Config:
    file = folder / "imipd.toml"
    start = '[caldav]\nurl = "https://dav.example.org/"\npassword = "secret"\n'
    file.write_text(f'{start}[[account]]\naddresses = ["alice@example.org"]\n[proof]\n{proof}')
    return load(file, os.environ)


def test_a_mail_is_proven_as_the_configuration_says(tmp_path: Path, server: str) -> None:
    claim = Claim(BOB, (), signed(cancel()), BEGIN)
    asked = configured(tmp_path, f'resolver = "{server}"\n')
    assert proving.verifier(asked).of("dmarc", claim).proven
    assert not proving.verifier(asked, offline=True).of("dmarc", claim).proven
    assert not proving.verifier(configured(tmp_path, "verify = false\n")).of("dmarc", claim).proven


def test_a_list_is_trusted_as_the_configuration_says(tmp_path: Path, server: str) -> None:
    claim = Claim(BOB, (), sealed(cancel(), "dkim=pass header.d=example.net"), BEGIN)
    asked = f'resolver = "{server}"\n'
    assert not proving.verifier(configured(tmp_path, asked)).of("dkim", claim).proven
    trusting = configured(tmp_path, f'{asked}trusted_sealers = "Lists.Example.com"\n')
    assert proving.verifier(trusting).of("dkim", claim).proven


def test_the_resolver_is_tried_with_a_name_of_ours(tmp_path: Path) -> None:
    with answering({"_dmarc.example.org": []}) as place:
        assert proving.silence(configured(tmp_path, f'resolver = "{place}"\n')) == ""
    with answering({"_dmarc.example.org": dns.rcode.SERVFAIL}) as place:
        silence = proving.silence(configured(tmp_path, f'resolver = "{place}"\ntimeout = "500ms"\n'))
    assert silence.startswith("DNS: _dmarc.example.org: ")
