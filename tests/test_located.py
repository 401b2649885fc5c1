"""`dns:example.org`: a domain's calendars are found by SRV and TXT, and nobody else gets the credentials (RFC 6764)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dns.rcode
import niquests
import pytest

from certificates import certified
from correspondence import UID, invited
from imipd.cli import assembly
from imipd.config import load
from imipd.store import Home, Place, RefusedError, UnreachableError
from imipd.store.caldav import CalDavStore
from imipd.store.located import DnsLocator
from names import answering
from servers import free_port, radicale


@pytest.fixture
def place() -> Iterator[str]:
    with answering(
        {
            "_caldavs._tcp.example.org SRV": [
                "10 1 443 b.example.org.",
                "5 1 8443 a.example.org.",
                "10 9 443 c.Example.ORG.",
            ],
            "_caldavs._tcp.example.org": ['"txtvers=1"', '"path=/dav/"'],
            "_caldavs._tcp.root.example SRV": ["0 0 443 root.example."],
            "_caldavs._tcp.none.example SRV": ["0 0 0 ."],
            "_caldavs._tcp.away.example SRV": ["0 0 443 dav.evil.example."],
            "_caldavs._tcp.near.example SRV": ["0 0 443 evilnear.example."],
            "_caldavs._tcp.fails.example SRV": dns.rcode.SERVFAIL,
        }
    ) as where:
        yield where


def test_the_places_of_a_domain_come_in_their_order(place: str) -> None:
    """By priority, then by weight; TXT says where below the root (RFC 6764 §4)."""
    locate = DnsLocator([place], 5)
    hosts = [("a.example.org", 8443), ("c.example.org", 443), ("b.example.org", 443)]
    assert locate("example.org") == tuple(Place(host, port, "/dav/") for host, port in hosts)
    assert locate("root.example") == (Place("root.example", 443, "/"),)


@pytest.mark.parametrize("domain", ["none.example", "unknown.example"])
def test_a_domain_may_have_none(place: str, domain: str) -> None:
    """A target of "." says so, as does no record (RFC 6764 §3)."""
    assert DnsLocator([place], 5)(domain) == ()
    store = CalDavStore(locate=DnsLocator([place], 5))
    with closing(store), pytest.raises(RefusedError, match=domain):
        store.find(Home(f"dns:{domain}", "alice", "wonderland"), UID)


@pytest.mark.parametrize(
    ("domain", "host"), [("away.example", "dav.evil.example"), ("near.example", "evilnear.example")]
)
def test_a_host_of_another_domain_gets_nothing(place: str, domain: str, host: str) -> None:
    """The DNS is not signed: who forges it would choose where the password goes (RFC 6764 §8)."""
    with pytest.raises(RefusedError, match=host):
        DnsLocator([place], 5)(domain)


def test_a_silent_dns_is_temporary(place: str) -> None:
    with pytest.raises(UnreachableError):
        DnsLocator([place], 5)("fails.example")


def test_a_real_server_is_found_by_its_domain(tmp_path: Path) -> None:
    """The first place is not within reach, the second is; its certificate is that of the host that was named."""
    files = certified(tmp_path / "certificates", "localhost")
    asked: list[str] = []
    with radicale(tmp_path, tls=files) as server:
        port = int(server.origin.rpartition(":")[2])

        def locate(domain: str) -> tuple[Place, ...]:
            asked.append(domain)
            return (Place("localhost", free_port(), "/"), Place("localhost", port, "/"))

        home = Home("dns:localhost", "alice", server.users["alice"], ca_file=str(files.authority))
        url = f"https://localhost:{port}/alice/work/"
        made = niquests.request(
            "MKCALENDAR", url, auth=("alice", home.password), verify=str(files.authority), timeout=20
        )
        made.raise_for_status()
        with closing(CalDavStore(locate=locate)) as store:
            written = store.create(home, UID, "VEVENT", invited())
            assert [stored.href for stored in store.find(home, UID)] == [written.href]
    assert set(asked) == {"localhost"}


def test_the_configuration_names_a_domain_and_who_is_asked(tmp_path: Path, place: str) -> None:
    file = tmp_path / "imipd.toml"
    file.write_text(
        f'[lmtp]\nlisten = "127.0.0.1:0"\n[ledger]\nurl = "sqlite:///{tmp_path}/l.db"\n[proof]\nresolver = "{place}"\n'
        '[caldav]\nurl = "dns:{domain}"\npassword = "any"\n[[account]]\naddresses = ["alice@away.example"]\n'
    )
    settings = load(file, {})
    account = assembly.directory(settings, {}).account_of("alice@away.example")
    assert account
    assert account.home.url == "dns:away.example"
    with closing(assembly.calendars(settings)) as store, pytest.raises(RefusedError, match=r"dav\.evil\.example"):
        store.find(account.home, UID)
