"""The cheap look: whether a mail can carry a calendar at all, before anything is parsed.

Most mail carries none, so this decides what the room costs. A mark too many costs a parse, a mark too few
loses an invitation: the list is wide. A calendar in a file whose name is encoded beyond recognition is found
by its first line, as it stands or in base64.

A room of its own: `imipd pipe` looks before it imports anything else.
"""

from binascii import b2a_base64  # base64 would import re for it


def may_carry_calendar(raw: bytes) -> bool:
    """Whether `raw` shows any sign of a calendar part, or of a wrapping that hides one."""
    # Block by block: a copy in lower case of 25 MiB would be 25 MiB more.
    return any(_shows_mark(raw[start : start + _BLOCK].lower()) for start in range(0, len(raw), _BLOCK - _LONGEST))


def _shows_mark(lowered: bytes) -> bool:
    return any(mark in lowered for mark in _MARKS)


def _in_base64(text: bytes) -> list[bytes]:
    """Return what of `text` is recognisable in base64 for each of the three ways it can be aligned."""
    return [
        b2a_base64(b"\0" * skipped + text)[-(-skipped * 8 // 6) : (skipped + len(text)) * 8 // 6]
        for skipped in range(3)
    ]


_MARKS = [
    mark.lower()
    for mark in (
        b"/calendar",
        b"application/ics",
        b"vcalendar",  # text/x-vcalendar, and BEGIN:VCALENDAR itself
        *_in_base64(b"BEGIN:VCALENDAR"),
        b".ics",
        b"=2Eics",  # names in encoded-words (RFC 2047) …
        b"%2Eics",  # … and in extended parameters (RFC 2231 §4),
        b"name*1",  # … which may be cut anywhere (RFC 2231 §3)
        b"ms-tnef",
        b"winmail.dat",
        b"pkcs7-mime",
        b".p7m",
        b"/pgp-encrypted",
    )
]
_LONGEST = max(map(len, _MARKS))
_BLOCK = 2**16
"""Bytes that are looked at together; each block begins with the end of the one before, where a mark may be cut."""
