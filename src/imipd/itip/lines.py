"""A calendar as its content lines: read without loss, written as it was (RFC 5545 §3.1, rule S3).

icalendar 7.3.0 damages values on the round trip (``2.0;Success`` comes back as ``2.0\\;Success``), so it interprets
single values for us but never writes a line that we did not change: every `Line` keeps its bytes from the wire.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from icalendar.parser import Contentline

from .decision import Reason
from .parameters import Parameters, joined, split

MAX_DEPTH = 8
ONCE = frozenset(
    {
        *("UID", "DTSTAMP", "DTSTART", "DTEND", "DUE", "DURATION", "RECURRENCE-ID", "SEQUENCE", "STATUS", "ORGANIZER"),
        *("SUMMARY", "DESCRIPTION", "LOCATION", "GEO", "CLASS", "CREATED", "LAST-MODIFIED", "PRIORITY", "TRANSP"),
        *("URL", "COMPLETED", "PERCENT-COMPLETE", "METHOD", "PRODID", "VERSION", "CALSCALE"),
    }
)
"""Properties that must not stand there twice (RFC 5545 §3.6, §3.6.1, §3.6.2); Yahoo says STATUS:CONFIRMED twice."""
LONGEST_ROW = 75
_CONTINUES = (0x80, 0xBF)  # the bytes of a character in UTF-8 after its first
_PHYSICAL = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?")
_FOLD = re.compile(rb"\r?\n[ \t]")
_NAME = re.compile(r"[A-Za-z0-9-]+(?=[;:])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no content line may hold (RFC 5545 §3.1). vobject, hence Radicale, ends a line at a bare CR, and what stood
behind it would be a line that nobody has judged; Xandikos refuses the object."""


