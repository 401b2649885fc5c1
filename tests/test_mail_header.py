"""What a mail's header says: who, when, for whom, and whether it is spam (rules.md A2, G4)."""

from datetime import UTC, datetime

import pytest

from imipd.mail import read
from mails import header

BOB = "bob@example.net"
MALLORY = "mallory@evil.example"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (BOB, BOB),
        ("Bob@Example.NET", BOB),
        ("<bob@example.net>", BOB),
        ("Bob <bob@example.net>", BOB),
        ("Bob\r\n <bob@example.net>", BOB),
        ('"Builder, Bob" <bob@example.net>', BOB),
        ("Bob B. Builder <bob@example.net>", BOB),
        ("bob@example.net (Bob)", BOB),
        ('(a (nested (comment)) with \\) and ") Bob <bob(x)@example.net(y)>', BOB),
        ("bob @ example . net", BOB),
        ("bob@example.net <bob@example.net>", BOB),
        ("=?utf-8?Q?B=C3=B6b,_<x@y>?= <bob@example.net>", BOB),
        ("bob@googlemail.com", "bob@gmail.com"),
        ("b.o..b+x@[192.0.2.1]", "b.o..b+x@[192.0.2.1]"),
        ("Bøb <bøb@exämple.net>", "bøb@exämple.net"),
        # The display name is somebody else's address.
        ('"bob@example.net" <mallory@evil.example>', MALLORY),
        ('"<bob@example.net>" <mallory@evil.example>', MALLORY),
        ("(bob@example.net) mallory@evil.example", MALLORY),
        ("=?utf-8?Q?bob=40example.net?= <mallory@evil.example>", MALLORY),
        ("=?utf-8?Q?bob@example.net,?= mallory@evil.example", None),
        ("bob@example.net <mallory@evil.example>", None),
        ("<bob@example.net> <mallory@evil.example>", None),
        ("<bob@example.net> mallory@evil.example", None),
        ("bob@example.net, mallory@evil.example", None),
        ("Builder, Bob <bob@example.net>", None),
        ("bob@example.net\0 <mallory@evil.example>", None),
        ("<bob@example.net\0@evil.example>", None),
        ("Bob\0 <bob@example.net>", None),
        ('"bo . b"@example.net', None),
        ('"bob@example.net"@evil.example', None),
        ("bob@example.net@evil.example", None),
        ("<=?utf-8?q?bob?=@example.net>", None),
        ("=?utf-8?q?bob=40example.net?=", None),
        ("frank@example.net".replace("k", "\u212a"), None),
        # What is obsolete, and read by few (RFC 5322 §4.4).
        ('"bob"@example.net', None),
        ("<@relay.example.com,@b.example.com:bob@example.net>", None),
        # Nobody, or not one.
        ("", None),
        ("Bob", None),
        ("<>", None),
        ("bob@", None),
        ("@example.net", None),
        ("bob smith@example.net", None),
        ('bob"x"@example.net', None),
        ('"bob smith"@example.net', None),
        ("friends: bob@example.net, dave@example.net;", None),
        ("friends: bob@example.net;", None),
        ("undisclosed-recipients:;", None),
        ('"Bob <bob@example.net>', None),
        ("Bob <bob@example.net", None),
        ("<@relay.example.com bob@example.net>", None),
        ("Bob (x <bob@example.net>", None),
        ("mallory@evil.example (x <bob@example.net>", None),
        ("<bob@example.net> (x", None),
        (f"<bob@example.net> {'(x)' * 21}", None),
        (f"bob@example.net {' ' * 1000}, mallory@evil.example", None),
        (f"bob@example.net{chr(13)}{chr(10)} {' ' * 3000}, mallory@evil.example", None),
        ("Bob \\ <bob@example.net>", None),
        ("mailto:bob@example.net", None),
        # What the library breaks on.
        ("é@[.", None),
        ("().bob@example.net", None),
        (":]'@a:", None),
        ("a:" * 499, None),
        (f"{'x' * 990} <bob@example.net>", None),
        (f"{'x' * 20000} <bob@example.net>", None),
    ],
)
def test_originator(value: str, address: str | None) -> None:
    """The one address that every reader takes From for, else None."""
    assert header(f"From: {value}").originator == address


@pytest.mark.parametrize(
    "fields",
    [
        ["From: bob@example.net", "From: bob@example.net"],
        ["From: bob@example.net", "FROM : mallory@evil.example"],
        ["From: bob@example.net\rFrom: mallory@evil.example"],
        ["X: y\r\rFrom: bob@example.net\nFrom: mallory@evil.example"],
        ["From: bob@example.net\r\rFrom: mallory@evil.example"],
        ["From: bob@example.net", "This is no field", "From: mallory@evil.example"],
        ["From: bob@example.net", "From\x00: mallory@evil.example"],
        ["Sender: bob@example.net"],
        ["X-From: bob@example.net"],
        [],
    ],
)
def test_from_must_be_there_once(fields: list[str]) -> None:
    """RFC 5322 §3.6: a second From, however hidden, makes the originator unknown."""
    assert header(*fields).originator is None


