"""What did not change stays as it was on the wire: its bytes, its foldings, its place (rule S3)."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from .lines import Component, Line

Item = TypeVar("Item", Line, Component)

PARTIES = ("ORGANIZER", "ATTENDEE")
_SERVERS = frozenset({"SCHEDULE-STATUS", "SCHEDULE-AGENT", "RSVP", "CN"})
"""DAViCal 1.1 writes a SCHEDULE-STATUS for everybody at each PUT; SOGo 5.8 names a nameless ORGANIZER by his address,
takes RSVP from the Attendee whose calendar it is, and gives it back to others."""


def settled(old: Component, new: Component) -> Component:
    """Return `new` with every line that equals one of `old` in the bytes and the place that it has there.

    A changed line takes the place of the old one of its name; what is new follows the last line or component.
    """
    if new is old:
        return old
    equal, changed = _sorted_out(old, new)
    lines, parts = Waiting(changed, lambda line: line.name), Waiting(new.components, _identity)
    content: list[Line | Component] = []
    for item in old.content:
        if isinstance(item, Component):
            content += [settled(item, match) for match in parts.take(_identity(item))]
        elif equal[item.key]:
            equal[item.key] -= 1
            content.append(item)
        else:
            content += lines.take(item.name)
    return _zones_first(old.with_content(content).append([*lines.left(), *parts.left()]), parts.left())


def same(one: Component, other: Component) -> bool:
    """Return whether two calendars say the same, whatever a server does to them when it stores them.

    Bytes, foldings, needless escapes and the order of lines do not count, nor does what only servers write.
    """
    return _said(one) == _said(other)


def _said(part: Component) -> tuple[object, ...]:
    lines, inner = Counter(map(_by_people, part.lines)), Counter(map(_said, part.components))
    return part.name, frozenset(lines.items()), frozenset(inner.items())


def _by_people(line: Line) -> tuple[object, ...]:
    """Return what makes a line, without SCHEDULE-STATUS: clients must not write it (RFC 6638 §7.3), DAViCal does."""
    name, parameters, value = line.key
    return name, frozenset(each for each in parameters if each[0] != "SCHEDULE-STATUS"), value


def says_the_same(old: Component, new: Component) -> bool:
    """Return whether `new` says what `old` says, apart from what its server has made of the lines of parties.

    Without that, a message that comes again would be written again for ever, and the server would change it back.
    """
    return _leaves_nothing(old, _as_held(old, new))


def _leaves_nothing(old: Component, new: Component) -> bool:
    """Return whether `settled` has nothing to write: each of the two has every line and component of the other."""
    if new is old:
        return True
    if Counter(line.key for line in old.lines) != Counter(line.key for line in new.lines):
        return False
    parts = Waiting(new.components, _identity)
    pairs = [(part, parts.take(_identity(part))) for part in old.components]
    return not parts.left() and all(match and _leaves_nothing(part, match[0]) for part, match in pairs)


def _as_held(old: Component, new: Component) -> Component:
    """Return `new` with each line of a party as it stands in `old`, where only the server's own part differs."""
    if new is old:
        return new
    held = {(line.name, line.value): line for line in old.lines if line.name in PARTIES and line.is_readable}
    parts = {_identity(part): part for part in old.components}
    content: list[Line | Component] = []
    for item in new.content:
        if isinstance(item, Component):
            content.append(_as_held(parts.get(_identity(item), item), item))
        else:
            known = held.get((item.name, item.value)) if item.name in PARTIES and item.is_readable else None
            content.append(known if known and _differ_by_server(item, known) else item)
    return new.with_content(content)


def _differ_by_server(new: Line, old: Line) -> bool:
    """Return whether what differs is what servers say, add and leave out on storing: then nobody has said anything."""
    said, stands = (dict(line.key[1]) for line in (new, old))
    if "SCHEDULE-STATUS" in stands:
        said.pop("SCHEDULE-STATUS", None)
    if "RSVP" not in stands:
        said.pop("RSVP", None)
    for name in _SERVERS - said.keys():
        stands.pop(name, None)
    return said == stands


class Waiting(Generic[Item]):
    """Lines or components of the new version that have no place yet."""

    def __init__(self, items: Iterable[Item], key: Callable[[Item], object]) -> None:
        self._items: dict[int, Item] = dict(enumerate(items))
        self._queues: dict[object, deque[int]] = defaultdict(deque)
        for index, item in self._items.items():
            self._queues[key(item)].append(index)

    def take(self, key: object) -> list[Item]:
        """Take out the first one with this key, if there is any."""
        queue = self._queues[key]
        return [self._items.pop(queue.popleft())] if queue else []

    def left(self) -> list[Item]:
        """Return what nothing took, in its order."""
        return list(self._items.values())


def _zones_first(calendar: Component, new: list[Component]) -> Component:
    """Put new VTIMEZONEs before what refers to them: not every client reads them in any order."""
    added = [part for part in new if part.name == "VTIMEZONE"]
    if not added:
        return calendar
    known = {id(part) for part in added}
    rest = [item for item in calendar.content if id(item) not in known]
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


def _identity(part: Component) -> tuple[object, ...]:
    named = [line.key for line in part.lines if line.name in ("UID", "RECURRENCE-ID", "TZID")]
    return part.name, *sorted(named, key=str)
