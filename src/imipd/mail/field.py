"""compat32, whose laziness costs nothing for fields that nobody asks for, save that a field is read as text."""

import re
from email.policy import Compat32

from .charset import decoded

LONGEST = 2**11
"""Characters of a field that are read."""
RESULTS, LONGEST_RESULTS = "authentication-results", 2**13
"""A border that checks several signatures says much."""
_PARAMETERS = 100
"""Parameters of a field that are read: with CPython 3.11.7, 60 KB of them take a second."""
_LINE_END = re.compile(r"[\r\n]")
_COMMENT = re.compile(r"[ \t]\([^()\"]*\)[ \t]*(?=;|$)")


class TextPolicy(Compat32):
    """A field's value is one line of text, and cut where it is too long."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """Return the value unfolded, 8-bit text decoded (RFC 6532); NUL, which nobody may send, ends a cut one.

        The comments of MIME fields go, since compat32 takes them for a part of the value (RFC 2045 §5.1).
        """
        longest = LONGEST_RESULTS if name.lower() == RESULTS else LONGEST
        whole = value if len(value) <= longest else value[:longest] + "\0"
        text = _LINE_END.sub("", decoded(whole.encode("ascii", "surrogateescape"))).strip()
        if not name.lower().startswith("content-"):
            return text
        return _COMMENT.sub("", ";".join(text.split(";", _PARAMETERS)[:_PARAMETERS]))
