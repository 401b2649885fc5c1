"""An answer as it goes over the wire (RFC 5321 §4.2, RFC 2034)."""

import re

from imipd.envelope import Status

# RFC 2034 §4: every 2xx, 4xx and 5xx has an enhanced code; aiosmtpd 1.4.6 gives most of its refusals none.
_ENHANCED = {"500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "555": "5.5.4"}
_BARE_REFUSAL = re.compile(r"(5\d\d) (?!5\.\d+\.\d+ )")


def enhanced(answer: str) -> str:
    """Return an answer of aiosmtpd's, a refusal with its enhanced code."""
    bare = _BARE_REFUSAL.match(answer)
    return f"{bare[1]} {_ENHANCED.get(bare[1], '5.5.0')} {answer[4:]}" if bare else answer


def line(status: Status) -> str:
    """Return a status as one line of ASCII, at most 510 bytes (RFC 5321 §4.5.3.1.5)."""
    return " ".join(str(status).split()).encode("ascii", "replace")[:510].decode()
