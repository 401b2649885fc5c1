"""Files whose mode or owner lets others read or change what is imipd's alone: for `imipd check` to mention.

A warning only: with ACLs, or in a container, it can be meant so.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .secret import keys, logins
from .settings import Config

READ, WRITE = 0o4, 0o2
ROOT = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A file or folder, and what others shall not do with it."""

    path: Path
    what: str
    forbidden: int
    remedy: str


def exposed(config: Config) -> Iterator[str]:
    """Yield one sentence for each file that others can read or change, and for each that is somebody else's."""
    for kept in _kept(config):
        try:
            found = kept.path.stat()
        except OSError:
            continue
        yield from _by_mode(kept, found)
        yield from _by_owner(kept, found)


def _kept(config: Config) -> Iterator[Kept]:
    found = logins(config).values()
    for login in found:
        if login.password_file:
            yield _secret(Path(login.password_file), "holds a password")
    for section in config.listening.values():
        if section.tls_key:
            yield _secret(Path(section.tls_key), "holds a private key")
    if config.file:
        in_the_open = any("password" in keys(login) for login in found) or _has_password(config.ledger.url)
        changeable = Kept(config.file, "says what imipd does", WRITE, "chmod go-w")
        yield _secret(config.file, "holds a password") if in_the_open else changeable
    if file := config.ledger.file:
        for path in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
            yield _secret(path, "tells who meets whom")
        yield Kept(file.parent, "is the ledger's folder", WRITE, "chmod go-w")


def _secret(path: Path, what: str) -> Kept:
    return Kept(path, what, READ | WRITE, "chmod 600")


def _has_password(url: str) -> bool:
    return urlsplit(url).password is not None or "password=" in url


def _by_mode(kept: Kept, found: os.stat_result) -> Iterator[str]:
    mode = stat.S_IMODE(found.st_mode)
    # In a folder like /tmp everybody may write, and nobody may take away what is another's.
    bits = 0 if stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX else kept.forbidden
    classes = {"group": mode >> 3 & bits, "others": mode & bits}
    who = " and ".join(name for name, allowed in classes.items() if allowed)
    can = classes["group"] | classes["others"]
    do = " and ".join(verb for bit, verb in ((READ, "read"), (WRITE, "change")) if can & bit)
    if who:
        yield (
            f"{kept.path}: {kept.what} and its mode {mode:04o} lets {who} {do} it."
            f" chown it to the user that imipd runs as and {kept.remedy} {kept.path}"
        )


def _by_owner(kept: Kept, found: os.stat_result) -> Iterator[str]:
    """Whose it is counts for who is not root: root does not know as whom imipd runs."""
    me = os.geteuid()
    if me != ROOT and found.st_uid not in (ROOT, me):
        yield (
            f"{kept.path}: {kept.what} and belongs to {_user(found.st_uid)}, who can change it."
            f" chown it to the user that imipd runs as"
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
