"""What bob shares with alice, to read or to write, is not hers: its events are bob's business (rule A7)."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import niquests
import pytest

from correspondence import UID, invited
from davical import davical
from imipd.store import Home
from imipd.store.caldav import CalDavStore
from servers import USERS, Server
from sogo import sogo

INVERSE = 'xmlns="urn:inverse:params:xml:ns:inverse-dav"'
LIST = b'<propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>'
SOGOS_RIGHTS = {"read": "<PublicViewer/>", "write": "<PublicModifier/><ObjectCreator/><ObjectEraser/>"}


def ask(method: str, url: str, user: str, body: str | bytes, kind: str = "application/xml", **headers: str) -> str:
    answer = niquests.request(
        method,
        url,
        data=body,
        auth=(user, USERS[user]),
        headers={"Content-Type": kind, **headers},
        timeout=20,
        retries=2,
    )
    answer.raise_for_status()
    return answer.text or ""


@contextmanager
def on_sogo(rights: str) -> Iterator[tuple[Server, str]]:
    """Let bob share his calendar, and alice subscribe to it."""
    with sogo() as server:
        calendar = f"{server.origin}/SOGo/dav/bob/Calendar/personal/"
        ask("POST", calendar, "bob", f'<acl-query {INVERSE}><add-user user="alice"/></acl-query>')
        roles = f'<set-roles user="alice">{SOGOS_RIGHTS[rights]}</set-roles>'
        ask("POST", calendar, "bob", f"<acl-query {INVERSE}>{roles}</acl-query>")
        ask("POST", calendar, "alice", f"<subscribe {INVERSE}/>")
        yield server, f"{calendar}x.ics"


@contextmanager
def on_davical(rights: str) -> Iterator[tuple[Server, str]]:
    """Let bob grant his calendar, and alice bind it into her home."""
    with davical() as server:
        calendar = f"{server.origin}/caldav.php/bob/calendar/"
        granted = "<privilege><read/></privilege>" + ("<privilege><write/></privilege>" if rights == "write" else "")
        who = "<principal><href>/caldav.php/alice/</href></principal>"
        ask("ACL", calendar, "bob", f'<acl xmlns="DAV:"><ace>{who}<grant>{granted}</grant></ace></acl>')
        bind = '<bind xmlns="DAV:"><segment>a-share</segment><href>/caldav.php/bob/calendar/</href></bind>'
        ask("BIND", f"{server.origin}/caldav.php/alice/", "alice", bind)
        yield server, f"{calendar}x.ics"


SHARING: dict[str, Callable[[str], AbstractContextManager[tuple[Server, str]]]] = {
    "sogo": on_sogo,
    "davical": on_davical,
}


@pytest.mark.e2e
@pytest.mark.parametrize("rights", SOGOS_RIGHTS)
@pytest.mark.parametrize("name", SHARING)
def test_a_shared_calendar_is_not_ours(name: str, rights: str) -> None:
    with SHARING[name](rights) as (server, place):
        ask("PUT", place, "bob", invited(), "text/calendar; charset=utf-8")
        home = f"{server.origin}{server.home.format(user='alice')}"
        seen = re.findall(r"href[^>]*>([^<]+/)<", ask("PROPFIND", home, "alice", LIST, Depth="1"))
        assert any("bob" in href or "share" in href for href in seen), seen
        alice = Home(server.url, "alice", USERS["alice"])
        with closing(CalDavStore()) as store:
            assert store.find(alice, UID) == ()
            assert not re.search("bob|share", store.destination(alice, "VEVENT"))