class MalformedError(Exception):
    """The calendar cannot be processed; `reason` says why: malformed, too large or an unknown time zone (G2, G9)."""

    def __init__(self, detail: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


@dataclass(frozen=True)
class Line:
    """One content line; `name` is upper case, and empty where the line cannot be read."""

    name: str
    text: str
    """Unfolded, without its line end."""
    raw: bytes
    """As on the wire, with foldings and line end."""

    @cached_property
    def _split(self) -> tuple[Parameters, str]:
        try:
            return split(self.text)
        except Exception as error:  # whatever the library raises
            raise MalformedError(f"{self.name}: not a content line") from error

    @property
    def value(self) -> str:
        """The value as it stands, still escaped. Raises MalformedError."""
        return self._split[1]

    @property
    def is_readable(self) -> bool:
        """Whether the line has parameters and a value; those that the door reads have, others may not."""
        try:
            return bool(self._split)
        except MalformedError:
            return False

    @property
    def plain(self) -> str:
        """The value of a text without its escapes (RFC 5545 §3.3.11); empty where it cannot be read."""
        return str(Contentline(self.text).parts()[2]) if self.is_readable else ""

    @property
    def parameters(self) -> Parameters:
        """A copy of the parameters. Raises MalformedError."""
        return dict(self._split[0])

    def parameter(self, name: str) -> str:
        """Return one parameter, the values of a list joined by commas; empty where it is absent."""
        found = self._split[0].get(name, "")
        return found if isinstance(found, str) else ",".join(found)

    def values_of(self, name: str) -> tuple[str, ...]:
        """Return all values of one parameter."""
        found = self._split[0].get(name, ())
        return (found,) if isinstance(found, str) else tuple(found)

    @cached_property
    def key(self) -> tuple[str, frozenset[tuple[str, str]], str]:
        """What makes two lines equal: foldings, the order of parameters and a server's needless escapes apart."""
        try:
            parameters = frozenset((k.upper(), str(v)) for k, v in self._split[0].items())
            value = self._split[1]
        except MalformedError:
            parameters, value = frozenset(), self.text
        # Radicale 3.9 escapes ; in X- values, Xandikos 0.4.10 in REQUEST-STATUS.
        return self.name, parameters, value.replace("\\;", ";").replace("\\,", ",").replace("\\N", "\\n")


def written(name: str, value: str, parameters: Parameters | None = None) -> Line:
    """Return a new content line, folded; `value` is already escaped."""
    said = (joined(key, values) for key, values in (parameters or {}).items())
    return of_text(f"{';'.join([name, *said])}:{value}")


def of_text(text: str) -> Line:
    """Return the content line with this unfolded text, folded anew."""
    return Line(_name_of(text), text, _folded(text.encode("utf-8", "surrogateescape")))


def _folded(text: bytes) -> bytes:
    """Fold after at most 75 octets, never inside a character (RFC 5545 §3.1); a client may have stored no UTF-8."""
    rows, rest, longest = list[bytes](), text, LONGEST_ROW
    while len(rest) > longest:
        starts = (at for at in range(longest, longest - 4, -1) if not _CONTINUES[0] <= rest[at] <= _CONTINUES[1])
        end = next(starts, longest)
        rows.append(rest[:end])
        rest, longest = rest[end:], LONGEST_ROW - 1
    return b"\r\n ".join([*rows, rest]) + b"\r\n"


def _name_of(text: str) -> str:
    match = _NAME.match(text)
    return match[0].upper() if match else ""


@dataclass(frozen=True)
class Component:
    """One component: its lines and subcomponents in their order."""

    name: str
    content: tuple["Line | Component", ...]
    begin: Line
    end: Line

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The component's own lines."""
        return tuple(item for item in self.content if isinstance(item, Line))

    @cached_property
    def components(self) -> tuple["Component", ...]:
        """The subcomponents."""
        return tuple(item for item in self.content if isinstance(item, Component))

    @cached_property
    def _named(self) -> Mapping[str, list[Line]]:
        named: dict[str, list[Line]] = {}
        for line in self.lines:
            named.setdefault(line.name, []).append(line)
        return named

    def all(self, name: str) -> tuple[Line, ...]:
        """Return the lines with this name."""
        return tuple(self._named.get(name, ()))

    def one(self, name: str) -> Line | None:
        """Return the line with this name or None. Raises MalformedError where there are several."""
        found = self.all(name)
        if len(found) > 1:
            raise MalformedError(f"{self.name}: {name} stands there {len(found)} times")
        return found[0] if found else None

    def with_content(self, content: Iterable["Line | Component"]) -> "Component":
        """Return this component with other lines and subcomponents."""
        return Component(self.name, tuple(content), self.begin, self.end)

    def put(self, name: str, lines: Iterable[Line]) -> "Component":
        """Return this component with `lines` in the place of all that have this name, or after the last line."""
        new, content, done = tuple(lines), list[Line | Component](), False
        for item in self.content:
            if isinstance(item, Line) and item.name == name:
                content += () if done else new
                done = True
            else:
                content.append(item)
        return self.with_content(content) if done else self.append(new)

    def set(self, name: str, value: str) -> "Component":
        """Return this component with one line of this name and value, without parameters."""
        old = self.all(name)
        if len(old) == 1 and old[0].value == value:
            return self
        return self.put(name, [written(name, value)])

    def swap(self, old: "Line | Component", new: "Line | Component") -> "Component":
        """Return this component with `new` in the place of `old`."""
        return self.with_content(new if item is old else item for item in self.content)

    def without(self, *names: str) -> "Component":
        """Return this component without the lines and subcomponents of these names."""
        return self.with_content(item for item in self.content if item.name not in names)

    def append(self, items: Iterable["Line | Component"]) -> "Component":
        """Return this component with new lines after its last line and new subcomponents at its end."""
        new = tuple(items)
        lines = tuple(item for item in new if isinstance(item, Line))
        last = max((i for i, item in enumerate(self.content) if isinstance(item, Line)), default=-1) + 1
        subcomponents = tuple(item for item in new if isinstance(item, Component))
        return self.with_content(self.content[:last] + lines + self.content[last:] + subcomponents)

    def to_bytes(self) -> bytes:
        """Return the component as iCalendar."""
        return b"".join(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        yield self.begin.raw
        for item in self.content:
            yield item.raw if isinstance(item, Line) else item.to_bytes()
        yield self.end.raw


def component(name: str, content: Iterable[Line | Component]) -> Component:
    """Return a new component."""
    return Component(name, tuple(content), of_text(f"BEGIN:{name}"), of_text(f"END:{name}"))


def refolded(original: Component) -> Component:
    """Return a copy, its lines folded anew and cleared of controls, without what cannot be read or is said again."""
    content: list[Line | Component] = []
    said: set[str] = set()
    for item in original.content:
        if isinstance(item, Component):
            content.append(refolded(item))
        elif item.name and item.text not in said:
            content.append(item if _is_written(item) else of_text(_CONTROL.sub(" ", item.text)))
            said |= {item.text} if item.name in ONCE else set()
    return component(original.name, content)


def _is_written(line: Line) -> bool:
    """Return whether a line has the bytes in which we would write it: most have."""
    if len(line.raw) > LONGEST_ROW + 2 or _CONTROL.search(line.text):
        return False
    return line.raw == line.text.encode("utf-8", "surrogateescape") + b"\r\n"


def read(body: bytes, max_components: int = 2000) -> Component:
    """Return the one VCALENDAR in `body`. Raises MalformedError."""
    root = _Open("", None)
    stack, count = [root], 0
    for line in _lines(body.removeprefix(b"\xef\xbb\xbf")):
        if line.name == "BEGIN":
            count += 1
            stack.append(_begin(line, len(stack), count, max_components))
        elif line.name == "END":
            _end(line, stack)
        elif len(stack) > 1:
            stack[-1].content.append(line)
    if len(stack) > 1:
        raise MalformedError(f"END:{stack[-1].name} is missing")
    calendars = [item for item in root.content if isinstance(item, Component)]
    if len(calendars) != 1 or calendars[0].name != "VCALENDAR":
        raise MalformedError("not one VCALENDAR")
    return calendars[0]


class _Open:
    """A component of which the END has not been read yet."""

    def __init__(self, name: str, begin: Line | None) -> None:
        self.name = name
        self.begin = begin
        self.content: list[Line | Component] = []


def _begin(line: Line, depth: int, count: int, max_components: int) -> _Open:
    if count > max_components:
        raise MalformedError(f"more than {max_components} components", Reason.TOO_LARGE)
    if depth > MAX_DEPTH:
        raise MalformedError(f"components nested more than {MAX_DEPTH} deep", Reason.TOO_LARGE)
    return _Open(line.text.partition(":")[2].strip().upper(), line)


def _end(line: Line, stack: list[_Open]) -> None:
    done = stack.pop()
    if done.begin is None or line.text.partition(":")[2].strip().upper() != done.name:
        raise MalformedError(f"{line.text[:40]} where END:{done.name} was expected")
    stack[-1].content.append(Component(done.name, tuple(done.content), done.begin, line))


def _lines(body: bytes) -> Iterator[Line]:
    """Unfold before decoding: a fold may split a character (RFC 5545 §3.1)."""
    for match in _PHYSICAL.finditer(body):
        raw = match[0]
        text = _FOLD.sub(b"", raw).strip(b"\r\n").decode("utf-8", "surrogateescape")
        if text.strip():
            yield Line(_name_of(text), text, raw)
