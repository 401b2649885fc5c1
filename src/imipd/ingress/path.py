"""The path of MAIL and RCPT, read tolerantly (RFC 5321 §4.1.2).

The MTA has already taken this address from a stranger: to refuse it here would bounce his mail over a
calendar. So this reads what stands between the angle brackets and leaves judging to `Serves`.
"""

import re

NULL = "<>"
"""The null reverse-path; aiosmtpd 1.4.6 takes an empty string for "no MAIL yet"."""

_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"'
_PLAIN = r'[^<>"\s\x00-\x1f\x7f]'
_PATH = re.compile(
    r"(?:"
    # A source route must be accepted and should be ignored (RFC 5321 §4.1.2, appendix C).
    rf'<(?:@[^:<>"\s]*:)?(?P<path>(?:{_QUOTED}|{_PLAIN})*)>'
    # Without brackets is wrong, but written by hand often enough.
    rf"|(?P<bare>{_PLAIN}+)"
    r")(?:\s+(?P<parameters>.*))?"
)
_DOT_STRING = re.compile(r'[^\s"(),:;<>@\[\\\].]+(?:\.[^\s"(),:;<>@\[\\\].]+)*')


def read(argument: str) -> tuple[str, str] | None:
    """Return (address, parameters) of what follows ``FROM:`` or ``TO:``; None where it is not a path."""
    found = _PATH.fullmatch(argument.strip())
    if found is None:
        return None
    address = found["bare"] or found["path"]
    return _unquoted(address) or NULL, found["parameters"] or ""


def _unquoted(address: str) -> str:
    """Return the address without needless quotes: both forms are one mailbox (RFC 5321 §4.1.2)."""
    local, at, domain = address.rpartition("@")
    if not (local.startswith('"') and local.endswith('"')):
        return address
    bare = re.sub(r"\\(.)", r"\1", local[1:-1])
    return f"{bare}{at}{domain}" if _DOT_STRING.fullmatch(bare) else address
