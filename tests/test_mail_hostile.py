"""Any bytes give a Mail, and soon. The bound is generous: each takes a second on a busy machine, most a few ms."""

from base64 import encodebytes
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imipd.mail import Limits, Mail, read
from mails import CALENDAR, REQUEST, mime, multipart

SECONDS = 60
MIB = 2**20
END = mime(REQUEST)


def nested(depth: int, body: bytes) -> bytes:
    """Return multiparts within each other, none of them closed."""
    line = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    return b"".join(line % (at, at) for at in range(depth)) + body


BOUNDARY = b"Content-Type: multipart/mixed; boundary=%04d" + b"-" * 16_000 + b"\r\n\r\nx\r\n"
HOSTILE = {
    "junk": (bytes(range(256)) * (10 * MIB // 256) + b".ics", "too-large"),
    "junk in a part": (multipart("mixed", mime(REQUEST, b"\0\xff\n" * (3 * MIB))), "too-large"),
    "empty lines": (b".ics\n" + b"\n" * (10 * MIB), "too-large"),
    "a million empty lines": (b".ics\n" + b"\n" * MIB, "no-calendar-part"),
    "empty lines, 29 deep": (nested(29, END + b"\n" * (25 * MIB - 5000)), "too-large"),
    "a long attachment": (multipart("mixed", END, mime("a/b", encodebytes(b"x" * (18 * MIB)))), None),
    "a long attachment, forwarded": (
        multipart(
            "mixed", END, mime("message/rfc822", multipart("related", mime("a/b", encodebytes(b"x" * 18 * MIB))))
        ),
        None,
    ),
    "a long header in a part": (multipart("mixed", END, b"a:\n" * (8 * MIB)), "too-large"),
    "delivery status": (multipart("report", mime("message/delivery-status", b"\n" * (8 * MIB)), END), "too-large"),
    "long boundaries": (multipart("mixed", *[BOUNDARY % at for at in range(190)], END), None),
    "many bad parameters": (multipart("mixed", *[mime('a/b; name="' + ";" * 16_000)] * 190), "no-calendar-part"),
    "many deliveries": ((b"Delivered-To: " + b"(x)" * 300 + b"a@b\r\n") * 1000 + END, None),
    "50,000 parts": (multipart("mixed", *[END] * 50_000), "too-large"),
    "lines like boundaries": (multipart("mixed", END, b"--a\n" * (2 * MIB)), "too-large"),
    "fewer lines like boundaries": (multipart("mixed", END, b"--a\n" * (MIB // 2)), None),
    "1000 multiparts deep": (nested(1000, END), "too-large"),
    "29 deep, long": (nested(29, END + b"\n--a" * (2 * MIB)), "too-large"),
    "the same boundary inside": (multipart("mixed", *[multipart("mixed", END)] * 50), None),
    "the same boundary deeper": (b"Content-Type: multipart/x; boundary=b\n\n--b\n" * 1000 + END, "too-large"),
    "1000 mails deep": (b"Content-Type: message/rfc822\r\n\r\n" * 1000 + END, "too-large"),
    "long header": (b"a:\n" * MIB + END, "too-large"),
    "many fields": (b"From: a@b\n" * 90_000 + END, None),
    "many spam headers": (b"X-Spam: No\n" * 90_000 + END, None),
    "many folds": (b"From: a\n" + b" \n" * 400_000 + END, None),
    "250 KB Subject": (b"Subject: " + b"=?utf-8?q?x?= " * 18_000 + b"\r\n" + END, None),
    "60 KB of parameters": (mime("text/calendar;" + " a=b;" * 12_000), None),
    "60 KB of quotes": (mime("text/calendar" + ';a="' * 15_000), None),
    "60 KB of semicolons": (mime("text/calendar" + "; " * 30_000), None),
    "16 KB of a name": (mime("text/calendar;" + "a" * 16_000), None),
    "1000 pieces": (mime("text/calendar" + "".join(f";m*{at}*=%41" for at in range(1000))), None),
    "encoded-words in a name": (mime('text/plain; name="' + "=?utf-8?b?LmljcwA?= " * 700 + '"'), "no-calendar-part"),
    "broken encoded-word": (mime('text/plain; name="=?utf-8?b?A?=.ics"'), None),
    "comments in From": (b"From: " + b"(" * 8000 + b")" * 8000 + b"a@b\r\n" + END, None),
    "unclosed comments": (b"From: " + b"(" * 60_000 + b"\r\n" + END, None),
    "short comments": (b"From: " + b"(x)" * 5000 + b"a@b\r\n" + END, None),
    "spaces in From": (b"From: a" + b" " * 16_000 + b"b\r\n" + END, None),
    "groups in From": (b"From: " + b"a:" * 490 + b"\r\n" + END, None),
    "backslashes in From": (b'From: "' + b"\\" * 16_000 + b"\r\n" + END, None),
    "calendar in base64, broken": (mime(REQUEST, b"=A" * MIB, Content_Transfer_Encoding="base64"), None),
    "more uuencode": (
        mime(REQUEST, b"begin 644 x\n" + b"M\n" * 1_900_000, Content_Transfer_Encoding="uue"),
        "too-large",
    ),
    "uuencode": (mime(REQUEST, b"begin 644 x\n" + b"M\n" * 400_000, Content_Transfer_Encoding="uue"), "too-large"),
    "punycode": (mime("text/calendar; charset=punycode", b"\xfc-" * (MIB // 2)), None),
    "nul and CR": (b"\r\0\r\r" + END.replace(b"\r\n", b"\r"), "no-calendar-part"),
    "CR in a part": (multipart("mixed", END, b"\r" * (10 * MIB)), "too-large"),
    "CR": (END.replace(b"\r\n", b"\r"), None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    """No input takes long, and each has its reason."""
    raw, obstacle = HOSTILE[name]
    began = perf_counter()
    mail = read(raw)
    assert perf_counter() - began < SECONDS
    assert mail.obstacle == obstacle


SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent.parent / "sample-mail").rglob("*.eml"))] or [
    multipart("mixed", multipart("alternative", END, boundary="i"), mime("application/ics", CALENDAR))
]


def well_formed(mail: Mail) -> bool:
    """Whether `mail` keeps what its fields promise."""
    parts = all(part.method is None or part.method == part.method.upper() for part in mail.parts)
    address = mail.originator is None or (mail.originator.count("@") == 1 and "\0" not in mail.originator)
    return parts and address and (mail.obstacle is None) == bool(mail.parts) and mail.message_id.isprintable()


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_give_a_mail(raw: bytes) -> None:
    """As they are, as a header, and as a calendar."""
    marked = [raw, b"From: " + raw + b"\r\n" + END, b"Content-Type: text/calendar; " + raw, END + raw]
    assert all(well_formed(read(mail, Limits(part=1000))) for mail in marked)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_mutation_gives_a_mail(draw: st.DataObject) -> None:
    """Cut, doubled, overwritten: a broken sample is still a Mail."""
    raw = draw.draw(st.sampled_from(SAMPLES))
    for _ in range(draw.draw(st.integers(1, 4))):
        start, stop = sorted((draw.draw(st.integers(0, len(raw))), draw.draw(st.integers(0, len(raw)))))
        inserted = draw.draw(st.sampled_from(PIECES) | st.binary(max_size=8)) * draw.draw(st.integers(0, 3))
        raw = raw[:start] + inserted + raw[draw.draw(st.sampled_from([start, start + 1, stop])) :]
    assert well_formed(read(raw))


PIECES = [
    *(b"\r\n\r\n", b"\r", b"\n--b\r\n", b"--", b'"', b";", b"*0*=", b"%", b"=?utf-8?b?A?=", b"(", b"<", b"@", b"\0"),
    *(b"\nFrom: x@y", b"\nContent-Transfer-Encoding: base64", b"\nContent-Transfer-Encoding: x-uuencode\r\n\r\n"),
    *(b"\nContent-Type: multipart/mixed; boundary=b\n\n", b"\nContent-Type: message/rfc822\n\n", b"charset=", b"\xff"),
    *(b"\nDate: ", b"+99999", b"begin 644 x\n"),
]
