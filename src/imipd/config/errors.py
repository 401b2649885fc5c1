"""What is wrong with a configuration, as values: where, what, and what to write instead.

A problem never holds a secret: values are quoted by `shown`, and never those of a key that holds one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

Location = tuple[str | int, ...]
"""Where a key stands in the document: ``("account", 0, "policy", "sender")``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of the operator, and what to write in its place."""

    key: str
    """``caldav.url``, ``account[alice@example.org].user``, ``[lmtp]``; empty for the file as a whole."""
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


class ConfigError(Exception):
    """The configuration cannot be used; the text is for the operator and lists every problem."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{file}: {count} problem{'' if count == 1 else 's'}", *(f"  {one}" for one in self.problems)]
        super().__init__("\n".join(lines))


def shown(value: object) -> str:
    """Return a value of the document as the operator wrote it, on one line and not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= 80 else f"{printable[:77]}..."
