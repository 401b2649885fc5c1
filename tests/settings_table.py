"""Writes docs/settings.md from the models: ``PYTHONPATH=tests python -m settings_table > docs/settings.md``."""

import sys
from typing import get_args

from pydantic.fields import FieldInfo

from imipd.config import AccountSection, DomainSection
from imipd.config.places import Login, Section
from imipd.config.wording import header, section_in, sections

HEAD = """\
# Every setting

Written from the models in `src/imipd/config` by `tests/settings_table.py`; `deploy/imipd.toml` shows them in their
place. Unknown keys are errors. Durations are written `"500ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`, sizes `"25 MiB"`
(B, kB, KiB, MB, MiB, GB, GiB) or as a number of bytes, places to listen `"host:port"` or `"unix:/path"`.
"""
OVERRIDES = "The keys of `[policy]` except `authserv_id`, each instead of what `[policy]` says.\n"


def page() -> str:
    """Return docs/settings.md."""
    return HEAD + "".join(_section(name, model) for name, model in sections().items() if name)


def _section(name: tuple[str, ...], model: type[Section]) -> str:
    title = f"\n## `{header(name)}`\n\n"
    if len(name) > 1:
        return title + OVERRIDES
    introduction = f"{model.__doc__}\n\n"
    fields = {key: field for key, field in model.model_fields.items() if not section_in(field.annotation)}
    rows = [f"| `{key}` | {default(model, key)} | {_meaning(field)} |" for key, field in fields.items()]
    return title + introduction + "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def default(model: type[Section], key: str) -> str:
    """Return the default as one writes it in the file."""
    if model in (AccountSection, DomainSection) and key in Login.model_fields:
        return "as `[caldav]`"
    return f"`{as_written(model, key)}`" if model.model_fields[key].default not in (None, ()) else "–"


def as_written(model: type[Section], key: str) -> str:
    """Return the default in TOML; a duration or size as the example writes it, if that is the same value."""
    field = model.model_fields[key]
    for example in field.examples or []:
        if getattr(model.model_validate({key: example}), key) == field.default:
            return toml(example)
    return toml(field.default)


def toml(value: object) -> str:
    """Return a text, a number, true, false or a list of them in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(each) for each in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _meaning(field: FieldInfo) -> str:
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    example = f" Such as `{toml(field.examples[0])}`." if field.examples and not field.default else ""
    return f"{field.description}{example}" + (f" One of {', '.join(f'`{c}`' for c in choices)}." if choices else "")


if __name__ == "__main__":
    sys.stdout.write(page())
