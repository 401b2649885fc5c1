"""Which event loop the daemon takes mail in."""

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from daemons import free_place, serving
from imipd.cli.loop import loop_factory


def test_the_daemon_takes_uvloop_where_it_is_installed(tmp_path: Path) -> None:
    with serving(tmp_path, "http://127.0.0.1:9/", (free_place(),)) as daemon:
        (said,) = [line["of"] for line in daemon.logged() if line["event"] == "event loop"]
    assert said == ("uvloop" if find_spec("uvloop") else "asyncio.unix_events")


def test_without_it_asyncio_s_own_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory() is asyncio.new_event_loop
