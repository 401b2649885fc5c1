"""Which configuration is in force, and whom it serves: what `imipd pipe` has to know for a mail without a calendar.

To read a configuration takes ten times as long as such a mail. So a pipe that has read it leaves beside the ledger
whom it serves, and the next one believes that as long as nothing that was read has changed since. What is not plain
here is not believed: then the configuration is read.
"""

import os
import time
from stat import S_ISREG

from imipd.address import comparable, domain, without_detail

TYPE_CHECKING = False  # as in typing, whose import takes as long as all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

PLACES = ("imipd.toml", "/etc/imipd/imipd.toml")
VARIABLE = "IMIPD_CONFIG"

SUFFIX = ".served"
DEFAULT = "/var/lib/imipd/ledger.db"
FORMAT, END = "imipd pipe 1", "end"
SETTLED = 2 * 10**9
"""Nanoseconds: a file that was changed more recently may be changed again without another time of change."""
_ORDINARY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_+")


class Served:
    """What a configuration says about mail without a calendar."""

    def __init__(self, limit: int, addresses: "Collection[str]", domains: "Mapping[str, str]") -> None:
        self.limit = limit
        """Bytes of a mail that are looked at."""
        self.addresses = frozenset(addresses)
        """Comparable, of the accounts."""
        self.domains = dict(domains)
        """Every name of the domains that are served as a whole, and the real name of each."""

    def surely(self, address: str) -> bool:
        """Whether mail for this address belongs to an account, beyond doubt: who is not known here may be."""
        wanted = comparable(address)
        real = self.domains.get(domain(wanted))
        at_home = wanted if real is None else f"{wanted.rpartition('@')[0]}@{real}"
        if {wanted, at_home, without_detail(wanted), without_detail(at_home)} & self.addresses:
            return True
        local = without_detail(wanted).rpartition("@")[0]
        return real is not None and local[:1].isalnum() and _ORDINARY.issuperset(local)


class Grounds:
    """What an answer rests on besides the configuration file itself."""

    def __init__(self, files: "Sequence[str]", given: "Sequence[str]", same: "Mapping[str, str]") -> None:
        self.files = tuple(files)
        """Files that were read, or looked for."""
        self.given = tuple(given)
        """Variables of the environment that have a value; which one is a secret."""
        self.same = dict(same)
        """Variables of the environment, and the value that they have."""


def found(path: str | None, environ: "Mapping[str, str]") -> str | None:
    """Return the configuration to read: `path`, else $IMIPD_CONFIG, else the first that exists of `PLACES`."""
    if path is not None:
        return path
    # What we may not look at is absent.
    return environ.get(VARIABLE) or next((place for place in PLACES if os.path.exists(place)), None)


def recall(config: str, environ: "Mapping[str, str]") -> Served | None:
    """Return whom this configuration serves; None where that has to be read from it."""
    try:
        lines = iter(_trusted(_place(config)).split("\n"))
        if next(lines) != FORMAT or next(lines) != _look(__file__) or next(lines) != os.path.abspath(config):
            return None
        return _believed(lines, environ)
    except (OSError, ValueError, KeyError, StopIteration):
        return None


def remember(config: str, served: Served, grounds: Grounds, since: int) -> None:
    """Leave for the next pipe whom this configuration serves, which was read after `since` (ns); if we may."""
    try:
        files = [os.path.abspath(file) for file in (config, *grounds.files)]
        if any(_changed(file) > since - SETTLED for file in files):
            return
        lines = [
            *(FORMAT, _look(__file__), files[0]),
            *(f"file {_look(file)} {file}" for file in files),
            *(f"given {name}" for name in grounds.given),
            *(f"same {name} {value}" for name, value in grounds.same.items()),
            *(f"address {address}" for address in served.addresses),
            *(f"domain {name} {real}" for name, real in served.domains.items()),
            f"limit {served.limit} {END}",
        ]
        if not any("\n" in line for line in lines):
            _replace(_place(config), "\n".join(lines))
    except (OSError, ValueError):
        return  # the next pipe reads the configuration, too


def now() -> int:
    """Return the time in nanoseconds, as files have it."""
    return time.time_ns()


def _believed(lines: "Iterator[str]", environ: "Mapping[str, str]") -> Served | None:
    """Return what the lines say, None where something has changed since. The last one is the limit."""
    addresses: list[str] = []
    domains: dict[str, str] = {}
    for line in lines:
        kind, _, said = line.partition(" ")
        first, _, rest = said.partition(" ")
        if kind == "address":
            addresses.append(said)
        elif kind == "domain":
            domains[first] = rest
        elif kind == "limit":
            return Served(int(first), addresses, domains) if rest == END else None
        elif not _HOLDS[kind](first, rest, environ):
            return None
    return None


_HOLDS: "Mapping[str, Callable[[str, str, Mapping[str, str]], bool]]" = {
    "file": lambda looks, file, _: looks == _look(file),
    "given": lambda name, _, environ: bool(environ.get(name)),
    "same": lambda name, value, environ: environ.get(name, "") == value,
}


def _look(file: str) -> str:
    """Return what is another once a file was changed, replaced, or given to somebody else."""
    seen = os.stat(file)
    whose = (seen.st_mode, seen.st_uid, seen.st_gid)
    return ",".join(map(str, (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, *whose)))


def _changed(file: str) -> int:
    seen = os.stat(file)
    return max(seen.st_mtime_ns, seen.st_ctime_ns)


def _place(config: str) -> str:
    """Return where to look, and to leave it: a guess at the ledger's file, which may well be wrong."""
    with open(config, "rb") as file:
        lines = file.read().splitlines()
    for line in lines:
        before, sign, after = line.partition(b"sqlite:///")
        if sign and not before.lstrip().startswith(b"#"):
            return os.fsdecode(after.partition(before[-1:])[0]) + SUFFIX
    return DEFAULT + SUFFIX


def _trusted(place: str) -> str:
    """Return what is left there, if nobody else can have written it; raise ValueError or OSError."""
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if not S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            raise ValueError("not ours alone")
        return os.fsdecode(file.read())


def _replace(place: str, text: str) -> None:
    """Put a file into its place as a whole: another pipe may be reading or leaving it."""
    new = f"{place}.{os.getpid()}"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(os.fsencode(text))
        os.replace(new, place)
    except OSError:
        os.unlink(new)  # it may be of a process with this number that was ended here
        raise
