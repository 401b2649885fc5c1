"""Which parts of a mail are calendars, and why there may be none (rules.md G1, G3, G5)."""

from base64 import encodebytes

import pytest

from imipd.look import may_carry_calendar
from imipd.mail import Limits, Part, read
from mails import CALENDAR, REQUEST, mime, multipart

TEXT = mime("text/plain", b"See you there.\r\n")


def test_a_calendar_may_be_the_whole_mail() -> None:
    """RFC 6047 §2.4: the body of the mail itself is text/calendar."""
    assert read(mime(REQUEST)).parts == (Part("text/calendar", "REQUEST", CALENDAR),)


def test_parts_keep_the_order_of_the_mail() -> None:
    """Which of several counts is not decided here."""
    other = CALENDAR.replace(b"REQUEST", b"CANCEL")
    mail = read(
        multipart(
            "mixed",
            multipart("alternative", TEXT, mime(REQUEST), boundary="inner"),
            mime('application/ics; name="invite.ics"', other),
        )
    )
    assert mail.obstacle is None
    assert [(part.content_type, part.method) for part in mail.parts] == [
        ("text/calendar", "REQUEST"),
        ("application/ics", None),
    ]
    # The line end before a boundary is the boundary's (RFC 2046 §5.1.1).
    assert [part.body for part in mail.parts] == [CALENDAR, other]


@pytest.mark.parametrize(
    "content_type",
    [
        "TeXt/CaLeNdAr",
        "text/calendar (a comment); x=y",
        "text/calendar;\r\n\tcharset=utf-8",
        "\r\n text/calendar",
        "application/ics",
        "text/x-vcalendar",
        'application/octet-stream; name="Invite.ICS"',
        "text/plain; name=invite.ics",
        "text/plain; name*=UTF-8''invite%2Eics",
        'text/plain; name*0="invite.i"; name*1="cs"',
        "text/plain; name*1*=e%2eics; name*0*=utf-8'en'Einladung%20n%C3%A4chst",
        'text/plain; name="=?utf-8?B?RWlubGFkdW5nLmljcw==?="',
        'text/plain; name="=?utf-8?Q?Einladung_f=C3=BCr=2Eics?="',
        'calendar; name="invite.ics"',
    ],
)
def test_calendar_types(content_type: str) -> None:
    """G5: by type, or by the name of a file."""
    assert [part.body for part in read(multipart("mixed", TEXT, mime(content_type))).parts] == [CALENDAR]
    assert may_carry_calendar(mime(content_type, b"")) or "?B?" in content_type


@pytest.mark.parametrize(
    "content_type", ["text/html; name=invite.ics", "image/png", "text/plain", "text/plain; name=notics", "multipart/x"]
)
def test_other_types(content_type: str) -> None:
    """G5: a calendar in any other wrapping is none."""
    assert read(multipart("mixed", mime(content_type))).obstacle == "no-calendar-part"


def test_a_name_in_the_disposition() -> None:
    """The name may stand in Content-Disposition alone, and the type may be missing altogether."""
    octets = mime("application/octet-stream", Content_Disposition="attachment; filename=invite.ics")
    untyped = b"Content-Disposition: attachment; filename=invite.ics\r\n\r\n" + CALENDAR
    mail = read(multipart("mixed", octets, untyped))
    assert [part.content_type for part in mail.parts] == ["application/octet-stream", "text/plain"]


@pytest.mark.parametrize(
    ("parameter", "method"),
    [
        ("method=request", "REQUEST"),
        ('METHOD="Reply"', "REPLY"),
        ("method*=us-ascii'en'C%41NCEL", "CANCEL"),
        ("method*0=COUN; method*1=TER", "COUNTER"),
        ("method*=utf-8''ADD; method*0=REPLY", None),
        ("method*=unknown-8bit''ADD", "ADD"),
        ("method*=us-ascii", "US-ASCII"),
        ("method=REQUEST (a comment); x=y", "REQUEST"),
        ('x="a;method=REPLY"; method=ADD', "ADD"),
        ("method=ADD; method=REPLY", "ADD"),
        ("x=y; " * 98 + "method=ADD", "ADD"),
        ("x=y; " * 99 + "method=ADD", None),
        ('method=""', None),
        ("charset=utf-8", None),
    ],
)
def test_method_parameter(parameter: str, method: str | None) -> None:
    """Upper case, quoted or extended (RFC 2231); None where there is none."""
    assert read(mime(f"text/calendar; {parameter}")).parts[0].method == method


def test_content_type_given_twice() -> None:
    """The first counts, as with other readers."""
    assert read(b"Content-Type: text/plain\r\n" + mime(REQUEST)).obstacle == "no-calendar-part"
    assert read(b"Content-Type: text/calendar\r\n" + mime("text/plain")).parts[0].method is None


def test_plain_mail() -> None:
    """What shows no sign of a calendar is not parsed."""
    assert read(TEXT).obstacle == "no-calendar-part"
    assert not may_carry_calendar(multipart("mixed", TEXT, mime("image/png", b"x")))


@pytest.mark.parametrize("before", ["", "\r\n", "\ufeff"])
def test_a_calendar_in_base64_is_seen(before: str) -> None:
    """The cheap look knows the first line of a calendar in base64, however it is aligned."""
    assert may_carry_calendar(encodebytes(before.encode() + CALENDAR))


CALENDAR_MAIL = multipart("mixed", TEXT, mime(REQUEST), boundary="inner", From="bob@example.net")


