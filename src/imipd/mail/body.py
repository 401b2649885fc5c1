"""A calendar part's body: transfer-decoded (RFC 2045 §6), then brought to UTF-8 (rules.md G7)."""

from email.message import Message

from .charset import utf8
from .limits import Limits, TooLargeError

_WORST = 4
"""No transfer encoding takes more than this many bytes for one, soft line breaks included."""


def calendar_body(body: bytes, encoding: str, charset: str, limits: Limits) -> bytes:
    """Return the calendar as UTF-8; raise TooLargeError beyond ``limits.part``."""
    plain = body if len(body) > _WORST * limits.part else transfer_decoded(body, encoding)
    if len(plain) > limits.part:
        raise TooLargeError(f"a calendar part of more than {limits.part} bytes")
    return utf8(plain, charset)


def transfer_decoded(body: bytes, encoding: str) -> bytes:
    """Return what was encoded; broken or unknown encodings give what can be read, never an error."""
    if encoding not in ("base64", "quoted-printable", "x-uuencode", "uuencode", "uue", "x-uue"):
        return body
    part = Message()
    part["Content-Transfer-Encoding"] = encoding
    part.set_payload(body.decode("ascii", "surrogateescape"))
    try:
        decoded = part.get_payload(decode=True)
    except ValueError:  # a broken uuencoded line, with a Python before its own decoder for them
        return body
    return decoded if isinstance(decoded, bytes) else body
