"""Every real calendar server that the tests run, by name: from PyPI beside us, or from Debian's packages."""

from collections.abc import Callable
from contextlib import AbstractContextManager
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
