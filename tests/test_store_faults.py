"""Every fault of a calendar server has one meaning, and none is a lost write or garbage taken for an event."""

import hashlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest

from faults import (
    CALENDAR,
    HOME,
    ICALENDAR,
    OBJECT,
    PRINCIPAL,
    ROOT,
    TYPE,
    UID,
    Answered,
    Asked,
    Liar,
    Reset,
    Says,
    Silence,
    calendar,
    href,
    liar,
    multistatus,
    response,
)
from imipd.store import (
    ConflictError,
    Home,
    NoCalendarError,
    RefusedError,
    Stored,
    StoreError,
    UnreachableError,
    Written,
)
from imipd.store.caldav import CalDavStore
from imipd.store.turns import Waiting

A_PRINCIPAL = "<D:resourcetype><D:collection/><D:principal/></D:resourcetype>"
SECRET = "op€n-sesame"
ETAG = (("ETag", '"1"'),)
HTML = Says(200, b"<html><body>Please log in</body></html>", (("Content-Type", "text/html"), *ETAG))
STORED = Stored(OBJECT, '"1"', CALENDAR, ICALENDAR)
ELSEWHERE = "elsewhere"
"""A UID that is not where it most likely is: the server has to be asked for it."""
CHANGED = ICALENDAR.replace(b"Lunch", b"Dinner")
UID_CONFLICT = (
    b'<?xml version="1.0"?><error xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><C:no-uid-conflict/></error>'
)

FIND: dict[str, tuple[Answered, type[StoreError]]] = {
    "reset": (Reset(), UnreachableError),
    "silence": (Silence(), UnreachableError),
    "401": (Says(401), RefusedError),
    "301": (Says(301, headers=(("Location", "/elsewhere/"),)), RefusedError),
    "302": (Says(302, headers=(("Location", "/login"),)), RefusedError),
    "307": (Says(307, headers=(("Location", "http://evil.example/"),)), RefusedError),
    "400": (Says(400), RefusedError),
    "423": (Says(423), UnreachableError),
    "429": (Says(429), UnreachableError),
    "500": (Says(500), UnreachableError),
    "500 with a body": (Says(500, ICALENDAR, ETAG), UnreachableError),
    "503": (Says(503, headers=(("Retry-After", "3600"),)), UnreachableError),
    "204": (Says(204), UnreachableError),
    "html": (HTML, UnreachableError),
}
"""What a GET or REPORT may answer, and what that means."""
CUT: dict[str, Answered] = {
    "cut": Says(200, ICALENDAR, ETAG, cut=60),
    "cut without a length": Says(200, ICALENDAR, ETAG, cut=60, honest=False),
    "empty": Says(200, b"", ETAG),
    "206": Says(206, ICALENDAR, ETAG),
    "xml": Says(200, b"<?xml version='1.0'?><event/>", (("Content-Type", "text/xml"), *ETAG)),
    "cut xml": Says(200, b"<?xml version='1.0'?><event>", (("Content-Type", "text/xml"), *ETAG)),
}
MULTISTATUS = multistatus(response(OBJECT))
GARBLED: dict[str, Answered] = {
    "cut": Says(207, MULTISTATUS.body, MULTISTATUS.headers, cut=150),
    "cut without a length": Says(207, MULTISTATUS.body, MULTISTATUS.headers, cut=150, honest=False),
    "empty": Says(207, b""),
    "another document": Says(207, b"<html/>"),
    "entities": Says(207, b'<!DOCTYPE m [<!ENTITY a "aaaaaaaa">]>' + MULTISTATUS.body.replace(b"x.ics", b"&a;")),
    "a status without a code": Says(207, MULTISTATUS.body.replace(b"HTTP/1.1 200 Whatever", b"fine")),
    "a failed response": multistatus(
        f"<D:response><D:href>{OBJECT}</D:href><D:status>HTTP/1.1 507 Full</D:status></D:response>"
    ),
}
WRITE: dict[str, tuple[Answered, type[StoreError]]] = {
    "reset": (Reset(), UnreachableError),
    "silence": (Silence(), UnreachableError),
    "cut": (Says(201, b"done", cut=1), UnreachableError),
    "301": (Says(301, headers=(("Location", "/c/alice/work/y.ics"),)), RefusedError),
    "302": (Says(302, headers=(("Location", "/login"),)), RefusedError),
    "303": (Says(303, headers=(("Location", "/login"),)), RefusedError),
    "307": (Says(307, headers=(("Location", "http://evil.example/"),)), RefusedError),
    "308 to nonsense": (Says(308, headers=(("Location", "ftp://["),)), RefusedError),
    "302 to nowhere": (Says(302), RefusedError),
    "202": (Says(202), UnreachableError),
    "207": (MULTISTATUS, UnreachableError),
    "400": (Says(400), RefusedError),
    "401": (Says(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),)), RefusedError),
    "403": (Says(403), RefusedError),
    "403 no-uid-conflict": (Says(403, UID_CONFLICT), ConflictError),
    "404": (Says(404), ConflictError),
    "409": (Says(409), ConflictError),
    "409 no-uid-conflict": (Says(409, UID_CONFLICT), ConflictError),
    "410": (Says(410), ConflictError),
    "412": (Says(412), ConflictError),
    "412 no-uid-conflict": (Says(412, UID_CONFLICT), ConflictError),
    "413": (Says(413), RefusedError),
    "415": (Says(415), RefusedError),
    "423": (Says(423), UnreachableError),
    "429": (Says(429), UnreachableError),
    "500": (Says(500), UnreachableError),
    "500 with a body": (Says(500, b"Traceback", ETAG), UnreachableError),
    "503": (Says(503, headers=(("Retry-After", "3600"),)), UnreachableError),
    "507": (Says(507), UnreachableError),
}
"""What a PUT or DELETE may answer, and what that means."""


