"""Neither a UID, which a stranger chooses, nor an href, which a server does, gets into a request line unquoted (S2)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote
from xml.sax.saxutils import escape

import pytest

from faults import CALENDAR, ICALENDAR, OBJECT, Liar, calendar, liar, multistatus, response
from imipd.store import Home, RefusedError, Stored, StoreError
from imipd.store.caldav import CalDavStore

LINE = re.compile(rb"[A-Z]+ /(?:[A-Za-z0-9/:@!$&'()*+,;=~._?-]|%[0-9A-Fa-f]{2})* HTTP/1\.1\r\n")
"""RFC 9112 §3.2.1, RFC 3986 §3.3."""
UIDS = (
    "../../etc/passwd",
    "..",
    ".",
    ".hidden",
    "a/../../b",
    "%2e%2e%2f",
    "%00",
    "a?b=c",
    "a#b",
    "a;b=c",
    "a b",
    "a\tb",
    "a\\..\\b",
    "a\r\nDELETE /c/alice/work/x.ics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a HTTP/1.1\r\nX-Injected: 1",
    "//evil.example/x",
    "http://evil.example/x",
    "@evil.example/",
    "\U0001f389",
    "\u202e\u2028",
    "]]></c:text-match><x/>",
    "<!DOCTYPE x>",
    "&lt;&#0;",
    '"><script>',
    "${jndi:ldap://evil.example}",
    "L" * 10_000,
    "é" * 300,
    "\x00\x1b",
    "\ud800",
    "",
    " ",
)
HREFS = (
    f"{CALENDAR}a b.ics",
    f"{CALENDAR}a\r\nX-Injected: 1.ics",
    f"{CALENDAR}a%0d%0aX.ics",
    f"{CALENDAR}ü\u202e\U0001f389.ics",
    f"{CALENDAR}a#b.ics",
    f"{CALENDAR}a?b#c d",
    f"{CALENDAR}a\\b|c^d`e{{f}}.ics",
    f'{CALENDAR}"<>.ics',
    f"{CALENDAR}../../etc/passwd",
    f"{CALENDAR}%2e%2e/x.ics",
    "x HTTP/1.1",
    "?only=a query",
    "\\\\evil.example\\x",
)
ELSEWHERE = (
    "http://evil.example/x.ics",
    "//evil.example/x.ics",
    "//alice@evil.example/x.ics",
    "http://[::1/x.ics",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://127.0.0.1:99999/",
    "gopher://127.0.0.1/",
)


@pytest.fixture
def server() -> Iterator[Liar]:
    with liar() as script:
        yield script


@pytest.fixture
def store() -> Iterator[CalDavStore]:
    store = CalDavStore()
    yield store
    store.close()


@pytest.fixture
def home(server: Liar) -> Home:
    return Home(server.url, "alice", "secret", timeout=5)


@pytest.mark.parametrize("uid", UIDS, ids=[repr(uid)[:30] for uid in UIDS])
def test_a_uid_never_reaches_a_request_line_unquoted(server: Liar, store: CalDavStore, home: Home, uid: str) -> None:
    """A new object is one file in the calendar, and the query for it is XML of one UID."""
    with suppress(StoreError):
        store.find(home, uid)
    with suppress(StoreError):
        store.create(home, uid, "VEVENT", ICALENDAR)
    assert _all_are_requests(server) >= 4
    (path,) = {asked.path for asked in server.asked if asked.method == "PUT"}
    name = unquote(path.removeprefix(CALENDAR))
    assert path.startswith(CALENDAR)
    assert re.fullmatch(r"(?!\.)[A-Za-z0-9@._-]{1,200}\.ics", name)


@pytest.mark.parametrize("href", HREFS)
def test_an_href_never_reaches_a_request_line_unquoted(server: Liar, store: CalDavStore, home: Home, href: str) -> None:
    """Whatever a server calls its objects and calendars: one request is one request."""
    server.answers["REPORT", CALENDAR] = multistatus(response(escape(href), "<D:getetag>1</D:getetag>"))
    del server.answers["GET", OBJECT]  # where it would be found without a query
    with suppress(StoreError):
        for stored in store.find(home, "x"):
            store.replace(home, stored, ICALENDAR)
    with suppress(StoreError):
        store.remove(home, Stored(f"{CALENDAR}x.ics", '"1"\r\nX-Injected: 1', CALENDAR, ICALENDAR))
    assert _all_are_requests(server) >= 5
    server.answers["PROPFIND", "/c/alice/"] = multistatus(calendar(escape(href)))
    other = CalDavStore(remember=0)
    with suppress(StoreError):
        other.create(home, "x", "VEVENT", ICALENDAR)
    other.close()
    _all_are_requests(server)


@pytest.mark.parametrize("href", ELSEWHERE)
def test_an_href_elsewhere_is_refused(server: Liar, store: CalDavStore, home: Home, href: str) -> None:
    """Nobody but the configured host is asked, whatever it says."""
    server.answers["REPORT", CALENDAR] = multistatus(response(escape(href), "<D:getetag>1</D:getetag>"))
    with pytest.raises(RefusedError):
        store.find(home, "y")
    assert [asked.path for asked in server.asked if asked.method == "GET"] == [f"{CALENDAR}y.ics"]


def _all_are_requests(server: Liar) -> int:
    """Check every request line that was seen on the wire, and that no header was added; return how many there were."""
    assert [line for line in server.lines if not LINE.fullmatch(line)] == []
    assert not any("injected" in name.lower() for asked in server.asked for name in asked.headers)
    return len(server.lines)
