"""imipd pipe: one mail on stdin, processed in this process."""

import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

from imipd import config, served
from imipd.accounts.configured import Directory
from imipd.config import Config
from imipd.config.secret import CREDENTIALS, logins
from imipd.ingress import pipe
from imipd.ledger import LedgerError

from . import assembly, logs
from .plain import Begun, Call


class Again:
    """Stdin, of which something was read already."""

    def __init__(self, read: bytes) -> None:
        self._read = io.BytesIO(read)

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes."""
        return self._read.read(size) or sys.stdin.buffer.read(size)


def run(call: Call, begun: Begun) -> int:
    """Process the mail and return its fate as an exit code."""
    since = served.now()
    settings = config.load(None if call.config is None else Path(call.config), os.environ)
    logs.begin(settings)
    errand = pipe.Errand(
        Again(begun.read),
        tuple(call.recipients),
        call.reverse_path,
        sys.stdout.buffer if call.passthrough else None,
        settings.limits.mail,
    )
    try:
        with assembly.opened(settings, os.environ) as house:
            if not begun.remembered:
                _remember(settings, house.directory, since)
            # The caller goes on with the mail: [forward] is for the listeners.
            return pipe.run(errand, house.knows, house.gateway.deliver)
    except LedgerError as error:
        structlog.get_logger("imipd").error("ledger", error=str(error))
        return os.EX_TEMPFAIL


def _remember(settings: Config, directory: Directory, since: int) -> None:
    """Let the next pipe know who is served; where every mail is logged, it has to come here for that."""
    if settings.file and settings.log.level != "debug":
        known = served.Served(settings.limits.mail, *directory.known)
        served.remember(str(settings.file), known, _grounds(settings, os.environ), since)


def _grounds(settings: Config, environ: Mapping[str, str]) -> served.Grounds:
    """Return what was looked at to find the configuration in order: passwords, and where they come from."""
    every = tuple(logins(settings).values())
    files = [file for login in every for file in (login.password_file, login.ca_file) if file]
    commands = [login.password_command[0] for login in every if login.password_command]
    credentials = [login.password_credential for login in every if login.password_credential]
    files += [shutil.which(command, path=environ.get("PATH", os.defpath)) or "" for command in commands]
    files += [os.path.join(environ.get(CREDENTIALS, ""), name) for name in credentials]
    named = {"PATH": commands, CREDENTIALS: credentials}
    return served.Grounds(
        files,
        [login.password_env for login in every if login.password_env],
        {name: environ.get(name, "") for name, users in named.items() if users},
    )
