"""A calendar's bytes: transfer encodings and charsets (rules.md G7)."""

import codecs
import encodings
from base64 import b64encode, encodebytes
from binascii import b2a_qp, b2a_uu

import pytest

from imipd.mail import Limits, read
from mails import CALENDAR, mime

UMLAUT = "BEGIN:VCALENDAR\r\nSUMMARY:Größe – Übung\r\nEND:VCALENDAR\r\n"
LATIN = UMLAUT.replace("–", "-")
FOLDED = "SUMMARY:Größe".encode().replace("ö".encode(), b"\xc3\r\n \xb6")


def body(raw: bytes, charset: str = "", encoding: str = "8bit") -> bytes:
    """Return the body that is read from a part with these bytes."""
    declared = f'text/calendar; charset="{charset}"' if charset else "text/calendar"
    return read(mime(declared, raw, Content_Transfer_Encoding=encoding)).parts[0].body


def uu(raw: bytes) -> bytes:
    """Return `raw` uuencoded."""
    lines = [b2a_uu(raw[at : at + 45]) for at in range(0, len(raw), 45)]
    return b"begin 644 invite.ics\n" + b"".join(lines) + b"`\nend\n"


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("7bit", CALENDAR),
        ("binary", CALENDAR),
        ("", CALENDAR),
        ("x-unknown", CALENDAR),
        ("base64", encodebytes(CALENDAR)),
        ("BASE64 (a comment)", b64encode(CALENDAR)),
        ("\r\n\tbase64 ", b64encode(CALENDAR)),
        ("base64", b64encode(CALENDAR).rstrip(b"=")),
        ("base64", b" !" + b64encode(CALENDAR) + b"\r\n_____\r\nA list's footer"),
        ("Quoted-Printable", b2a_qp(CALENDAR, istext=False)),
        ("x-uuencode", uu(CALENDAR)),
    ],
)
def test_transfer_encodings(encoding: str, encoded: bytes) -> None:
    """The calendar is decoded; what is not encoded stays."""
    assert body(encoded, encoding=encoding) == CALENDAR


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode", "uue"])
@pytest.mark.parametrize(
    "broken",
    [b"", b"=", b"=Z", b"A", b"AA=A", b"\xff\xfe", b"begin 644 x\n\xff", b"begin 644 x\n#~~~~\nend\n"],
)
def test_broken_transfer_encodings(encoding: str, broken: bytes) -> None:
    """They give something, not an error."""
    assert isinstance(body(broken, encoding=encoding), bytes)


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (UMLAUT.encode(), "utf-8", UMLAUT),
        (UMLAUT.encode(), "", UMLAUT),
        (UMLAUT.encode(), "iso-8859-1", UMLAUT),  # UTF-8 if valid, whatever is declared
        (codecs.BOM_UTF8 + UMLAUT.encode(), "utf-8", UMLAUT),
        (UMLAUT.encode("utf-16"), "utf-16", UMLAUT),
        (UMLAUT.encode("utf-16"), "utf-8", UMLAUT),
        (UMLAUT.encode("utf-16-le"), "utf-16-le", UMLAUT),
        ("SUMMARY:x".encode("utf-16-be"), "UTF-16BE", "SUMMARY:x"),
        (codecs.BOM_UTF16_BE + UMLAUT.encode("utf-16-be"), "", UMLAUT),
        (UMLAUT.encode("cp1252"), "Windows-1252", UMLAUT),
        (LATIN.encode("latin-1"), "iso-8859-1", LATIN),
        (LATIN.encode("latin-1"), "", LATIN),
        (LATIN.encode("latin-1"), "utf-8", LATIN),
        (LATIN.encode("latin-1"), "us-ascii", LATIN),
        (LATIN.encode("latin-1"), "iso-4444-5", LATIN),
        ("SUMMARY:会議".encode("iso-2022-jp"), "ISO-2022-JP", "SUMMARY:会議"),
        ("SUMMARY:会議".encode("shift_jis"), "Shift_JIS", "SUMMARY:会議"),
        ("SUMMARY:встреча".encode("koi8-r"), "koi8-r", "SUMMARY:встреча"),
    ],
)
def test_charsets(raw: bytes, charset: str, text: str) -> None:
    """UTF-8 if valid, else as declared, else Latin-1."""
    assert body(raw, charset).decode() == text


def test_a_fold_within_a_character() -> None:
    """Validity is judged unfolded, and the bytes stay as they are (RFC 5545 §3.1)."""
    assert body(FOLDED, "iso-8859-1") == FOLDED
    assert body(FOLDED.replace(b"\r\n ", b"\n\t")) == FOLDED.replace(b"\r\n ", b"\n\t")


@pytest.mark.parametrize(
    "charset",
    [
        *("../../x", "unknown-8bit", "rot13", "zip", "zlib", "bz2", "hex", "base64", "uu", "idna", "punycode"),
        *("undefined", "unicode_escape", "raw_unicode_escape", "utf-7", "mbcs", "utf-8\0x", "x", "latin-nonsense"),
    ],
)
def test_what_is_no_charset(charset: str) -> None:
    """A codec that is none, or unpacks, or is slow, is never used: Latin-1 then."""
    assert body(LATIN.encode("latin-1"), charset).decode() == LATIN


def test_names_of_strangers_are_not_kept() -> None:
    """The library remembers every charset that it did not find, so it is asked for none that it does not have."""
    known = len(encodings._cache)
    name = "Content-Type: text/plain; name*=x-of-a-stranger''a.ics; x=\"=?x-another?q?x?=\"\r\n\r\n"
    assert read(name.encode() + LATIN.encode("latin-1")).parts
    assert body(LATIN.encode("latin-1"), "x-yet-another").decode() == LATIN
    assert len(encodings._cache) == known


def test_no_escapes_are_resolved() -> None:
    """Python's own escapes are no charset of a mail."""
    assert body(b"SUMMARY:\\u0041\xfc", "unicode_escape").decode() == "SUMMARY:\\u0041\xfc"


def test_a_charset_that_does_not_fit() -> None:
    """Half a UTF-16 character and NUL are Latin-1 as well: the calendar is malformed, not the mail."""
    assert body(b"\xff\xfeB\0E\0G").decode() == "ÿþB\0E\0G"
    assert body(b"BEGIN\0:\xff", "utf-8") == b"BEGIN\0:\xc3\xbf"


def test_the_limit_is_on_the_decoded_part() -> None:
    """Quoted-printable may take three times the bytes."""
    encoded = "".join(f"={byte:02X}" for byte in CALENDAR).encode()
    raw = mime("text/calendar", encoded, Content_Transfer_Encoding="quoted-printable")
    assert read(raw, Limits(part=len(CALENDAR))).parts[0].body == CALENDAR
    assert read(raw, Limits(part=len(CALENDAR) - 1)).obstacle == "too-large"
