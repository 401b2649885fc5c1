"""Passwords, read from where the operator keeps them. No text of this file holds one."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from .errors import ConfigError, Location, Problem
from .places import PASSWORD_KEYS, Login
from .settings import Config
from .wording import named

COMMAND_SECONDS = 30
"""How long a command may take: it may ask a key agent, never a person."""

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what LoadCredential= and its kin name (systemd.exec(5))."""
_UNIT = "Write LoadCredential=NAME:/path/of/the/file into the unit, and let systemd start imipd"

Environ = Mapping[str, str]


class PasswordError(Exception):
    """The password cannot be had; the text says why and what to do."""


def passwords(config: Config, environ: Environ) -> tuple[str, ...]:
    """Return the password of each of `config.places`, in their order; `ConfigError` names all that fail."""
    read: dict[Location, str] = {}
    problems = []
    names = labels(config)
    (caldav, shared), *places = logins(config).items()
    # Its own, else that of [caldav]; each is read once.
    sources = [(location, login) if keys(login) else (caldav, shared) for location, login in places]
    for location, login in dict(sources).items():
        key = keys(login)[0]
        try:
            read[location] = READERS[key](getattr(login, key), environ)
        except PasswordError as error:
            problems.append(Problem(named((*location, key), names), str(error)))
    if problems:
        raise ConfigError(str(config.file), problems)
    return tuple(read[location] for location, _ in sources)


def trouble(login: Login, environ: Environ) -> tuple[str, str] | None:
    """Return the key and what is wrong with the password that it names, None if it can be read.

    A command is not run for this, only looked for.
    """
    for key in keys(login)[:1]:
        try:
            CHECKS[key](getattr(login, key), environ)
        except PasswordError as error:
            return key, str(error)
    return None


def keys(login: Login) -> list[str]:
    """Return the keys that name a password here; there should be at most one."""
    return [key for key in PASSWORD_KEYS if getattr(login, key) is not None]


def logins(config: Config) -> dict[Location, Login]:
    """Return the logins by where they are configured: [caldav], then every account, then every domain."""
    found: dict[Location, Login] = {("caldav",): config.caldav}
    found |= {("account", index): account for index, account in enumerate(config.account)}
    return found | {("domain", index): rule for index, rule in enumerate(config.domain)}


def labels(config: Config) -> dict[str, Any]:
    """Return what accounts and domains are called by, as `named` wants it."""
    return config.model_dump(include={"account": {"__all__": {"addresses"}}, "domain": {"__all__": {"name"}}})


def _literal(value: SecretStr, _environ: Environ) -> str:
    return value.get_secret_value()


def _from_file(path: str, _environ: Environ) -> str:
    advice = "Write the password into it, and let only the user that imipd runs as read it"
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise PasswordError(f"{path} cannot be read ({error.strerror}). {advice}") from None
    return _text(content, f"{path} holds no password. {advice}")


def _from_environment(name: str, environ: Environ) -> str:
    # The name is not repeated: a password written here by mistake would be shown.
    if not environ.get(name):
        raise PasswordError("no such variable in the environment, or an empty one. Set it where imipd is started")
    return environ[name]


def _from_credential(name: str, environ: Environ) -> str:
    folder = environ.get(CREDENTIALS)
    if not folder:
        raise PasswordError(f"there is no ${CREDENTIALS}. {_UNIT}")
    # Here, too, the name is not repeated.
    try:
        content = Path(folder, name).read_bytes()
    except OSError as error:
        raise PasswordError(f"no such credential that can be read ({error.strerror}). {_UNIT}") from None
    return _text(content, f"the credential holds no password. {_UNIT}")


def _credential_if_any(name: str, environ: Environ) -> str:
    """Read the credential where systemd has started us: `imipd log` needs no password."""
    return _from_credential(name, environ) if environ.get(CREDENTIALS) else ""


def _from_command(command: tuple[str, ...], environ: Environ) -> str:
    program = _program(command, environ)
    advice = "Run it by hand as the user that imipd runs as"
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, and no shell
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            env=dict(environ),
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise PasswordError(f"{program} ended with exit code {error.returncode}. {advice}") from None
    except subprocess.TimeoutExpired:
        raise PasswordError(f"{program} took longer than {COMMAND_SECONDS} s. {advice}") from None
    except OSError as error:
        raise PasswordError(f"{program} cannot be run ({error.strerror}). {advice}") from None
    return _text(done.stdout, f"{program} printed no password. {advice}")


def _program(command: tuple[str, ...], environ: Environ) -> str:
    """Return the path of the program that a command names."""
    found = shutil.which(command[0], path=environ.get("PATH", os.defpath))
    if found is None:
        raise PasswordError(f"{command[0]} is no program that can be run. Write its path, then its arguments")
    return found


def _text(content: bytes, otherwise: str) -> str:
    """Return the content without the newline that editors put at its end."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise PasswordError(otherwise) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise PasswordError(otherwise)
    return text


Reader = Callable[[Any, Environ], str]
READERS: dict[str, Reader] = {
    "password": _literal,
    "password_file": _from_file,
    "password_command": _from_command,
    "password_env": _from_environment,
    "password_credential": _from_credential,
}
CHECKS: dict[str, Reader] = {**READERS, "password_command": _program, "password_credential": _credential_if_any}
