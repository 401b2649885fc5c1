"""What servers from Debian's packages need of a test: a folder of their own, and to be up before it begins.

Nothing under /etc is changed, nothing is left behind. Where a program is missing the test fails: a skipped test
proves nothing.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import niquests
import pytest

PATIENCE = 60.0
PAUSE = 0.05


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Make a folder that other users may enter, close to the root: a unix socket's path is short."""
    folder = Path(tempfile.mkdtemp(prefix=f"imipd-{name}-", dir="/tmp"))  # mkdtemp makes it ours
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(*places: str, package: str) -> Path:
    """Return the first of these programs that is there."""
    for place in places:
        if Path(place).exists():
            return Path(place)
    pytest.fail(f"{places[0]} is missing here: apt-get install {package} (Debian's package)", pytrace=False)


def run(*command: str | Path, text: str = "") -> None:
    """Run a command to its end, with an input; raise with its output where it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def await_calendars(url: str, user: str, password: str, log: Path) -> None:
    """Return once a PROPFIND of the URL is answered with a multistatus."""
    last: object = None
    for _ in range(int(PATIENCE / PAUSE)):
        try:
            last = niquests.request("PROPFIND", url, auth=(user, password), headers={"Depth": "0"}, timeout=10)
            if last.status_code == 207:
                return
        except niquests.RequestException as error:
            last = error
        time.sleep(PAUSE)
    raise RuntimeError(f"{url} does not come up: {last}\n{log.read_text(errors='replace')}")