@pytest.fixture
def server() -> Iterator[Liar]:
    """A server without faults, yet."""
    with liar() as script:
        yield script


@pytest.fixture
def store() -> Iterator[CalDavStore]:
    """What is tested; it waits for nothing that is busy (tests/test_busy.py)."""
    store = CalDavStore(waiting=Waiting(seconds=0.0))
    yield store
    store.close()


@pytest.fixture
def home(server: Liar) -> Home:
    """The account, with little patience."""
    return Home(server.url, "alice", SECRET, timeout=1.5)


def test_without_faults_all_is_well(server: Liar, store: CalDavStore, home: Home) -> None:
    """The stage for everything below."""
    assert store.find(home, UID) == (STORED,)
    assert store.replace(home, STORED, CHANGED).href == OBJECT
    assert server.asked[-1].headers["If-Match"] == '"1"'
    assert server.asked[-1].body == CHANGED
    assert store.create(home, UID, "VEVENT", CHANGED).href == OBJECT
    assert server.asked[-1].headers["If-None-Match"] == "*"
    store.remove(home, STORED)
    assert server.asked[-1].headers["Schedule-Reply"] == "F"
    assert store.addresses(home) == ("alice@example.org",)


@pytest.mark.parametrize(("method", "fault"), list(product(("GET", "REPORT"), FIND)))
def test_a_fault_of_a_lookup(server: Liar, store: CalDavStore, home: Home, method: str, fault: str) -> None:
    """Never an empty tuple: that would end the mail's journey."""
    answer, meaning = FIND[fault]
    server.answers[method, OBJECT if method == "GET" else CALENDAR] = answer
    with pytest.raises(meaning) as caught:
        store.find(home, UID if method == "GET" else ELSEWHERE)
    assert not isinstance(caught.value, ConflictError)
    assert_tells_no_secret(caught.value)


@pytest.mark.parametrize("fault", CUT)
def test_what_is_no_whole_object_is_no_object(server: Liar, store: CalDavStore, home: Home, fault: str) -> None:
    """A body that was cut would be written back cut."""
    server.answers["GET", OBJECT] = CUT[fault]
    with pytest.raises(UnreachableError):
        store.find(home, UID)


