"""The parameters of a content line, read and written (RFC 5545 §3.2, RFC 6868)."""

import re

from icalendar.parser import Contentline

Parameters = dict[str, str | list[str]]
"""By their names in upper case; a list where one has several values."""
_WORD = r'[^\s",:;=\\%^\x00-\x1f\x7f]+'
_PLAIN = rf';([A-Za-z0-9-]+)=(?:"([^"\\%^\x00-\x1f\x7f]*)"|({_WORD}(?: {_WORD})*))'
_EACH = re.compile(_PLAIN)
_HEAD = re.compile(rf"[A-Za-z0-9-]+(?:{_PLAIN})*:")
"""Parameters of one value each in which nothing is escaped: nearly all, and there is only one way to read them."""


def split(text: str) -> tuple[Parameters, str]:
    """Return parameters and value of an unfolded line, as icalendar 7.3.0 reads them. Raises whatever that raises."""
    if plain := _HEAD.match(text):
        # The library looks at each letter, several times.
        found = _EACH.findall(plain[0])
        return {name.upper(): quoted or bare for name, quoted, bare in found}, text[plain.end() :]
    _, parameters, value = Contentline(text).raw_parts()
    return dict(parameters), value


def joined(name: str, values: str | list[str]) -> str:
    """Return one parameter as icalendar 7.3.0 writes it, but for what that loses: TZID=UTC, and what is no UTF-8."""
    each = [values] if isinstance(values, str) else values
    return f"{name.upper()}={','.join(_quoted(name.upper(), value) for value in each)}"


def _quoted(name: str, value: str) -> str:
    """RFC 5545 §3.2, RFC 6868 §3.1; clients differ on blanks in a CN that is not quoted."""
    special = r"[,;: ']" if name == "CN" else "[,;:]"
    quote = '"' if re.search(special, value) else ""
    value = re.sub(r"\r\n?|\n", "^n", value.replace("^", "^^").replace('"', "^'"))
    return f"{quote}{value}{quote}"