def test_eight_bit_from() -> None:
    """Latin-1 in a display name harms nobody."""
    assert header(b"From: B\xf6b <bob@example.net>").originator == BOB
    assert header(b"from:bob@example.net", b"Subject: From: x").originator == BOB


@pytest.mark.parametrize(
    ("fields", "recipients"),
    [
        (["Delivered-To: alice@example.org", "X-Original-To: A.Smith@example.org", "To: x@example.org"], 2),
        (["Delivered-To: alice@example.org", "Delivered-To: <alice@example.org>"], 1),
        (["To: Alice <alice@example.org>"], 1),
        ([*["Delivered-To: alice@example.org"] * 10, "Delivered-To: a.smith@example.org"], 1),
        (["Delivered-To: ", "To: alice@example.org"], 0),
        (["To: alice@example.org, bob@example.net"], 0),
        (["To: alice@example.org", "To: bob@example.net"], 0),
        ([], 0),
    ],
)
def test_recipients(fields: list[str], recipients: int) -> None:
    """Whose mail it is: Delivered-To, X-Original-To, else the only address in To."""
    found = header(*fields).recipients
    assert found == ("alice@example.org", "a.smith@example.org")[:recipients]


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("Mon, 1 Feb 2027 09:00:00 +0100", datetime(2027, 2, 1, 8, tzinfo=UTC)),
        ("1 Feb 2027 09:00 GMT (a comment)", datetime(2027, 2, 1, 9, tzinfo=UTC)),
        ("Mon, 1 Feb 2027 09:00:00 -0000", datetime(2027, 2, 1, 9, tzinfo=UTC)),
        ("yesterday", None),
        ("Mon, 31 Feb 2027 09:00:00 +0100", None),
        ("Fri, 31 Dec 9999 23:00:00 -1400", None),
        ("Mon, 1 Feb 2027 09:00:00 +99999999999", None),
        ("", None),
    ],
)
def test_date(value: str, date: datetime | None) -> None:
    """In UTC; None where it cannot be read."""
    assert header(f"Date: {value}").date == date
    assert header().date is None


@pytest.mark.parametrize(
    ("value", "message_id"),
    [
        ("<a@example.net>", "<a@example.net>"),
        ("<[a@example.net]>", "<[a@example.net]>"),
        ("\r\n <a@exam\0ple.net>", "<a@example.net>"),
        ("x" * 2000, "x" * 998),
    ],
)
def test_message_id(value: str, message_id: str) -> None:
    """As it stands, in one printable line; Exchange's square brackets included."""
    assert header(f"Message-ID: {value}").message_id == message_id
    assert header().message_id == ""


@pytest.mark.parametrize(
    ("field", "flagged"),
    [
        ("X-Spam-Flag: YES", "X-Spam-Flag: YES"),
        ("x-spam-flag:yes", "X-Spam-Flag: YES"),
        ("X-Spam: Yes", "X-Spam: Yes"),
        ("X-Spam-Status: Yes, score=9.1", "X-Spam-Status: Yes"),
        ("X-Spam-Status: No, score=1\r\nX-Spam-Status: Yes", "X-Spam-Status: Yes"),
        ("X-Spam-Flag: NO", ""),
        ("X-Spam-Status: Yesterday", ""),
        ("X-Spam-Level: ****", ""),
        ("X-Bogosity: Spam", ""),
    ],
)
def test_flagged(field: str, flagged: str) -> None:
    """G4: the header that was met, in the operator's words."""
    assert header(field).flagged == flagged


def test_flagged_by_the_operators_header() -> None:
    """A mark without a value asks only whether the field is there."""
    raw = b"X-Bogosity: Spam, x\r\nContent-Type: text/calendar\r\n\r\n"
    assert read(raw, spam_headers=["X-Bogosity: Spam"]).flagged == "X-Bogosity: Spam"
    assert read(raw, spam_headers=["X-Other", "X-Bogosity"]).flagged == "X-Bogosity"
    assert read(raw, spam_headers=["X-.*: Spam", "X-Ünknown: x"]).flagged == ""
    assert read(b"X-Spam: yes\r\n\r\nplain").flagged == "X-Spam: Yes"


def test_results_stand_together_between_two_hops() -> None:
    """G11: in their order, unfolded, in any case; an empty hop is none."""
    found = header(
        "Authentication-Results: a;\r\n\tdkim=pass",
        "AUTHENTICATION-RESULTS: b; none",
        "X-Authentication-Results: x; none",
        "Received: by mx.example.org",
        "received: by mx.example.org",
        "Authentication-Results: c; none",
    )
    assert found.results == (("a;\tdkim=pass", "b; none"), ("c; none",))
    assert header("From: bob@example.net").results == ()


def test_results_that_are_too_long_show_it() -> None:
    (((value,)),) = header("Authentication-Results: a; " + "x" * 9000).results
    assert len(value) == 2**13 + 1
    assert value.endswith("\0")
