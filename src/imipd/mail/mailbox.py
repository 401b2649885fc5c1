"""The address in From, To or Delivered-To (RFC 5322 §3.4), or the statement that it cannot be told.

Authority rests on the address in From, so the rule is: what two readers could read differently is not read at
all. An address stands alone or in one pair of angle brackets; a display name never counts.
"""

import re

from imipd.address import comparable

LONGEST = 2**14
"""Characters of a field that are read; a longer one is nobody's From."""

Token = tuple[str, str]
"""Kind and text: ``quoted`` (without its quotes), ``special``, ``word``, ``encoded`` or ``space``."""

_TOKEN = re.compile(
    r"""(?P<space> \s+ )
    | (?P<encoded> =\?[^?\s]+\?[bq]\?[^?\s]*\?= )    # text, whatever it looks like (RFC 2047 §5)
    | "(?P<quoted> (?:[^"\\]|\\.)* )"
    | (?P<special> [<>@,:;.] )
    | (?P<word> \[[^\[\]\\]*\] | [^\s()<>@,:;."\[\]\\]+ )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_ATOM = r"[^\s@<>()\[\],:;\"\\\x00-\x1f\x7f]+"
_ADDRESS = re.compile(rf"{_ATOM}@(?:{_ATOM}|\[[0-9a-zA-Z.:]+\])")


def only_address(value: str) -> str | None:
    """Return the comparable address of a field that holds exactly one mailbox, else None."""
    if len(value) > LONGEST or "\0" in value:
        return None
    try:
        address = _mailbox(_tokens(value))
    except ValueError:
        return None
    same = comparable(address)
    return same if same.isascii() == address.isascii() else None  # lower() makes the Kelvin sign a "k"


def _tokens(value: str) -> list[Token]:
    """Return the tokens of `value`, a comment as space; raise ValueError at what is none."""
    tokens: list[Token] = []
    position = 0
    while position < len(value):
        if value[position] == "(":
            position = _after_comment(value, position)
            tokens.append(("space", " "))
            continue
        found = _TOKEN.match(value, position)
        if not found or not found.lastgroup:
            raise ValueError(value)
        tokens.append((found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return tokens


def _after_comment(value: str, position: int) -> int:
    """Return where the comment that begins at `position` is over; comments nest (RFC 5322 §3.2.2)."""
    depth = 0
    for mark in re.compile(r"\\.|[()]", re.DOTALL).finditer(value, position):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    raise ValueError(value)


def _mailbox(tokens: list[Token]) -> str:
    """Return the address of the one mailbox; raise ValueError for none, a group, a list or a riddle."""
    if ("special", "<") not in tokens:
        return _address(tokens)
    opening = tokens.index(("special", "<"))
    closing = tokens.index(("special", ">"))
    name, within, after = tokens[:opening], tokens[opening + 1 : closing], tokens[closing + 1 :]
    address = _address(_without_route(within))
    if any(kind != "space" for kind, _ in after):
        raise ValueError(after)
    # An address before the brackets is a second one, unless it repeats the first, as Exchange does.
    if any(kind == "special" and text != "." for kind, text in name) and _address(name) != address:
        raise ValueError(name)
    return address


def _without_route(tokens: list[Token]) -> list[Token]:
    """Return the tokens after an obsolete route, ``@a,@b:`` (RFC 5322 §4.4)."""
    begins = [token for token in tokens if token[0] != "space"][:1] == [("special", "@")]
    return tokens[tokens.index(("special", ":")) + 1 :] if begins else tokens


def _address(tokens: list[Token]) -> str:
    """Return ``local@domain``, a quoted local part without its quotes; raise ValueError if it is not one."""
    if any(kind == "encoded" or (kind == "quoted" and not re.fullmatch(_ATOM, text)) for kind, text in tokens):
        raise ValueError(tokens)
    # Words stand apart, so that two in a row are none; spaces of their own would cost quadratic time below.
    words = [f" {text} " if kind in ("word", "quoted") else text.strip() for kind, text in tokens]
    joined = re.sub(r"\s*([.@])\s*", r"\1", "".join(words)).strip()
    if not _ADDRESS.fullmatch(joined):
        raise ValueError(joined)
    return joined
