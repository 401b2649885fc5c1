"""What is plain in an address field is read as both readers of the library read it, without asking them."""

import hypothesis.strategies as st
import pytest
from hypothesis import assume, example, given

from imipd.address import comparable
from imipd.mail import mailbox

NEARLY = st.text("ab0.@<>\"'(),;:\\=? -_+\t\r\n\u212aé", max_size=30)


@given(st.from_regex(mailbox.PLAIN, fullmatch=True))
@example("bob@example.net")
@example("Bob Example <bob.b+list@mail.example.net>")
@example('"Example, Bob" <bob@example.net>')
def test_what_is_plain_is_what_both_readers_find(value: str) -> None:
    assume(len(value) <= mailbox.LONGEST)
    found = mailbox._as_before(value)
    assert found == mailbox._as_now(value)
    assert {mailbox.only_address(value)} == {comparable(address) for address in found}


@given(NEARLY, NEARLY)
@example("", " ")
@example("a b ", "<a@b>")
@example('"a', '<a@b>" <b@a>')
def test_what_two_readers_read_differently_is_not_plain(before: str, after: str) -> None:
    for value in (before + after, f"{before}a@b{after}", f"{before}<a@b>{after}", f"{before} <{after}@a>"):
        if mailbox.PLAIN.fullmatch(value):
            assert len(mailbox._as_before(value)) == 1
            assert mailbox._as_before(value) == mailbox._as_now(value)


def test_no_character_makes_plain_what_is_read_differently() -> None:
    """In each place of a mailbox."""
    for number in range(0x180):
        c = chr(number)
        for value in (f'"a{c}" <b@c>', f"a{c} <b@c>", f"a{c}b@c", f"<b@c{c}d>", f"<b@c>{c}", f"{c}b@c", f"b@c{c}"):
            if mailbox.PLAIN.fullmatch(value):
                assert len(mailbox._as_before(value)) == 1
                assert mailbox._as_before(value) == mailbox._as_now(value)


@pytest.mark.parametrize(
    "value",
    [
        *("bob@example.net, carol@example.com", "bob@example.net (Bob)", "=?utf-8?q?Bob?= <bob@example.net>"),
        *('"carol@example.com" <bob@example.net>', "bob@example.net\n", "Bob: bob@example.net;", "b\u212a@example.net"),
        *("bob @example.net", "bob@@example.net", "<bob@example.net> carol", '"Bob\\"" <bob@example.net>', "bob..b@a"),
    ],
)
def test_what_needs_a_reader_is_not_plain(value: str) -> None:
    assert not mailbox.PLAIN.fullmatch(value)
