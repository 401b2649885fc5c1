"""Mails for tests, built from what matters in the test."""

from imipd.mail import Mail, read

CALENDAR = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
REQUEST = "text/calendar; method=REQUEST; charset=UTF-8"


def mime(content_type: str, body: bytes = CALENDAR, **fields: str) -> bytes:
    """Return a MIME part, or with From a mail; underscores in field names stand for hyphens."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    head = "\r\n".join([*lines, f"Content-Type: {content_type}"])
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def multipart(kind: str, *parts: bytes, boundary: str = "b", **fields: str) -> bytes:
    """Return a multipart of `parts`."""
    line = b"\r\n--" + boundary.encode()
    body = b"".join(line + b"\r\n" + part for part in parts) + line + b"--\r\n"
    return mime(f"multipart/{kind}; boundary={boundary}", body, **fields)


def header(*fields: str | bytes) -> Mail:
    """Return the mail that has these header fields and one calendar as its body."""
    lines = [field if isinstance(field, bytes) else field.encode() for field in fields]
    return read(b"\r\n".join([*lines, b"Content-Type: text/calendar", b"", CALENDAR]))


def row(mail: Mail) -> dict[str, str]:
    """Return what the recorded tables say of a mail."""
    return {
        "parts": str(len(mail.parts)),
        "types": ",".join(part.content_type for part in mail.parts),
        "methods": ",".join(part.method or "-" for part in mail.parts),
        "originator": mail.originator or "-",
        "obstacle": mail.obstacle or "-",
    }