@pytest.mark.parametrize(
    ("obstacle", "mail"),
    [
        ("forwarded-as-attachment", multipart("mixed", TEXT, mime("message/rfc822", CALENDAR_MAIL))),
        ("forwarded-as-attachment", multipart("digest", b"\r\n" + CALENDAR_MAIL)),
        ("forwarded-as-attachment", mime("message/rfc822", mime(REQUEST))),
        ("forwarded-as-attachment", multipart("mixed", mime("message/rfc822", mime("application/ms-tnef", b"x")))),
        ("no-calendar-part", multipart("mixed", mime("message/rfc822", mime("text/plain", b"calendar.ics")))),
        ("forwarded-as-attachment", mime("message/partial; number=1", mime(REQUEST))),
        ("bounce", multipart("report", TEXT, mime("message/rfc822", CALENDAR_MAIL))),
        ("bounce", multipart("report", mime("message/delivery-status", b"X: y\r\n\r\n" * 300), mime(REQUEST))),
        ("forwarded-as-attachment", mime("message/rfc822", multipart("report", mime(REQUEST)))),
        ("bounce", multipart("report", TEXT, mime(REQUEST))),
        ("bounce", multipart("report", mime("message/rfc822", CALENDAR_MAIL))),
        ("encrypted", mime("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", b"x")),
        ("encrypted", mime("application/x-pkcs7-mime; smime-type=signed-data", b"x")),
        ("encrypted", mime("application/octet-stream; name=smime.p7m", b"x")),
        ("encrypted", multipart("encrypted", mime("application/pgp-encrypted", b"x"), mime("a/b", b"x"))),
        ("no-calendar-part", mime("application/pkcs7-mime; smime-type=certs-only", b"x")),
        ("tnef", multipart("mixed", TEXT, mime("application/ms-tnef", b"x"))),
        ("tnef", multipart("mixed", TEXT, mime('application/octet-stream; name="WINMAIL.DAT"', b"x"))),
    ],
)
def test_obstacles(obstacle: str, mail: bytes) -> None:
    """G1, G3: why there is nothing to process."""
    found = read(mail)
    assert (found.obstacle, found.parts) == (obstacle, ())


@pytest.mark.parametrize(
    "mail",
    [
        multipart("signed", mime(REQUEST), mime("application/pkcs7-signature; name=smime.p7s", b"x")),
        multipart("mixed", mime("message/rfc822", CALENDAR_MAIL), mime(REQUEST)),
        multipart("mixed", mime(REQUEST), mime("application/ms-tnef; name=winmail.dat", b"x")),
        mime(REQUEST, Auto_Submitted="auto-generated", Precedence="bulk", List_Id="<x.example.org>"),
        multipart("mixed", multipart("alternative", mime(REQUEST), boundary="a b")),
        multipart("digest", *[mime("message/rfc822", TEXT)] * 150, mime(REQUEST)),
        multipart("mixed", multipart("alternative", mime(REQUEST), boundary="a b"), boundary="Boundary_(ID_1)"),
    ],
)
def test_no_obstacle(mail: bytes) -> None:
    """A signature, an attached mail beside the calendar, or an automatic mail stops nothing (G8)."""
    assert [part.body for part in read(mail).parts] == [CALENDAR]


def test_only_the_outer_calendar_counts() -> None:
    """A calendar inside an attached mail is not a part, nor is what follows it lost."""
    inner = mime(REQUEST, CALENDAR.replace(b"REQUEST", b"CANCEL"))
    mail = read(multipart("mixed", mime("message/rfc822", inner), mime(REQUEST), TEXT))
    assert [part.body for part in mail.parts] == [CALENDAR]


def test_unclosed_multiparts() -> None:
    """An outer boundary ends the inner multipart; the end of the mail ends all, as if it were a boundary."""
    inner = multipart("alternative", mime(REQUEST), boundary="inner").partition(b"\r\n--inner--")[0]
    mail = multipart("mixed", inner, mime(REQUEST)).partition(b"\r\n--b--")[0]
    assert [part.body for part in read(mail).parts] == [CALENDAR, CALENDAR.removesuffix(b"\r\n")]


def test_parts_without_an_empty_line() -> None:
    """A cut header does not take the next part's fields."""
    mail = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nContent-Type: text/calendar\n\n"
        + CALENDAR
        + b"\n--b--"
    )
    assert [part.body for part in read(mail).parts] == [CALENDAR]
    assert [part.body for part in read(mail.replace(b"--b\n--b", b"--b\nX: y\n--b")).parts] == [CALENDAR]


def test_boundaries() -> None:
    """Space after a boundary is allowed, a longer line is not one, an epilogue is no part."""
    mail = multipart("mixed", mime(REQUEST, b"--bc\r\n--b c\r\n")).replace(b"--b\r\n", b"--b \t\r\n")
    assert [part.body for part in read(mail + b"--b\r\n" + mime(REQUEST)).parts] == [b"--bc\r\n--b c\r\n"]
    assert read(b"Content-Type: multipart/mixed\r\n\r\n--\r\n" + mime(REQUEST)).obstacle == "no-calendar-part"


@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        (Limits(mail=50), "a mail of more than 50 bytes"),
        (Limits(part=60), "a calendar part of more than 60 bytes"),
        (Limits(part=10), "a calendar part of more than 10 bytes"),
        (Limits(mime_parts=2), "more than 2 MIME parts"),
        (Limits(mime_depth=1), "MIME parts more than 1 deep"),
    ],
)
def test_limits(limits: Limits, detail: str) -> None:
    """G9: beyond a limit there are no parts, but the header is read."""
    raw = multipart("mixed", multipart("alternative", mime(REQUEST), boundary="i"), From="bob@example.net")
    mail = read(raw, limits)
    assert (mail.obstacle, mail.detail, mail.parts) == ("too-large", detail, ())
    assert mail.originator == "bob@example.net"
    assert read(raw, Limits(len(raw), len(CALENDAR), 3, 2)).obstacle is None
