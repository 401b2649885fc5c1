"""Mail servers that cannot be installed beside Postfix: downloaded from Debian and unpacked, never installed."""

import fcntl
import pwd
from pathlib import Path

from .mta import run

CACHE = Path(__file__).parents[2] / "build" / "e2e"


def unpacked(*packages: str) -> Path:
    """Return the folder that holds the files of these packages."""
    folder = CACHE / packages[0]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            for package in packages:
                _download(package, folder)
            (folder / "complete").touch()
    return folder


def _download(package: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if not (url := _url(package)):
        run("/usr/bin/apt-get", "update", "-qq")
        url = _url(package)
    file = folder / f"{package}.deb"
    run("/usr/lib/apt/apt-helper", "download-file", url, file)
    run("/usr/bin/dpkg", "-x", file, folder)


def _url(package: str) -> str:
    said = run("/usr/bin/apt-get", "download", "--print-uris", package, is_checked=False)
    return said.partition("'")[2].partition("'")[0]


def needs_user(name: str) -> None:
    """Make the user that a package would have made."""
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            pwd.getpwnam(name)
        except KeyError:
            nowhere = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
            run("/usr/sbin/useradd", "--system", "--user-group", *nowhere, name)
