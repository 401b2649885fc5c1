"""What is left out of a part that is no calendar changes nothing of what is read."""

import tracemalloc
from base64 import encodebytes
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imipd.mail import Limits, read
from imipd.mail.tree import Entity, leaves
from mails import CALENDAR, REQUEST, mime, multipart

MIB = 2**20
PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"-",
            b"--",
            b"--b",
            b"--b\r\n",
            b"\n--b\n",
            b"\r--b\r",
            b"--b--\r\n",
            b"\r\n--c\r\n",
            b" ",
        ),
        *(
            b"a",
            b"ab\r\ncd\r\n",
            b"x" * 20,
            b"line\r\n" * 40,
            b"Subject: x\r\n",
            b"Content-Type: text/plain\r\n\r\n",
            b"\r\n\r\n",
        ),
        *(b"Content-Type: text/calendar\r\n\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"),
        *(b"Content-Type: multipart/digest; boundary=c\r\n\r\n--c\r\n", b"Content-Type: message/rfc822\r\n\r\n"),
        b"Content-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n\r\n",
    ]
)


def _is_calendar(part: Entity) -> bool:
    return part.get_content_type() == "text/calendar"


def told(raw: bytes, chunk: int, **limits: int) -> list[object]:
    """Return what is asked of the parts, of calendars the content too."""
    with patch("imipd.mail.tree._CHUNK", chunk):
        found = leaves(raw, Limits(**limits), _is_calendar)
    return [
        (part.items(), part.inside, part.holder, part.depth, part.get_payload() if _is_calendar(part) else None)
        for part in found
    ]


@settings(deadline=None, max_examples=400)
@given(raw=st.lists(PIECES, max_size=40).map(b"".join), chunk=st.integers(1, 60))
def test_the_same_is_read_however_much_is_left_out(raw: bytes, chunk: int) -> None:
    """In one chunk nothing can be left out; in small ones nearly everything is."""
    assert told(raw, chunk) == told(raw, len(raw) + 1)


FIELDS = {f"X-{number}": "x" for number in range(20)}
STATUS = b"\n".join(b"Final-Recipient: rfc822; %d@example.net\nAction: failed\nStatus: 5.1.1\n" % at for at in range(9))
PARTS = (
    *(mime("text/plain", b"line\r\n" * 9, **FIELDS), mime("text/plain", b"-" * 70), mime(REQUEST, CALENDAR, **FIELDS)),
    *(b"\r\n" + b"line\r\n" * 9, mime("message/rfc822", mime("text/plain", b"line\r\n" * 9, **FIELDS))),
    multipart("related", mime("text/html", b"<p>\r\n" * 9), mime(REQUEST), boundary="c") + b"-a\r\n" * 9,
    mime("message/delivery-status", STATUS),
)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("chunk", range(9, 90))
def test_the_same_is_read_wherever_chunks_end(line_end: bytes, chunk: int) -> None:
    mail = multipart("mixed", *PARTS).replace(b"\r\n", line_end)
    assert len(told(mail, chunk)) == 7 + 9
    assert told(mail, chunk) == told(mail, len(mail))


BASE64 = encodebytes(b"x" * (18 * MIB))
LINES = b"\xc3\xa4 line of text\r\n" * MIB


@pytest.mark.parametrize(
    "attached",
    [
        mime("application/pdf", BASE64, Content_Transfer_Encoding="base64"),
        mime("text/plain; charset=utf-8", LINES),
        mime("message/rfc822", multipart("related", mime("image/png", BASE64), boundary="c")),
    ],
)
def test_an_attachment_costs_no_memory(attached: bytes) -> None:
    """The mail itself is held by who reads it."""
    mail = multipart("mixed", mime(REQUEST), attached)
    assert _peak_of_reading(mail) < 2 * MIB
    assert [part.body for part in read(mail).parts] == [CALENDAR]


@pytest.mark.parametrize("line", [b"COMMENT:hello\r\n", b"a"])
def test_a_calendar_costs_no_more_than_its_limit_allows(line: bytes) -> None:
    mail = mime(REQUEST, line * (20 * MIB // len(line)))
    assert read(mail).obstacle == "too-large"
    assert _peak_of_reading(mail) < 60 * MIB


def _peak_of_reading(mail: bytes) -> int:
    tracemalloc.start()
    try:
        read(mail)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
