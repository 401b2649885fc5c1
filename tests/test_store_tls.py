"""CalDAV over TLS: whose certificate is accepted, and what is said of the others. Nothing is sent before that."""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from certificates import Certified, certified
from faults import UID, Liar, liar
from imipd.store import Home, UnreachableError
from imipd.store.caldav import CalDavStore
from servers import Server, radicale

HERE = "127.0.0.1"
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
ICALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:new\r\nDTSTAMP:20270101T000000Z\r\n"
    b"DTSTART:20270101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certified(tmp_path_factory.mktemp("certificates"), HERE)


@pytest.fixture
def store() -> Iterator[CalDavStore]:
    store = CalDavStore()
    yield store
    store.close()


def home(server: Liar, authority: Path | None) -> Home:
    return Home(server.url, "alice", "wonderland", timeout=10.0, ca_file=str(authority) if authority else None)


def context(files: Certified) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(files.certificate, files.key)
    return found


def test_a_real_server_with_a_certificate_of_our_own_authority(
    files: Certified, store: CalDavStore, tmp_path: Path
) -> None:
    with radicale(tmp_path, tls=files) as server:
        trusting = Home(server.url, "alice", server.users["alice"], ca_file=str(files.authority))
        assert _make_calendar(server, files) == 201
        written = store.create(trusting, "new", "VEVENT", ICALENDAR)
        assert [found.href for found in store.find(trusting, "new")] == [written.href]


def _make_calendar(server: Server, files: Certified) -> int:
    url = urlsplit(server.url)
    context = ssl.create_default_context(cafile=str(files.authority))
    login = b64encode(f"alice:{server.users['alice']}".encode()).decode()
    with closing(HTTPSConnection(url.hostname or "", url.port, context=context, timeout=20)) as connection:
        connection.request("MKCALENDAR", "/alice/work/", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status


def test_who_trusts_and_who_does_not_share_no_connection(files: Certified, store: CalDavStore) -> None:
    """An open connection that one account trusts is not used for another, in neither order."""
    with liar(context(files)) as server:
        for _ in range(2):
            with pytest.raises(UnreachableError, match="not accepted"):
                store.find(home(server, None), UID)
            assert server.asked == []
            assert store.find(home(server, files.authority), UID)
            server.asked.clear()


@pytest.mark.parametrize(
    ("names", "expires", "text"),
    [
        (("dav.example.org",), None, r"\(IP address mismatch, certificate is not valid for '127\.0\.0\.1'\)\. Renew"),
        ((HERE,), LONG_AGO, r"\(certificate has expired\)\. Renew or replace it on the server"),
    ],
    ids=["another-name", "expired"],
)
def test_a_certificate_for_another_name_or_time_is_refused(
    tmp_path: Path, store: CalDavStore, names: tuple[str, ...], expires: datetime | None, text: str
) -> None:
    files = certified(tmp_path, *names, expires=expires)
    with liar(context(files)) as server:
        with pytest.raises(UnreachableError, match=rf"PROPFIND https://\S+: the server's certificate is not .*{text}"):
            store.find(home(server, files.authority), UID)
        assert server.asked == []


def test_an_authority_that_nobody_named_is_refused(files: Certified, store: CalDavStore, tmp_path: Path) -> None:
    """Neither those of the system nor another one of our own vouch for it; what to write is said."""
    other = certified(tmp_path, HERE).authority
    with liar(context(files)) as server:
        for authority in (None, other):
            with pytest.raises(UnreachableError, match=r"name the issuer's certificate in caldav\.ca_file$"):
                store.find(home(server, authority), UID)
        assert server.asked == []


def test_a_server_that_speaks_no_tls_is_named(store: CalDavStore) -> None:
    with liar() as server:
        server.url = server.url.replace("http:", "https:")
        with pytest.raises(UnreachableError, match=r"no TLS \(WRONG_VERSION_NUMBER|no TLS \(RECORD_LAYER_FAILURE"):
            store.find(home(server, None), UID)
        assert server.asked == []
