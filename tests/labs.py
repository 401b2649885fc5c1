"""An account on a real calendar server: a store, and what the user's other clients do behind its back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from urllib.parse import quote

import niquests

from imipd.index import MemoryIndex
from imipd.store import Home
from imipd.store.caldav import CalDavStore
from servers import Server

NUMBERS = count()


@dataclass
class Real:
    """The lab on a real server."""

    server: Server
    store: CalDavStore = field(default_factory=lambda: CalDavStore(index=MemoryIndex()))
    home: Home = field(init=False)
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = Home(self.server.url, "alice", self.server.users["alice"])

    def add(self, name: str, *components: str) -> str:
        href = f"{self.server.home.format(user='alice')}{name.lower()}{next(NUMBERS)}/"
        comps = "".join(f'<C:comp name="{component}"/>' for component in components)
        takes = f"<C:supported-calendar-component-set>{comps}</C:supported-calendar-component-set>"
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f"<D:displayname>{name}</D:displayname>{takes if components else ''}</D:prop></D:set></C:mkcalendar>"
        )
        self.ask("MKCALENDAR", href, body.encode(), "application/xml")
        self.made.append(href)
        return href

    def put(self, collection: str, name: str, body: bytes) -> None:
        self.ask("PUT", collection + quote(name), body, "text/calendar")

    def move(self, href: str, to: str) -> None:
        self.ask("MOVE", href, headers={"Destination": self.server.origin + to, "Overwrite": "F"})

    def drop(self, href: str) -> None:
        self.ask("DELETE", href)

    def ask(
        self,
        method: str,
        href: str,
        body: bytes | None = None,
        content_type: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        answer = niquests.request(
            method,
            self.server.origin + href,
            data=body,
            headers={**headers, **({"Content-Type": content_type} if content_type else {})},
            auth=("alice", self.home.password),
            timeout=10,
        )
        assert answer.status_code in (200, 201, 204), (method, href, answer.status_code, answer.text)


@contextmanager
def opened(server: Server) -> Iterator[Real]:
    """An account with one calendar, ``Calendar``; what a test makes in it goes with the test."""
    real = Real(server)
    real.add("Calendar")
    yield real
    for href in real.made:
        niquests.delete(server.origin + href, auth=("alice", real.home.password), timeout=10).close()
    real.store.close()


def event(uid: str, summary: str = "Lunch", component: str = "VEVENT") -> bytes:
    """Return a calendar object."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//imipd//tests//EN",
        f"BEGIN:{component}",
        f"UID:{escaped(uid)}",
        "DTSTAMP:20260301T080000Z",
        "DTSTART:20260310T100000Z",
        "DURATION:PT1H",
        f"SUMMARY:{summary}",
        f"END:{component}",
        "END:VCALENDAR",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def escaped(text: str) -> str:
    """Return a TEXT value (RFC 5545 §3.3.11)."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
