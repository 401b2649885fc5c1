"""Who is known: contacts and events are found alike by the fake and by every real server (Q2)."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

import niquests
import pytest

from calendars import servers, started
from imipd.store import Home, Store
from imipd.store.body import addresses
from imipd.store.caldav import CalDavStore
from imipd.store.memory import MemoryStore
from servers import Server, radicale

NUMBERS = count()
BOOK = (
    b'<D:mkcol xmlns:D="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"><D:set><D:prop><D:resourcetype>'
    b"<D:collection/><CR:addressbook/></D:resourcetype></D:prop></D:set></D:mkcol>"
)
HOMES = {
    "radicale": "/{user}/",
    "xandikos": "/{user}/contacts/",
    "cyrus": "/dav/addressbooks/user/{user}/",
    "davical": "/caldav.php/{user}/",
    "sogo": "/SOGo/dav/{user}/Contacts/",
}


class Lab(Protocol):
    """A store, and what the user's other clients put there."""

    @property
    def store(self) -> Store: ...

    @property
    def home(self) -> Home: ...

    def keep_card(self, *lines: str) -> None:
        """Put a contact into an address book of alice's, which is made when first needed."""

    def keep_event(self, *lines: str) -> None:
        """Put an event into alice's calendar."""


@dataclass
class Fake:
    store: MemoryStore = field(default_factory=MemoryStore)
    home: Home = field(default_factory=lambda: Home("memory:", "alice", "wonderland"))
    known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.calendar = self.store.add_collection("alice", "Calendar")

    def keep_card(self, *lines: str) -> None:
        self.known |= addresses(card(*lines))
        self.store.add_contacts("alice", *self.known)

    def keep_event(self, *lines: str) -> None:
        self.store.put(self.calendar, f"{next(NUMBERS)}.ics", event(*lines))


@dataclass
class Real:
    kind: str
    server: Server
    store: CalDavStore = field(default_factory=CalDavStore)
    book: str = ""

    def __post_init__(self) -> None:
        self.home = Home(self.server.url, "alice", self.server.users["alice"])
        self.calendar = f"{self.server.home.format(user='alice')}calendar{next(NUMBERS)}/"
        self.ask("MKCALENDAR", self.calendar)

    def keep_card(self, *lines: str) -> None:
        if not self.book:
            self.book = self.add_book("alice")
        self.ask("PUT", f"{self.book}{next(NUMBERS)}.vcf", card(*lines), "text/vcard")

    def keep_event(self, *lines: str) -> None:
        self.ask("PUT", f"{self.calendar}{next(NUMBERS)}.ics", event(*lines), "text/calendar")

    def add_book(self, user: str) -> str:
        href = f"{HOMES[self.kind].format(user=user)}book{next(NUMBERS)}/"
        self.ask("MKCOL", href, BOOK, "application/xml", user)
        return href

    def ask(self, method: str, href: str, body: bytes = b"", content_type: str = "", user: str = "alice") -> None:
        answer = niquests.request(
            method,
            self.server.origin + href,
            data=body or None,
            headers={"Content-Type": content_type} if content_type else {},
            auth=(user, self.server.users.get(user, "")),
            timeout=10,
        )
        assert answer.status_code in (200, 201, 204), (method, href, answer.status_code, answer.text)

    def close(self) -> None:
        for href in filter(None, (self.book, self.calendar)):
            self.ask("DELETE", href)
        self.store.close()


def card(*lines: str) -> bytes:
    """Return a vCard."""
    head = "BEGIN:VCARD", "VERSION:3.0", f"UID:{next(NUMBERS)}", "FN:Bob", "N:Bob;;;;"
    return "".join(f"{line}\r\n" for line in (*head, *lines, "END:VCARD")).encode()


def event(*lines: str) -> bytes:
    """Return an event with these further lines."""
    head = "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//imipd//tests//EN", "BEGIN:VEVENT", f"UID:{next(NUMBERS)}"
    times = "DTSTAMP:20270104T080000Z", "DTSTART:20270112T090000Z", "DURATION:PT1H"
    return "".join(f"{line}\r\n" for line in (*head, *times, *lines, "END:VEVENT", "END:VCALENDAR")).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """The servers, started when first needed."""
    with started(tmp_path_factory.mktemp) as found:
        yield found


@pytest.fixture(params=servers(fake=True))
def lab(request: pytest.FixtureRequest, running: dict[str, Server]) -> Iterator[Lab]:
    """An account with one calendar; what a test makes in it goes with the test."""
    if request.param == "memory":
        yield Fake()
        return
    with closing(Real(request.param, running[request.param])) as real:
        yield real


@pytest.fixture(params=servers())
def real(request: pytest.FixtureRequest, running: dict[str, Server]) -> Iterator[Real]:
    """The same on real servers alone."""
    with closing(Real(request.param, running[request.param])) as real:
        yield real


def test_without_a_card_nobody_is_a_contact(lab: Lab) -> None:
    """Radicale has no address book until a client makes one, Xandikos an empty one."""
    assert len(lab.store.address_books(lab.home)) <= 1
    assert not lab.store.has_contact(lab.home, "bob@example.net")