@pytest.mark.parametrize(("path", "fault"), list(product((ROOT, PRINCIPAL, HOME, CALENDAR), GARBLED)))
def test_a_garbled_multistatus_says_nothing(
    server: Liar, store: CalDavStore, home: Home, path: str, fault: str
) -> None:
    """Half an answer is not a short one."""
    server.answers["REPORT" if path == CALENDAR else "PROPFIND", path] = GARBLED[fault]
    with pytest.raises(UnreachableError):
        store.find(home, ELSEWHERE)


@pytest.mark.parametrize(("path", "fault"), list(product((ROOT, PRINCIPAL, HOME), [*FIND, "403", "404"])))
def test_a_fault_of_discovery(server: Liar, store: CalDavStore, home: Home, path: str, fault: str) -> None:
    """403 and 404 of the calendar home are refusals; nothing is remembered of them."""
    good = server.answers["PROPFIND", path]
    answer, meaning = FIND.get(fault, (Says(int(fault[:3]) if fault[:3].isdigit() else 0), RefusedError))
    server.answers["PROPFIND", path] = answer
    with pytest.raises(meaning if fault != "301" else StoreError) as caught:
        store.find(home, UID)
    assert not isinstance(caught.value, NoCalendarError)
    assert_tells_no_secret(caught.value)
    server.answers["PROPFIND", path] = good
    assert store.find(home, UID) == (STORED,)


@pytest.mark.parametrize("fault", WRITE)
def test_a_fault_of_a_replace(server: Liar, store: CalDavStore, home: Home, fault: str) -> None:
    """Never success; and sent once more only where the connection ended without an answer."""
    server.answers["PUT", OBJECT], meaning = WRITE[fault]
    with pytest.raises(meaning) as caught:
        store.replace(home, STORED, CHANGED)
    assert server.times("PUT") == (2 if fault == "reset" else 1)
    assert_tells_no_secret(caught.value)


@pytest.mark.parametrize("fault", WRITE)
def test_a_fault_of_a_create(server: Liar, store: CalDavStore, home: Home, fault: str) -> None:
    """The same."""
    server.answers["PUT", OBJECT], meaning = WRITE[fault]
    with pytest.raises(meaning):
        store.create(home, UID, "VEVENT", CHANGED)
    assert server.times("PUT") == (2 if fault == "reset" else 1)


@pytest.mark.parametrize("fault", WRITE)
def test_a_fault_of_a_remove(server: Liar, store: CalDavStore, home: Home, fault: str) -> None:
    """The same."""
    server.answers["DELETE", OBJECT], meaning = WRITE[fault]
    with pytest.raises(meaning):
        store.remove(home, STORED)
    assert server.times("DELETE") == (2 if fault == "reset" else 1)


