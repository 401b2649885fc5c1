"""From a file to settings, or to everything that is wrong with it.

The models refuse single keys; what they refuse is left out and the rest is looked at again, so that one mistake
hides no other.
"""

import copy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from imipd.policy import Policy
from imipd.served import PLACES, VARIABLE, found

from .checks import Finding, findings
from .errors import ConfigError, Location, Problem
from .places import PolicySection
from .settings import Config
from .wording import Document, named, problem


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the settings of the file at `path`, or of the one that is `find`-able without.

    Raises `ConfigError` with every problem that the file has.
    """
    file = find(path, environ)
    if file is None:
        advice = f"Write one ({', '.join(PLACES)}), or name it with -c or ${VARIABLE}"
        raise ConfigError("no configuration", [Problem("", f"nothing found. {advice}")])
    document = _document(file)
    config, errors = _validated(document, file)
    refused = [error["loc"] for error in errors]
    problems = [problem(error, document) for error in errors]
    problems += [
        Problem(named(finding.location, document), finding.text)
        for finding in findings(config, environ)
        if not _void(finding, refused)
    ]
    if problems:
        raise ConfigError(str(file), problems)
    return config


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: `path`, else $IMIPD_CONFIG, else the first that exists of `PLACES`."""
    name = found(None if path is None else str(path), environ)
    return None if name is None else Path(name)


def override(policy: Policy, choices: Mapping[str, str]) -> Policy:
    """Return `policy` with `choices` made, such as ``{"invitations": "add"}``; `ConfigError` where there is none."""
    numbers = {key: int(text) for key, text in choices.items() if text.isascii() and text.isdigit()}
    document = {"policy": {**choices, **numbers}}
    try:
        return PolicySection.model_validate(document["policy"]).applied_to(policy)
    except ValidationError as error:
        refused = error.errors(include_url=False)
    for each in refused:
        each["loc"] = ("policy", *each["loc"])
    raise ConfigError("policy", [problem(each, document) for each in refused])


def _document(file: Path) -> dict[str, Any]:
    try:
        # A byte order mark is what some editors leave.
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        text = f"cannot be read ({error.strerror}). Write it, or name another with -c or ${VARIABLE}"
    except UnicodeDecodeError as error:
        text = f"not UTF-8 at byte {error.start}. Save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        text = f"not TOML. {error}"
    raise ConfigError(str(file), [Problem("", text)])


def _validated(document: Document, file: Path) -> tuple[Config, list[ErrorDetails]]:
    """Return the settings that the models accept, and what they refused."""
    try:
        return Config.model_validate(document, context={"file": file}), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    config, more = _validated(_without(document, [error["loc"] for error in errors]), file)
    return config, errors + more


def _without(document: Document, refused: list[Location]) -> dict[str, Any]:
    """Return the document without what was refused; from behind, so that places in lists stay true."""
    rest = copy.deepcopy(dict(document))
    for location in sorted(set(refused), key=lambda each: [str(part).rjust(9) for part in each], reverse=True):
        _remove(rest, location)
    return rest


def _remove(document: dict[str, Any], location: Location) -> None:
    container: Any = document
    for part, following in zip(location, (*location[1:], None), strict=True):
        inside = container[part]
        if following is None or not isinstance(inside, dict | list):
            break
        container = inside
    if isinstance(part, int) and len(location) == 2:
        container[part] = {}  # the accounts after it keep their number
    else:
        del container[part]


def _void(finding: Finding, refused: list[Location]) -> bool:
    """Whether the finding only follows from a key that was refused."""
    return any(wrong[: len(needed)] == needed[: len(wrong)] for needed in finding.rests_on for wrong in refused)
