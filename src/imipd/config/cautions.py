"""What works and is unwise: for `imipd check` to mention, never a reason not to start."""

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from imipd.policy import Policy

from .access import is_here
from .places import Place
from .secret import keys, labels, logins
from .settings import Config
from .wording import named


def warnings(config: Config) -> tuple[str, ...]:
    """Return one sentence for each thing that the operator should know, none twice."""
    found = [*_permissions(config), *_cleartext(config), *_policies(config)]
    return tuple(dict.fromkeys(found))


def _permissions(config: Config) -> Iterator[str]:
    for path in _secret_files(config):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        readers = [name for bit, name in ((stat.S_IRGRP, "group"), (stat.S_IROTH, "others")) if mode & bit]
        if readers:
            yield (
                f"{path}: holds a password and its mode {mode:04o} lets {' and '.join(readers)} read it."
                f" chown it to the user that imipd runs as and chmod 600 {path}"
            )


def _secret_files(config: Config) -> list[Path]:
    """Return every file that holds a password: those of password_file, and the configuration itself."""
    found = logins(config).values()
    files = [Path(login.password_file) for login in found if login.password_file]
    in_the_open = any("password" in keys(login) for login in found) or _has_password(config.ledger.url)
    return [*files, config.file] if in_the_open and config.file else files


def _has_password(url: str) -> bool:
    return urlsplit(url).password is not None or "password=" in url


def _cleartext(config: Config) -> Iterator[str]:
    names = labels(config)
    for location, login in logins(config).items():
        split = urlsplit(login.url or "")
        if split.scheme == "http" and not is_here(split.hostname or ""):
            key = named((*location, "url"), names)
            yield f"{key}: http:// sends passwords and calendars in the clear. Write https:// if the server can"


def _policies(config: Config) -> Iterator[str]:
    names = labels(config)
    for location, place in logins(config).items():
        if isinstance(place, Place):
            yield from _policy(named(location, names), config.policy_of(place))


def _policy(name: str, policy: Policy) -> Iterator[str]:
    if policy.sender in ("dkim", "dmarc"):
        yield (
            f'{name}: sender = "{policy.sender}" refuses every message, because this version can prove no sender.'
            ' Write sender = "from"'
        )
    elif policy.cancelled == "delete":
        # Rule S6.
        yield (
            f'{name}: cancelled = "delete" together with sender = "{policy.sender}" lets a forged mail delete'
            ' an event. Write cancelled = "mark"'
        )
