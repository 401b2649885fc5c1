"""No field and no signature of a stranger costs much, and none proves by being odd (rules.md G9, G11)."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correspondence import BEGIN, BOB, cancel
from imipd.mail import read
from imipd.proof import Claim
from imipd.proof.alignment import domain_of, is_aligned
from imipd.proof.results import read as read_field
from imipd.proof.verifier import Verifier
from signers import Dns, sealed, signed

END = 30  # seconds: tells an end from a hang on a busy machine
AR = b"Authentication-Results: "
SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1; h=from; bh=AAAA; b="


@pytest.fixture
def dns() -> Dns:
    found = Dns()
    found.publish("example.net")
    found.publish("lists.example.com")
    return found


def is_proven(mail: bytes, dns: Dns | None) -> bool:
    begun = time.monotonic()
    verifier = Verifier("mx.example.org", dns, frozenset({"lists.example.com"}))
    proven = verifier.of("dkim", Claim(BOB, read(mail).results, mail, BEGIN)).proven
    assert time.monotonic() - begun < END
    return proven


@pytest.mark.parametrize(
    "field",
    [
        b"mx.example.org; " + b"(" * 5000 + b")" * 5000,
        b"mx.example.org; dkim=pass " + b"(" * 4000,
        b"mx.example.org; dkim=pass header.d=example.net " + b"x" * 9000,
        b"mx.example.org; " + b"dkim=fail header.d=example.net; " * 50 + b"dkim=pass header.d=example.net",
        b"mx.example.org; dkim=pass " + b"header.d=a " * 700,
        b'mx.example.org; dkim=pass "' + b"\\a" * 3000,
        b"mx.example.org; dkim=pass header.d=example.net\0",
        b"mx.example.org; dkim=pass header.d=example.net \x1b[2J",
        b";" * 8000,
        b"",
    ],
    ids=lambda field: repr(field[:40]),
)
def test_a_field_that_is_odd_or_large(field: bytes) -> None:
    assert not is_proven(AR + field + b"\r\n" + cancel(), None)


def test_many_fields() -> None:
    """Fifty are read; what comes after them is not."""
    other = AR + b"mx.example.com; dkim=none\r\n"
    ours = AR + b"mx.example.org; dkim=pass header.d=example.net\r\n"
    assert is_proven(other * 49 + ours + cancel(), None)
    assert not is_proven(other * 50 + ours + cancel(), None)
    assert not is_proven(other * 20_000 + cancel(), None)


@pytest.mark.parametrize(
    "fields",
    [
        SIGNATURE + b"\r\n " * 30_000 + b"x\r\n",
        SIGNATURE + b" " * 2900 + b"(\r\n",
        SIGNATURE.replace(b"; bh", b":" + b":".join(b"x%d" % n for n in range(600)) + b"; bh") + b"AAAA\r\n",
        SIGNATURE + b"AAAA\r\n" + b"A: 1\r\n" * 990,
        (SIGNATURE + b"AAAA\r\n") * 900,
        b"A: 1\r\n" * 1100,
        b"A:" + b"\r\n x" * 40_000 + b"\r\n",
        b"ARC-Seal: i=1; d=lists.example.com\r\n" * 900,
    ],
    ids=lambda fields: f"{fields[:12]!r} {len(fields)}",
)
def test_a_header_that_is_odd_or_large(dns: Dns, fields: bytes) -> None:
    assert not is_proven(fields + cancel(), dns)


@pytest.mark.parametrize("body", [b" " * 5_000_000, b"\t \r\n" * 200_000, b"\r\n" * 300_000, b"\n" * 300_000])
def test_a_body_of_blanks(dns: Dns, body: bytes) -> None:
    """dkimpy 1.1.8 needs hours for the first one."""
    head, calendar = cancel().split(b"\r\n\r\n", 1)
    assert not is_proven(SIGNATURE + b"AAAA\r\n" + head + b"\r\n\r\n" + body + calendar, dns)
    assert not is_proven(sealed(cancel(), "dkim=pass header.d=example.net") + body + b"x", dns)


def test_only_five_signatures_are_tried(dns: Dns) -> None:
    wrong = b"".join(SIGNATURE.replace(b"s=s1", b"s=x%d" % number) + b"AAAA\r\n" for number in range(5))
    assert not is_proven(wrong + signed(cancel()), dns)
    assert len(dns.asked) == 5
    assert is_proven(wrong[: len(wrong) // 5 * 4] + signed(cancel()), dns)


def test_a_key_that_is_too_long_to_reckon_with(dns: Dns) -> None:
    dns.records["s1._domainkey.example.net"] = (b"v=DKIM1; p=" + b"A" * 60_000,)
    assert not is_proven(signed(cancel()), dns)


@pytest.mark.parametrize(
    "mail", [b"", b"\r\n", b"From: bob@example.net", b"\r\n\r\nFrom: bob@example.net\r\n", b" x\r\n\r\n"]
)
def test_hardly_a_mail(dns: Dns, mail: bytes) -> None:
    assert not Verifier("", dns).of("dmarc", Claim(BOB, (), mail, BEGIN)).proven


@given(st.text(alphabet='mx.example.org;dkim=pass header.d(")\\ \t,@/é'))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    field = read_field(text)
    assert field is None or field.authserv_id


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_domain_is_compared(text: str) -> None:
    assert not is_aligned(domain_of(text), "example.net") or "example.net" in domain_of(text)