WRITES: dict[str, Callable[[CalDavStore, Home], object]] = {
    "replace": lambda store, home: store.replace(home, STORED, CHANGED),
    "create": lambda store, home: store.create(home, UID, "VEVENT", CHANGED),
    "remove": lambda store, home: store.remove(home, STORED),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_login_page_saves_nothing(server: Liar, store: CalDavStore, home: Home, write: str) -> None:
    """200 with HTML, to everything but discovery."""
    store.addresses(home)
    for method in ("GET", "PUT", "DELETE"):
        server.answers[method, OBJECT] = HTML
    with pytest.raises(UnreachableError):
        WRITES[write](store, home)


@pytest.mark.parametrize("write", ["replace", "remove"])
def test_a_200_without_effect_is_no_success(server: Liar, store: CalDavStore, home: Home, write: str) -> None:
    """The object is still as it was."""
    server.answers["PUT", OBJECT] = server.answers["DELETE", OBJECT] = Says(200)
    with pytest.raises(UnreachableError):
        WRITES[write](store, home)


def test_a_200_with_effect_is_success(server: Liar, store: CalDavStore, home: Home) -> None:
    """Radicale answers so to DELETE."""
    server.answers["PUT", OBJECT] = server.answers["DELETE", OBJECT] = Says(200)
    server.answers["GET", OBJECT] = Says(200, CHANGED, (("ETag", '"2"'),))
    store.replace(home, STORED, CHANGED)
    store.create(home, UID, "VEVENT", CHANGED)
    server.answers["GET", OBJECT] = Says(404)
    store.remove(home, STORED)


def test_a_refused_connection(store: CalDavStore) -> None:
    """Nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UnreachableError):
        store.find(Home(f"http://127.0.0.1:{port}/", "alice", SECRET), UID)


def test_an_answer_that_never_ends_is_ended(server: Liar, store: CalDavStore, home: Home) -> None:
    """The timeout counts for the whole answer, not for each byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        threading.Thread(target=_drip, args=(listener, server.over), daemon=True).start()
        with pytest.raises(UnreachableError, match="in time"):
            store.find(replace(home, url=url), UID)


def _drip(listener: socket.socket, over: threading.Event) -> None:
    """Send a byte every now and then."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            if over.wait(0.05):
                return
            try:
                connection.sendall(b" ")
            except OSError:
                return


@pytest.mark.parametrize("write", WRITES)
def test_a_write_survives_one_reset(server: Liar, store: CalDavStore, home: Home, write: str) -> None:
    """Sent again under the same condition: if the first had arrived, this one would be a conflict."""
    store.addresses(home)
    before = len(server.asked)
    answers: dict[str, list[Answered]] = {method: [Says(204), Reset()] for method in ("PUT", "DELETE")}
    for method in answers:
        server.answers[method, OBJECT] = lambda asked: answers[asked.method].pop()
    WRITES[write](store, home)
    first, again = server.asked[before:]
    assert (first.method, first.headers, first.body) == (again.method, again.headers, again.body)
    assert {"If-Match", "If-None-Match"} & set(again.headers)


def test_a_read_survives_one_reset(server: Liar, store: CalDavStore, home: Home) -> None:
    """SOGo's workers reset a kept-alive connection now and then."""
    answers: list[Answered] = [Says(200, ICALENDAR, ETAG), Reset()]
    server.answers["GET", OBJECT] = lambda _asked: answers.pop()
    assert store.find(home, UID) == (STORED,)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_goes_nowhere_else(server: Liar, store: CalDavStore, home: Home, write: str) -> None:
    """Neither a GET in its place nor an empty PUT follows a redirect."""
    away = Says(301, headers=(("Location", "/c/alice/work/y.ics"),))
    store.addresses(home)
    server.answers["PUT", OBJECT] = server.answers["DELETE", OBJECT] = away
    before = len(server.asked)
    with pytest.raises(RefusedError, match=r"y\.ics"):
        WRITES[write](store, home)
    assert len(server.asked) == before + 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_discovery_follows_on_this_host(server: Liar, store: CalDavStore, home: Home, status: int) -> None:
    """RFC 6764 §5: the well-known URI redirects to the context path."""
    server.answers["PROPFIND", "/dav/"] = server.answers["PROPFIND", ROOT]
    server.answers["PROPFIND", ROOT] = Says(404)
    server.answers["PROPFIND", "/.well-known/caldav"] = Says(status, headers=(("Location", "/dav/"),))
    assert store.find(home, UID) == (STORED,)


def test_discovery_does_not_follow_for_ever(server: Liar, store: CalDavStore, home: Home) -> None:
    """A loop is a refusal."""
    server.answers["PROPFIND", ROOT] = Says(302, headers=(("Location", "/"),))
    with pytest.raises(RefusedError, match="over and over"):
        store.find(home, UID)


def test_credentials_stay_on_their_host(server: Liar, store: CalDavStore, home: Home) -> None:
    """Neither a redirect nor an href carries them to another server, be it the same host's other port."""
    with liar() as other:
        away = other.url.replace("127.0.0.1", "localhost")
        good = dict(server.answers)
        lies: list[tuple[str, str, Answered]] = [
            ("PROPFIND", ROOT, Says(302, headers=(("Location", away),))),
            ("PROPFIND", ROOT, Says(302, headers=(("Location", other.url),))),
            ("PROPFIND", ROOT, multistatus(response(ROOT, href("D:current-user-principal", away + "p/")))),
            ("PROPFIND", PRINCIPAL, multistatus(response(PRINCIPAL, href("C:calendar-home-set", away + "c/")))),
            ("PROPFIND", HOME, multistatus(calendar(away + "c/alice/work/"))),
            ("REPORT", CALENDAR, multistatus(response(away + "x.ics"))),
            ("REPORT", CALENDAR, multistatus(response(away.removeprefix("http:") + "x.ics"))),
            ("GET", OBJECT, Says(302, headers=(("Location", away),))),
        ]
        for method, path, lie in lies:
            server.answers = {**good, (method, path): lie}
            with pytest.raises(RefusedError):
                store.find(home, UID if method == "GET" else ELSEWHERE)
        assert other.asked == []


def test_an_href_may_name_the_proxy_wrongly(server: Liar, store: CalDavStore, home: Home) -> None:
    """Behind a proxy the server believes in another scheme and port; the path is what counts."""
    server.answers["REPORT", CALENDAR] = multistatus(response(f"https://127.0.0.1:8443{OBJECT}"))
    assert store.find(home, UID) == (STORED,)


def test_digest_is_spoken_where_basic_is_not(server: Liar, store: CalDavStore, home: Home) -> None:
    """sabre's default; RFC 7616."""
    challenge = Says(401, headers=(("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'),))

    def guarded(answer: Answered) -> Callable[[Asked], Answered]:
        return lambda asked: answer if _digest_fits(asked) else challenge

    server.answers = {key: guarded(answer) for key, answer in server.answers.items()}  # type: ignore[arg-type]
    assert store.find(home, UID) == (STORED,)
    store.replace(home, STORED, CHANGED)
    assert server.asked[-1].body == CHANGED
    with pytest.raises(RefusedError, match="401"):
        store.find(replace(home, password="wrong"), UID)


def _digest_fits(asked: Asked) -> bool:
    """Return whether a request's Digest response is right."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    scheme, _, fields = asked.headers.get("Authorization", "").partition(" ")
    values = dict(field.strip().split("=", 1) for field in fields.split(",") if "=" in field)
    value = {name: text.strip('"') for name, text in values.items()}
    if scheme != "Digest":
        return False
    parts = (md5(f"alice:r:{SECRET}"), "n", value["nc"], value["cnonce"], "auth", md5(f"{asked.method}:{asked.path}"))
    return value["response"] == md5(":".join(parts))


def test_an_etag_that_get_withholds_is_asked_for(server: Liar, store: CalDavStore, home: Home) -> None:
    """Before the body that it belongs to is read: a change in between must fail the write."""
    server.answers["GET", OBJECT] = Says(200, ICALENDAR)
    server.answers["PROPFIND", OBJECT] = multistatus(response(OBJECT, '<D:getetag>"7"</D:getetag>'))
    (stored,) = store.find(home, UID)
    assert stored.etag == '"7"'
    assert [asked.method for asked in server.asked][-2:] == ["PROPFIND", "GET"]


def test_without_any_etag_nothing_is_handed_out(server: Liar, store: CalDavStore, home: Home) -> None:
    """A write could not be made conditional."""
    server.answers["GET", OBJECT] = Says(200, ICALENDAR)
    server.answers["PROPFIND", OBJECT] = multistatus(response(OBJECT, "<D:getetag/>", 404))
    with pytest.raises(RefusedError, match="ETag"):
        store.find(home, UID)


def test_a_weak_etag_is_used_as_strong(server: Liar, store: CalDavStore, home: Home) -> None:
    """If-Match never matches a weak one (RFC 9110 §13.1.1)."""
    server.answers["GET", OBJECT] = Says(200, ICALENDAR, (("ETag", 'W/"1"'),))
    assert store.find(home, UID)[0].etag == '"1"'


OTHERS = "/c/alice/others/"


@pytest.mark.parametrize(
    "other",
    [
        calendar(OTHERS, owner="/p/bob/"),
        calendar(OTHERS, href("D:current-user-privilege-set")).replace(
            "<D:current-user-privilege-set>",
            "<D:current-user-privilege-set><D:privilege><D:read/></D:privilege>",
        ),
        calendar(OTHERS, owner="").replace("<C:calendar/>", "<C:calendar/><CS:shared/>"),
        calendar(OTHERS).replace("<C:calendar/>", "<C:schedule-inbox/>"),
        calendar(OTHERS).replace("<C:calendar/>", ""),
    ],
    ids=["of another owner", "read-only", "shared", "inbox", "no calendar"],
)
def test_only_own_calendars_are_looked_at(server: Liar, store: CalDavStore, home: Home, other: str) -> None:
    """Rule A7."""
    server.answers["PROPFIND", HOME] = multistatus(calendar(CALENDAR), other)
    assert store.find(home, UID) == (STORED,)
    server.answers["PROPFIND", HOME] = multistatus(other)
    with pytest.raises(NoCalendarError):
        CalDavStore().find(home, UID)


def test_without_owner_the_home_set_decides(server: Liar, store: CalDavStore, home: Home) -> None:
    """A server may tell no DAV:owner (Xandikos: 501)."""
    server.answers["PROPFIND", HOME] = multistatus(calendar(CALENDAR, owner=""))
    assert store.find(home, UID) == (STORED,)


def test_the_owner_of_the_root_does_not_matter(server: Liar, store: CalDavStore, home: Home) -> None:
    """Administrators own roots."""
    root = response(ROOT, TYPE + href("D:owner", "/p/root/") + href("D:current-user-principal", PRINCIPAL))
    server.answers["PROPFIND", ROOT] = multistatus(root)
    assert store.find(home, UID) == (STORED,)


def test_a_url_that_is_a_principal_is_the_account(server: Liar, store: CalDavStore, home: Home) -> None:
    """Whoever logs in: Xandikos without a proxy names one principal to all."""
    bob = href("D:current-user-principal", PRINCIPAL) + href("C:calendar-home-set", "/c/bob/")
    server.answers["PROPFIND", "/p/bob/"] = multistatus(response("/p/bob/", A_PRINCIPAL + bob))
    server.answers["PROPFIND", "/c/bob/"] = multistatus(calendar("/c/bob/work/", owner="/p/bob/"))
    server.answers["PUT", "/c/bob/work/x.ics"] = Says(201)
    assert store.create(replace(home, url=server.url + "p/bob/"), UID, "VEVENT", ICALENDAR).href == "/c/bob/work/x.ics"


@pytest.mark.parametrize("owner", ["", href("D:owner", "/p/bob/")])
def test_an_empty_home_of_somebody_else_is_no_calendar(
    server: Liar, store: CalDavStore, home: Home, owner: str
) -> None:
    """Not the calendar of whoever logs in."""
    itself = response("/c/bob/", TYPE + href("D:current-user-principal", PRINCIPAL) + owner)
    server.answers["PROPFIND", "/c/bob/"] = multistatus(itself)
    with pytest.raises(NoCalendarError):
        store.find(replace(home, url=server.url + "c/bob/"), UID)


@pytest.mark.parametrize("path", ["c/bob/", "c/bob/work/"])
def test_a_url_outside_the_home_set_means_itself(server: Liar, store: CalDavStore, home: Home, path: str) -> None:
    """One login that serves several people must not write to its own calendar."""
    bobs = calendar("/c/bob/work/", owner="/p/bob/")
    itself = response(f"/{path}", href("D:current-user-principal", PRINCIPAL) + href("D:owner", "/p/bob/"))
    listing = multistatus(bobs) if path.endswith("work/") else multistatus(response("/c/bob/", TYPE), bobs)

    def answer(asked: Asked) -> Answered:
        return listing if b"displayname" in asked.body else multistatus(itself)

    server.answers["PROPFIND", f"/{path}"] = answer
    server.answers["REPORT", "/c/bob/work/"] = multistatus()
    assert store.find(replace(home, url=server.url + path), UID) == ()
    assert [asked.path for asked in server.asked if asked.method == "REPORT"] == ["/c/bob/work/"] * 2
    assert all(asked.path != CALENDAR for asked in server.asked)


def test_a_new_object_goes_to_the_servers_default(server: Liar, store: CalDavStore, home: Home) -> None:
    """RFC 6638 §9.2, when none is configured; a task goes where tasks are taken (rule S1)."""
    events = '<C:supported-calendar-component-set><C:comp name="VEVENT"/></C:supported-calendar-component-set>'
    server.answers["PROPFIND", PRINCIPAL] = multistatus(
        response(PRINCIPAL, href("C:calendar-home-set", HOME) + href("C:schedule-inbox-URL", "/inbox/"))
    )
    default = href("C:schedule-default-calendar-URL", "/c/alice/zebra")
    server.answers["PROPFIND", "/inbox/"] = multistatus(response("/inbox/", default))
    server.answers["PROPFIND", HOME] = multistatus(calendar(CALENDAR), calendar("/c/alice/zebra/", events))
    server.answers["PUT", "/c/alice/zebra/x.ics"] = Says(201)
    assert store.create(home, UID, "VEVENT", ICALENDAR).href == "/c/alice/zebra/x.ics"
    assert store.create(home, UID, "VTODO", ICALENDAR).href == OBJECT
    assert store.create(replace(home, calendar=CALENDAR), UID, "VEVENT", ICALENDAR).href == OBJECT


def test_a_uid_filter_that_is_ignored_harms_nothing(server: Liar, store: CalDavStore, home: Home) -> None:
    """Many candidates are asked for at once, not one GET for each of them."""
    others = [f"{CALENDAR}{number}.ics" for number in range(30)]

    def answer(asked: Asked) -> Answered:
        contents = {path: ICALENDAR.replace(b"UID:x", b"UID:other") for path in others} | {OBJECT: ICALENDAR}
        data = "<C:calendar-data>{}</C:calendar-data>" if b"calendar-data" in asked.body else ""
        return multistatus(*(response(path, data.format(body.decode())) for path, body in contents.items()))

    server.answers["REPORT", CALENDAR] = answer
    assert store.find(home, UID) == (STORED,)
    assert server.times("GET") == 1


def test_what_vanishes_meanwhile_is_looked_for_again(server: Liar, store: CalDavStore, home: Home) -> None:
    """Deleted, or moved to another calendar: asked once more, then the answer counts."""
    moved = CALENDAR + "moved.ics"
    server.answers["GET", moved] = server.answers["GET", OBJECT]
    server.answers["GET", OBJECT] = Says(404)
    answers = [multistatus(response(moved))] * 2 + [multistatus(response(OBJECT))] * 2
    server.answers["REPORT", CALENDAR] = lambda _asked: answers.pop()
    assert [stored.href for stored in store.find(home, UID)] == [moved]


@pytest.mark.parametrize(("said", "etag"), [((), ""), ((("ETag", '"2"'),), '"2"'), ((("ETag", 'W/"2"'),), '"2"')])
def test_a_server_may_name_the_version_that_a_write_left(
    server: Liar, store: CalDavStore, home: Home, said: tuple[tuple[str, str], ...], etag: str
) -> None:
    """Cyrus never does; a compressing proxy weakens it. What was not said is not guessed."""
    server.answers["PUT", OBJECT] = Says(204, headers=said)
    assert store.replace(home, STORED, CHANGED) == Written(OBJECT, etag)


def test_a_refused_write_is_discovered_anew(server: Liar, store: CalDavStore, home: Home) -> None:
    """What was remembered may be why it was refused."""
    store.addresses(home)
    server.answers["PUT", OBJECT] = Says(403)
    before = server.times("PROPFIND")
    with pytest.raises(RefusedError):
        store.replace(home, STORED, CHANGED)
    assert server.times("PROPFIND") == before
    store.addresses(home)
    assert server.times("PROPFIND") == 2 * before


def test_discovery_is_remembered(server: Liar, store: CalDavStore, home: Home) -> None:
    """Two lookups, one discovery; none is remembered for longer than asked."""
    store.find(home, UID)
    before = server.times("PROPFIND")
    store.find(home, UID)
    assert server.times("PROPFIND") == before
    forgetful = CalDavStore(remember=0)
    forgetful.find(home, UID)
    forgetful.find(home, UID)
    assert server.times("PROPFIND") == 3 * before


def test_a_miss_costs_one_listing(server: Liar, store: CalDavStore, home: Home) -> None:
    """It tells which calendars came since discovery; only where the home is not there any more all is asked anew."""
    store.addresses(home)
    before = server.times("PROPFIND")
    assert store.find(home, "unknown") == ()
    assert server.times("PROPFIND") == before + 1
    server.answers["PROPFIND", HOME] = multistatus(calendar(CALENDAR), calendar(OTHERS))
    server.answers["REPORT", OTHERS] = multistatus(response(OTHERS + "new.ics"))
    server.answers["GET", OTHERS + "new.ics"] = Says(200, ICALENDAR.replace(b"UID:x", b"UID:new"), ETAG)
    assert [stored.collection for stored in store.find(home, "new")] == [OTHERS]
    assert server.times("PROPFIND") == before + 2
    moved = "/moved/alice/"
    server.answers["PROPFIND", moved] = server.answers.pop(("PROPFIND", HOME))
    server.answers["PROPFIND", PRINCIPAL] = multistatus(response(PRINCIPAL, href("C:calendar-home-set", moved)))
    assert store.find(home, "unknown") == ()


def test_line_ends_stay_as_they_are(server: Liar, store: CalDavStore, home: Home) -> None:
    """In both directions: what is decided on is what is stored, what is written is what was decided."""
    odd = ICALENDAR.replace(b"Lunch\r\n", b"Lunch\nX-A:1\r\n")
    server.answers["GET", OBJECT] = Says(200, odd, ETAG)
    (stored,) = store.find(home, UID)
    assert stored.body == odd
    store.replace(home, stored, odd)
    assert server.asked[-1].body == odd


def test_what_cannot_be_sent_is_refused(server: Liar, store: CalDavStore, home: Home) -> None:
    """A body that is not UTF-8, a UID that XML cannot carry."""
    with pytest.raises(RefusedError, match="UTF-8"):
        store.replace(home, STORED, CHANGED + b"\xff")
    with pytest.raises(RefusedError, match="UID"):
        store.find(home, "a\x01b")
    assert server.times("PUT") == 0


def test_nothing_of_a_calendar_is_logged(
    server: Liar, store: CalDavStore, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor a password, at any level."""
    with caplog.at_level(logging.DEBUG):
        store.find(home, UID)
        store.replace(home, STORED, CHANGED)
        server.answers["GET", OBJECT] = Says(200, ICALENDAR, (*ETAG, ("Content-Type", "text/html")))
        store.find(home, UID)
    assert "Lunch" not in caplog.text
    assert "Dinner" not in caplog.text
    assert SECRET not in caplog.text


def test_credentials_in_the_url_are_not_told(store: CalDavStore) -> None:
    """They are not used either."""
    with pytest.raises(UnreachableError) as caught:
        store.find(Home("http://eve:hush@127.0.0.1:1/", "alice", SECRET), UID)
    assert "hush" not in str(caught.value)


def assert_tells_no_secret(error: BaseException) -> None:
    """Look through an error and its causes."""
    told: BaseException | None = error
    while told:
        assert SECRET not in f"{told!s}{told!r}"
        told = told.__cause__
