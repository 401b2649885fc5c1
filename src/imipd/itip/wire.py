"""What did not change stays as it was on the wire: its bytes, its foldings, its place (rule S3)."""

from collections import Counter

from .lines import Component, Line


def settled(old: Component, new: Component) -> Component:
    """Return `new` with every line that equals one of `old` in the bytes and the place that it has there.

    A changed line takes the place of the old one of its name; what is new follows the last line or component.
    """
    equal, changed = _sorted_out(old, new)
    parts = list(new.components)
    content: list[Line | Component] = []
    for item in old.content:
        if isinstance(item, Component):
            match = next((part for part in parts if _identity(part) == _identity(item)), None)
            if match is not None:
                parts.remove(match)
                content.append(settled(item, match))
        elif equal[item.key]:
            equal[item.key] -= 1
            content.append(item)
        else:
            content += _taken(changed, item.name)
    return _zones_first(old.with_content(content).append([*changed, *parts]), parts)


def _zones_first(calendar: Component, new: list[Component]) -> Component:
    """Put new VTIMEZONEs before what refers to them: not every client reads them in any order."""
    added = [part for part in new if part.name == "VTIMEZONE"]
    if not added:
        return calendar
    rest = [item for item in calendar.content if not any(item is part for part in added)]
    place = next((index for index, item in enumerate(rest) if isinstance(item, Component)), len(rest))
    return calendar.with_content([*rest[:place], *added, *rest[place:]])


def _sorted_out(old: Component, new: Component) -> tuple[Counter[object], list[Line]]:
    """Return how often each line of `old` stands in `new` too, and the lines of `new` that do not stand in `old`."""
    held = Counter(line.key for line in old.lines)
    wanted = Counter(line.key for line in new.lines)
    equal: Counter[object] = Counter({key: min(count, held[key]) for key, count in wanted.items()})
    seen, changed = Counter[object](), []
    for line in new.lines:
        seen[line.key] += 1
        if seen[line.key] > equal[line.key]:
            changed.append(line)
    return equal, changed


def _taken(lines: list[Line], name: str) -> list[Line]:
    """Take the first line of this name out of `lines`."""
    for line in lines:
        if line.name == name:
            lines.remove(line)
            return [line]
    return []


def _identity(part: Component) -> tuple[object, ...]:
    named = [line.key for line in part.lines if line.name in ("UID", "RECURRENCE-ID", "TZID")]
    return part.name, *sorted(named, key=str)
