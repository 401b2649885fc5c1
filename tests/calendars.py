"""Every real calendar server that the tests run, by name: from PyPI beside us, or from Debian's packages."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from cyrus import cyrus
from davical import davical
from servers import Server, radicale, xandikos
from sogo import sogo

SERVERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "radicale": radicale,
    "xandikos": xandikos,
    "cyrus": lambda _: cyrus(),
    "davical": lambda _: davical(),
    "sogo": lambda _: sogo(),
}
FROM_DEBIAN = ("cyrus", "davical", "sogo")


def servers(*lacking: str, fake: bool = False) -> list[ParameterSet]:
    """Return them as parameters of a test, without those that lack what it is about; `fake` adds ``memory``."""
    names = [name for name in (*(["memory"] if fake else []), *SERVERS) if name not in lacking]
    return [pytest.param(name, marks=pytest.mark.e2e if name in FROM_DEBIAN else ()) for name in names]


@contextmanager
def started(folder: Callable[[str], Path]) -> Iterator[dict[str, Server]]:
    """Yield the servers by name, each started when it is first asked for; `folder` makes a folder for a name."""
    with ExitStack() as stack:

        class Started(dict[str, Server]):
            def __missing__(self, kind: str) -> Server:
                self[kind] = stack.enter_context(SERVERS[kind](folder(kind)))
                return self[kind]

        yield Started()
