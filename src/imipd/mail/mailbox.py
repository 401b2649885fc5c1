"""The address in From, To or Delivered-To (RFC 5322 §3.4), or the statement that it cannot be told.

Authority rests on the address in From, so the rule is: what two readers could read differently is not read at
all. The library has two, and both must find the same one address; a display name never counts. Nobody is asked about
what is so plain that there is one way to read it.
"""

import re
from email import utils
from email.policy import default

from imipd.address import comparable

from .library import readable

LONGEST = 998
"""Characters of a field that are read (RFC 5322 §2.1.1); a longer one is nobody's From."""
_COMMENTS = 20
"""Comments of a field that are read: with CPython 3.11.7, 400 within each other take a quarter of a second."""

_ATOM = r"[^\s@<>()\[\],:;\"\\\x00-\x1f\x7f]+"
_ADDRESS = re.compile(rf"{_ATOM}@(?:{_ATOM}|\[[0-9a-zA-Z.:]+\])")
_PLAIN_ADDRESS = r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_PLAIN_NAME = r"(?:[A-Za-z0-9]+(?: [A-Za-z0-9]+)*|\"[A-Za-z0-9 ,.'-]*\")"
PLAIN = re.compile(rf"({_PLAIN_ADDRESS})|(?:{_PLAIN_NAME} )?<({_PLAIN_ADDRESS})>")
"""Nearly every mailbox: no comment, no escape, no encoded-word. The library takes half a millisecond for it."""
_ENCODED = re.compile(r"=\?[^?\s]+\?[bq]\?[^?\s]*\?=", re.IGNORECASE)
# Debian's Python 3.11.2 and later releases find nothing in "bob@example.net <bob@example.net>" unless told so.
_TOLERANT = {"strict": False} if hasattr(utils, "supports_strict_parsing") else {}
_UNCLOSED = ("end of header", "missing trailing '>'")


def only_address(value: str) -> str | None:
    """Return the comparable address of a field that holds exactly one mailbox, else None."""
    if len(value) > LONGEST or value.count("(") > _COMMENTS or "\0" in value:
        return None
    if plain := PLAIN.fullmatch(value):
        return comparable(plain[1] or plain[2])
    nobody: set[str] = set()
    found = readable(nobody, _as_before, value)
    address = next(iter(found), "")
    if len(found) != 1 or not _ADDRESS.fullmatch(address) or found != readable(nobody, _as_now, value):
        return None
    same = comparable(address)
    return same if same.isascii() == address.isascii() else None  # lower() makes the Kelvin sign a "k"


def _as_before(value: str) -> set[str]:
    """Return the addresses that the reader of RFC 2822 finds; encoded-words are names, whatever they say."""
    return {address for _, address in utils.getaddresses([_ENCODED.sub("name", value)], **_TOLERANT)}


def _as_now(value: str) -> set[str]:
    """Return the addresses that the reader of RFC 5322 finds; none of a group, which stands for several."""
    header = default.header_factory("To", value)
    # CPython 3.11.7 takes what is never closed as if it were, and says so only here.
    if any(unclosed in str(defect) for defect in header.defects for unclosed in _UNCLOSED):
        return set()
    return {address.addr_spec for group in header.groups if group.display_name is None for address in group.addresses}
