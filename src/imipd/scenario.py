"""A decision as text: what `imipd explain` prints and what tests/scenarios hold (docs/architecture.md, "Scenarios").

Sections in their order: what it is and why, ``== context``, ``== stored``, ``== mail``, ``== decision``,
``== changes``. Changes are unfolded content lines, so whatever is not named did not move.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imipd import itip
from imipd.itip import Component, Decision

SECTIONS = ("context", "stored", "mail", "decision", "changes")
_ACTS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What acts on a terminal instead of being shown: control characters, and marks that turn the direction of writing."""
_HEADING = re.compile(r"^== (\w+)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file of tests/scenarios, taken apart."""

    title: str
    context: tuple[tuple[str, str], ...]
    stored: str
    mail: str
    decision: tuple[str, ...]
    """One ``outcome: reason`` for each message, each followed by the rows of its detail, ``# …``, where it is given."""
    changes: tuple[str, ...]


def parse(text: str) -> Scenario:
    """Return the scenario in `text`; raise ValueError where a section is unknown or out of order."""
    title, *pieces = _HEADING.split(text)
    names, bodies = pieces[::2], [body.strip("\n") for body in pieces[1::2]]
    if [name for name in SECTIONS if name in names] != names:
        raise ValueError(f"sections {names} are not {', '.join(SECTIONS)} in this order")
    found = dict(zip(names, bodies, strict=True))
    pairs = (line.partition(":") for line in found.get("context", "").splitlines() if line.strip())
    return Scenario(
        title.strip(),
        tuple((key.strip(), value.strip()) for key, _, value in pairs),
        found.get("stored", ""),
        found.get("mail", ""),
        tuple(_rows(found.get("decision", ""))),
        tuple(_rows(found.get("changes", ""))),
    )


def _rows(body: str) -> Iterator[str]:
    return (row.rstrip() for row in body.splitlines() if row.strip())


def decision_row(decision: Decision) -> str:
    """Return the decision as a scenario names it."""
    return f"{decision.outcome}: {decision.reason}"


def decision_rows(decision: Decision) -> tuple[str, ...]:
    """Return the decision with its detail."""
    rows = (printable(row) for row in decision.detail.splitlines() if row.strip())
    return decision_row(decision), *(f"# {row}".rstrip() for row in rows)


def rendered(decided: Sequence[tuple[Decision, tuple[str, ...]]]) -> str:
    """Return the sections ``decision`` and ``changes``."""
    rows = [row for decision, _ in decided for row in decision_rows(decision)]
    return "\n".join(["== decision", *rows, "== changes", *(row for _, changed in decided for row in changed)])


def changes(before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    """Return what a write changes: for each component its label, then its lines that go (-) and come (+)."""
    old, new = _components(before), _components(after)
    rows: list[str] = []
    for label in dict.fromkeys([*old, *new]):
        for was, is_now in _paired(old.get(label, []), new.get(label, [])):
            lines = _differences(was, is_now)
            rows += [f"@ {label}", *lines] if lines else []
    return tuple(rows)


def _components(body: bytes | None) -> dict[str, list[tuple[str, ...]]]:
    """Return the lines of each component by its label."""
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    if body is not None:
        held = itip.read(body)
        labels = {id(item.component): item.label for item in held.instances}
        _collect(held.calendar, held.calendar.name, labels, found)
    return found


def _collect(part: Component, label: str, labels: dict[int, str], found: dict[str, list[tuple[str, ...]]]) -> None:
    found[label].append(tuple(printable(line.text) for line in part.lines))
    for inner in part.components:
        name = inner.name if part.name == "VCALENDAR" else f"{part.name}/{inner.name}"
        suffix = labels.get(id(inner)) or _zone(inner) or label.removeprefix(part.name).strip()
        _collect(inner, f"{name} {suffix}".strip(), labels, found)


def _zone(part: Component) -> str:
    named = part.all("TZID") if part.name == "VTIMEZONE" else ()
    return named[0].value if named else ""


def printable(text: str) -> str:
    r"""Return the text with ``\u001b`` for each character that acts on a terminal."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


Lines = tuple[str, ...]


def _paired(old: list[Lines], new: list[Lines]) -> list[tuple[Lines, Lines]]:
    """Pair the components of one label: equal ones first, then in their order."""
    left, right = list(old), list(new)
    for lines in old:
        if lines in right:
            left.remove(lines)
            right.remove(lines)
    length = max(len(left), len(right))
    padded = [side + [()] * (length - len(side)) for side in (left, right)]
    return list(zip(*padded, strict=True))


def _differences(old: Lines, new: Lines) -> list[str]:
    """Return lines that go, each followed by those of its name that come, then what else comes."""
    gone, come = _without(old, new), _without(new, old)
    rows: list[str] = []
    for index, line in enumerate(gone):
        rows.append(f"-{line}")
        if _name(line) not in map(_name, gone[index + 1 :]):
            rows += [f"+{other}" for other in come if _name(other) == _name(line)]
    names = set(map(_name, gone))
    return rows + [f"+{line}" for line in come if _name(line) not in names]


def _without(lines: Lines, others: Lines) -> list[str]:
    rest = list(others)
    kept = []
    for line in lines:
        if line in rest:
            rest.remove(line)
        else:
            kept.append(line)
    return kept


def _name(line: str) -> str:
    return re.split("[;:]", line, maxsplit=1)[0].upper()