def test_an_address_book_is_found(lab: Lab) -> None:
    """`imipd check` tells it."""
    before = set(lab.store.address_books(lab.home))
    lab.keep_card("EMAIL:bob@example.net")
    (book,) = set(lab.store.address_books(lab.home)) - before
    assert "/alice/" in book
    assert book.endswith("/")


@pytest.mark.parametrize(
    "lines",
    [
        ("EMAIL:bob@example.net",),
        ("EMAIL;TYPE=INTERNET,WORK:Bob@Example.NET",),
        ("EMAIL:carol@example.com", "EMAIL;TYPE=HOME:bob@example.net"),
        ("EMAIL;TYPE=INTERNET;TYPE=HOME;X-NOTE=a-rather-long-one-that-is-not-on-one-line:bob", " @example.net"),
        ('EMAIL;X-NOTE="a:b":bob@example.net',),
    ],
    ids=["plain", "in capitals", "second of two", "folded", "behind a quoted colon"],
)
def test_a_contact_is_known_by_each_of_his_addresses(lab: Lab, lines: tuple[str, ...]) -> None:
    lab.keep_card(*lines)
    assert lab.store.has_contact(lab.home, "bob@example.net")


def test_an_address_in_a_group_is_found(lab: Lab) -> None:
    """Apple's Contacts writes it so; Cyrus 3.6 alone does not look there (RFC 6352 §10.5.1)."""
    lab.keep_card("item1.EMAIL;TYPE=pref:bob@example.net", "item1.X-ABLabel:Work")
    is_blind = isinstance(lab, Real) and lab.kind == "cyrus"
    assert lab.store.has_contact(lab.home, "bob@example.net") is not is_blind


@pytest.mark.parametrize(
    "line",
    [
        "EMAIL:bob@example.net.evil.example",
        "EMAIL:rob.bob@example.net",
        "EMAIL:bob+work@example.net",
        "NOTE:bob@example.net",
        "X-EMAIL:bob@example.net",
        "EMAIL;X-WAS=bob@example.net:bob@example.com",
        "URL:mailto:bob@example.net",
    ],
)
def test_no_other_address_and_no_other_property_makes_a_contact(lab: Lab, line: str) -> None:
    """Servers look for text; what they found is looked at again."""
    lab.keep_card(line, "EMAIL:carol@example.com")
    assert lab.store.has_contact(lab.home, "carol@example.com")
    assert not lab.store.has_contact(lab.home, "bob@example.net")


def test_gmail_is_googlemail(lab: Lab) -> None:
    """As it is everywhere else."""
    lab.keep_card("EMAIL:Bob@GoogleMail.com")
    assert lab.store.has_contact(lab.home, "bob@gmail.com")


def test_an_answer_is_remembered_for_a_while(real: Real) -> None:
    """A mailing to many does not cost a lookup each; a store that remembers nothing asks again."""
    real.keep_card("EMAIL:carol@example.com")
    assert not real.store.has_contact(real.home, "bob@example.net")
    real.keep_card("EMAIL:bob@example.net")
    assert not real.store.has_contact(real.home, "bob@example.net")
    with closing(CalDavStore(remember=0)) as forgetful:
        assert forgetful.has_contact(real.home, "bob@example.net")
        real.ask("DELETE", real.book)
        real.book = ""
        assert not forgetful.has_contact(real.home, "bob@example.net")


def test_the_address_book_of_another_user_is_not_looked_at(tmp_path: Path) -> None:
    """Bob's contacts make nobody known to Alice."""
    with radicale(tmp_path) as server, closing(Real("radicale", server)) as real:
        real.ask("PUT", f"{real.add_book('bob')}1.vcf", card("EMAIL:bob@example.net"), "text/vcard", "bob")
        assert real.store.address_books(real.home) == ()
        assert not real.store.has_contact(real.home, "bob@example.net")


PARTIES = "ORGANIZER;CN=Bob:mailto:Bob@Example.net", "ATTENDEE:mailto:alice@example.org"


def test_events_that_name_an_address_are_found(lab: Lab) -> None:
    """As ORGANIZER or as one of several ATTENDEEs, in any case."""
    lab.keep_event(*PARTIES, "SUMMARY:one")
    lab.keep_event(
        "ORGANIZER:mailto:alice@example.org",
        "ATTENDEE:mailto:carol@example.com",
        "ATTENDEE:MAILTO:BOB@example.net",
        "SUMMARY:two",
    )
    lab.keep_event("ORGANIZER:mailto:carol@example.com", "ATTENDEE:mailto:alice@example.org", "SUMMARY:three")
    found = b"".join(lab.store.mentions(lab.home, "bob@example.net"))
    assert b"SUMMARY:one" in found
    assert b"SUMMARY:two" in found
    assert b"SUMMARY:three" not in found
    assert list(lab.store.mentions(lab.home, "dave@example.net")) == []


def test_events_are_asked_for_one_question_after_the_other(lab: Lab) -> None:
    """Whoever has seen enough stops."""
    lab.keep_event(*PARTIES)
    found = lab.store.mentions(lab.home, "bob@example.net")
    assert b"BEGIN:VEVENT" in next(found)
