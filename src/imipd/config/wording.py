"""Problems in the operator's words: which key it is, what is wrong with it, what to write."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .errors import Location, Problem, shown
from .places import Section
from .settings import Config

TABLES = ("account", "domain")
"""Sections that are written with double brackets, once for each."""

Document = Mapping[str, object]


def problem(error: ErrorDetails, document: Document) -> Problem:
    """Return what the models refused, in words."""
    location = error["loc"]
    unknown_section = error["type"] == "extra_forbidden" and _is_section(error["input"])
    key = named(location, document, section=unknown_section)
    if unknown_section and isinstance(error["input"], list) and len(location) == 1:
        key = f"[{key}]"
    return Problem(key, TEXTS.get(error["type"], _as_pydantic_says)(error))


def named(location: Location, document: Document, *, section: bool = False) -> str:
    """Return a location as the operator knows it: ``caldav.url``, ``[[account]] alice@example.org: user``."""
    names = _names(location)
    as_section = section or names in sections()
    if names[0] in TABLES and len(location) > 1:
        entry = f"[[{names[0]}]] {_label(location, document)}"
        rest = header(names) if as_section else ".".join(names[1:])
        return entry if len(names) == 1 else f"{entry}: {rest}"
    return header(names) if as_section else ".".join(names)


def missing(location: Location) -> str:
    """Return what to say of a key that is needed and not there."""
    field = _field(location)
    description = (field.description or "").partition(". ")[0].removesuffix(".") if field else ""
    return f"missing. {description}{_example(field, ', e.g. ')}"


@cache
def sections() -> dict[tuple[str, ...], type[Section]]:
    """Return every section by its name: ``()`` for the whole, ``("account", "policy")`` for a nested one."""
    return _sections((), Config)


def _sections(name: tuple[str, ...], model: type[Section]) -> dict[tuple[str, ...], type[Section]]:
    found: dict[tuple[str, ...], type[Section]] = {name: model}
    for key, field in model.model_fields.items():
        inner = section_in(field.annotation)
        if inner:
            found |= _sections((*name, key), inner)
    return found


def section_in(annotation: object) -> type[Section] | None:
    """Return the section that a field holds, be it optional or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((inner for each in get_args(annotation) if (inner := section_in(each))), None)


def header(name: tuple[str, ...]) -> str:
    """Return the line that begins a section: ``[lmtp]``, ``[[account]]``, ``[account.policy]``."""
    return f"[[{name[0]}]]" if len(name) == 1 and name[0] in TABLES else f"[{'.'.join(name)}]"


def _names(location: Location) -> tuple[str, ...]:
    """Return the keys on the way, without the places in lists."""
    return tuple(part if part.isprintable() else shown(part) for part in location if isinstance(part, str))


def _label(location: Location, document: Document) -> str:
    """Return how the operator calls this account or domain: by its first address or name, else by its number."""
    table, index = str(location[0]), int(location[1])
    entries = document.get(table)
    entry = entries[index] if isinstance(entries, list | tuple) and index < len(entries) else None
    name = entry.get("addresses" if table == "account" else "name") if isinstance(entry, dict) else None
    first = name[0] if isinstance(name, list | tuple) and name else name
    return first if isinstance(first, str) and first and first.isprintable() else f"number {index + 1}"


def _is_section(value: object) -> bool:
    """Whether an unknown key was written as a section."""
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(each, dict) for each in values)


def _field(location: Location) -> FieldInfo | None:
    *way, key = _names(location)
    section = sections().get(tuple(way))
    return section.model_fields.get(key) if section else None


def _example(field: FieldInfo | None, before: str) -> str:
    return f"{before}{shown(field.examples[0])}" if field and field.examples else ""


def _unknown(error: ErrorDetails) -> str:
    *way, key = _names(error["loc"])
    here = sections().get(tuple(way))
    known = tuple(here.model_fields) if here else ()
    kind = "section" if _is_section(error["input"]) else "key"
    hints = [_close(tuple(way), key, known), _elsewhere(key)]
    return " ".join([f"unknown {kind}."] + ([hint for hint in hints if hint] or [f"Known here: {', '.join(known)}"]))


def _close(way: tuple[str, ...], key: str, known: tuple[str, ...]) -> str:
    close = _closest(key, known)
    if not close:
        return ""
    name = (*way, close[0])
    return f"Did you mean {header(name) if name in sections() else close[0]}?"


def _closest(word: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415  only who has mistyped needs it

    return get_close_matches(word, known, 1)


def _elsewhere(key: str) -> str:
    homes = [header(name) for name, section in sections().items() if name and key in section.model_fields]
    return f"{key} belongs to {', '.join(homes)}" if homes else ""


def _own_words(error: ErrorDetails) -> str:
    return str(error["ctx"]["error"])


def _no_choice(error: ErrorDetails) -> str:
    field = _field(error["loc"])
    choices = [str(choice) for choice in get_args(field.annotation)] if field else []
    close = _closest(error["input"], choices) if isinstance(error["input"], str) else []
    written = ", ".join(shown(choice) for choice in choices)
    return f"{shown(error['input'])} is not a choice. " + (
        f"Did you mean {shown(close[0])}?" if close else f"Write one of {written}"
    )


def _no_section(error: ErrorDetails) -> str:
    name = header(_names(error["loc"]))
    return f"not a section. Write {name} on a line of its own, and its keys below"


def _must_be(kind: str) -> Callable[[ErrorDetails], str]:
    def text(error: ErrorDetails) -> str:
        if error["loc"][0] in TABLES and len(error["loc"]) == 1:
            return _no_section(error)
        return f"must be {kind}.{_example(_field(error['loc']), ' Write e.g. ')}"

    return text


def _limit(error: ErrorDetails) -> str:
    bounds = error["ctx"]
    return f"must be at least {bounds['ge']}" if "ge" in bounds else f"must be at most {bounds['le']}"


def _as_pydantic_says(error: ErrorDetails) -> str:
    return error["msg"]


TEXTS: dict[str, Callable[[ErrorDetails], str]] = {
    "extra_forbidden": _unknown,
    "value_error": _own_words,
    "literal_error": _no_choice,
    "model_type": _no_section,
    "string_type": _must_be("a text in quotes"),
    "int_type": _must_be("a whole number"),
    "bool_type": _must_be("true or false"),
    "tuple_type": _must_be("a list"),
    "too_short": _must_be("something; it is empty"),
    "string_too_short": _must_be("something; it is empty"),
    "greater_than_equal": _limit,
    "less_than_equal": _limit,
}
