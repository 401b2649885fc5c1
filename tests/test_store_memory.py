"""A calendar server that does not answer: what imipd had in hand is let go of with the answer to the MTA."""

import gc
import socket
import weakref
from collections.abc import Iterator

import pytest

from imipd.store import Home, UnreachableError
from imipd.store.caldav import CalDavStore


class Mail:
    """What somebody further out has in hand."""


@pytest.fixture(params=["silent", "refuses"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if request.param == "silent":
            server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_failed_request_holds_on_to_nobody(place: str) -> None:
    """Without waiting for the collector of circles, which may come many mails later."""
    store = CalDavStore()
    home = Home(place, "alice", "wonderland", timeout=0.2)

    def ask() -> "weakref.ref[Mail]":
        in_hand = Mail()
        with pytest.raises(UnreachableError):
            store.find(home, "x")
        return weakref.ref(in_hand)

    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()
        store.close()
