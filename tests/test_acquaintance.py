"""Policy ``invitations = "known"``: when contacts and events are asked, and what a server may answer (Q2)."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from correspondence import ALICE, BOB, calendar, cancel, event, invited, mail, reply, request
from desks import USER, Desk, with_policy
from faults import CALENDAR, HOME, PRINCIPAL, Answered, Liar, Reset, Says, href, liar, multistatus, response
from imipd.cli.main import main
from imipd.config import load, warnings
from imipd.envelope import TRY_AGAIN
from imipd.store import Home, RefusedError, StoreError, UnreachableError
from imipd.store.caldav import CalDavStore

KNOWN = {ALICE: with_policy(invitations="known")}
LONG = f"mailto:{'b' * 320}@example.net"
NOT_ADDED = "no_action: invitation-not-added"
ADDED = "added: invited"
BOOKS, BOOK = "/b/alice/", "/b/alice/people/"
CARDS = 'xmlns:CR="urn:ietf:params:xml:ns:carddav"'


def asked(desk: Desk) -> list[str]:
    """Return which of the two sources were asked, in their order."""
    return [step for step in desk.store.taken if step in ("contact", "mentions")]


def test_nobody_is_asked_where_it_decides_nothing() -> None:
    """Neither for a change nor for a CANCEL, nor for what is called off, refused or of the operator's list."""
    desk = Desk(KNOWN)
    desk.keep(invited())
    desk.deliver(request("SEQUENCE:1", minute=2))
    desk.deliver(cancel("SEQUENCE:2", minute=3))
    desk.deliver(reply(BOB, "ACCEPTED", minute=4))
    desk.deliver(cancel("SEQUENCE:5", minute=5, uid="gone@example.net"))
    desk.deliver(request("SEQUENCE:4", minute=6, uid="gone@example.net"))
    desk.deliver(mail("mallory@evil.example", "REQUEST", event(f"ORGANIZER:mailto:{BOB}", f"ATTENDEE:mailto:{ALICE}")))
    assert asked(desk) == []


@pytest.mark.parametrize("policy", ["ignore", "add"])
def test_nobody_is_asked_under_another_policy(policy: str) -> None:
    desk = Desk({ALICE: with_policy(invitations=policy)})
    desk.deliver(request())
    assert asked(desk) == []


def test_the_list_of_the_operator_comes_first_then_contacts_then_events() -> None:
    """What is known already is not asked for; explain asks as deliver does."""
    policy = replace(KNOWN[ALICE].policy, known_senders=(f"*@{BOB.partition('@')[2]}",))
    desk = Desk({ALICE: replace(KNOWN[ALICE], policy=policy)})
    desk.deliver(request())
    assert (asked(desk), desk.outcomes()) == ([], [ADDED])
    desk = Desk(KNOWN)
    desk.deliver(request())
    assert (asked(desk), desk.outcomes()) == (["contact", "mentions"], [NOT_ADDED])
    assert desk.told()[0].entry.detail == f"{BOB} is not known, policy invitations = known"
    desk.store.add_contacts(USER, BOB)
    desk.deliver(request(minute=2))
    assert (asked(desk)[2:], desk.outcomes()[0]) == (["contact"], ADDED)


@pytest.mark.parametrize("step", ["contact", "mentions"])
def test_a_source_out_of_reach_defers_the_mail(step: str) -> None:
    """An invitation is not ignored because the address book was away."""
    desk = Desk(KNOWN)
    desk.store.instead[step] = [UnreachableError("no connection")]
    desk.store.add_contacts(USER, "carol@example.com")
    assert desk.deliver(request()) == (TRY_AGAIN,)
    assert desk.told() == []
    desk.store.add_contacts(USER, BOB)
    assert desk.deliver(request())[0].done
    assert desk.outcomes() == [ADDED]


def test_an_event_that_cannot_be_read_shows_nothing() -> None:
    """And the next one is looked at."""
    desk = Desk(KNOWN)
    broken = f"ORGANIZER:mailto:{BOB}", f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{ALICE}"
    desk.store.put(desk.calendar, "broken.ics", calendar(None, event(*broken, "DTSTART:nonsense", uid="1")))
    desk.deliver(request())
    assert desk.outcomes() == [NOT_ADDED]
    desk.store.put(desk.calendar, "whole.ics", calendar(None, event(*broken, uid="2")))
    desk.deliver(request(minute=2))
    assert desk.outcomes()[0] == ADDED


def test_a_guest_who_put_himself_on_the_list_invites_in_vain() -> None:
    """The policy that lets him in makes him nobody's acquaintance (R5)."""
    desk = Desk({ALICE: with_policy(invitations="known", party_crashers="add")})
    desk.keep(calendar(None, event(f"ORGANIZER:mailto:{ALICE}", "ATTENDEE:mailto:carol@example.com")))
    desk.deliver(reply(BOB, "ACCEPTED"))
    desk.deliver(reply(BOB, "TENTATIVE", minute=2))
    desk.deliver(request(minute=3, uid="other@example.net"))
    assert desk.outcomes() == [NOT_ADDED, "updated: attendee-replied", "updated: attendee-replied"]


@pytest.mark.parametrize(
    "organizer", ["urn:uuid:7f3a", "mailto:", "mailto:bob%0D%0A@example.net", "mailto:%00@x", LONG]
)
def test_an_organizer_who_has_no_address_is_not_asked_for(organizer: str) -> None:
    """Under a policy that believes anybody, ORGANIZER may be anything."""
    desk = Desk({ALICE: with_policy(invitations="known", sender="any")})
    desk.deliver(mail(BOB, "REQUEST", event(f"ORGANIZER:{organizer}", f"ATTENDEE:mailto:{ALICE}")))
    assert (asked(desk), desk.outcomes()) == ([], [NOT_ADDED])


@pytest.fixture
def server() -> Iterator[Liar]:
    """A server with an address book that knows Bob."""
    with liar() as script:
        homes = href("C:calendar-home-set", HOME) + named(BOOKS)
        script.answers |= {
            ("PROPFIND", PRINCIPAL): multistatus(response(PRINCIPAL, homes)),
            ("PROPFIND", BOOKS): multistatus(response(BOOKS), book(BOOK), book("/b/bob/shared/", owner="/p/bob/")),
            ("REPORT", BOOK): multistatus(contact("EMAIL:bob@example.net")),
        }
        yield script


def named(*hrefs: str) -> str:
    """Return an addressbook-home-set."""
    return href("CR:addressbook-home-set", *hrefs).replace(
        "<CR:addressbook-home-set", f"<CR:addressbook-home-set {CARDS}"
    )


def book(path: str, owner: str = PRINCIPAL) -> str:
    """Return the response of an address book."""
    kind = f"<D:resourcetype><D:collection/><CR:addressbook {CARDS}/></D:resourcetype>"
    return response(path, kind + href("D:owner", owner))


def contact(*lines: str) -> str:
    """Return the response of a contact."""
    text = "\n".join(("BEGIN:VCARD", *lines, "END:VCARD"))
    return response(f"{BOOK}1.vcf", f"<CR:address-data {CARDS}>{text}</CR:address-data>")


def knows(server: Liar) -> bool:
    """Ask the store whether Bob is a contact."""
    with closing(CalDavStore()) as store:
        return store.has_contact(Home(server.url, "alice", "secret", timeout=2), BOB)


def test_own_address_books_are_asked(server: Liar) -> None:
    """What somebody else shares is not (A7)."""
    assert knows(server)
    assert [one.path for one in server.asked if one.method == "REPORT"] == [BOOK]


@pytest.mark.parametrize(
    ("key", "answer", "error"),
    [
        (("PROPFIND", BOOKS), Reset(), UnreachableError),
        (("PROPFIND", BOOKS), Says(503), UnreachableError),
        (("PROPFIND", BOOKS), Says(200, b"<html/>"), UnreachableError),
        (("PROPFIND", BOOKS), Says(207, b"<html/>"), UnreachableError),
        (("PROPFIND", BOOKS), Says(403), RefusedError),
        (("REPORT", BOOK), Reset(), UnreachableError),
        (("REPORT", BOOK), Says(500), UnreachableError),
        (("REPORT", BOOK), Says(404), StoreError),
        (("REPORT", BOOK), Says(207, b"<D:multistatus"), UnreachableError),
        (
            ("REPORT", BOOK),
            multistatus(f"<D:response><D:href>{BOOK}</D:href><D:status>HTTP/1.1 507 Full</D:status></D:response>"),
            UnreachableError,
        ),
    ],
)
def test_an_address_book_that_does_not_answer_is_no_stranger(
    server: Liar, key: tuple[str, str], answer: Answered, error: type[StoreError]
) -> None:
    """What is unclear raises, and defers the mail."""
    server.answers[key] = answer
    with pytest.raises(error):
        knows(server)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_carddav_has_no_contacts(server: Liar, status: int) -> None:
    """That source is absent then, be it that the home is not named or that nothing is there."""
    server.answers["PROPFIND", BOOKS] = Says(status)
    assert not knows(server)
    server.answers["PROPFIND", PRINCIPAL] = multistatus(response(PRINCIPAL, href("C:calendar-home-set", HOME)))
    assert not knows(server)


def test_contacts_on_another_host_are_left_alone(server: Liar) -> None:
    """The credentials do not go there; the calendars are found all the same."""
    homes = href("C:calendar-home-set", HOME) + named("http://contacts.example.net/alice/")
    server.answers["PROPFIND", PRINCIPAL] = multistatus(response(PRINCIPAL, homes))
    assert not knows(server)


def test_a_contact_that_is_not_shown_is_read(server: Liar) -> None:
    """Not every server can put a card into its answer; one that cannot read it either says so."""
    server.answers["REPORT", BOOK] = multistatus(
        response(f"{BOOK}1.vcf", "<CR:address-data/>", 404).replace("CR:", "C:")
    )
    server.answers["GET", f"{BOOK}1.vcf"] = Says(200, b"BEGIN:VCARD\r\nEMAIL:Bob@example.net\r\nEND:VCARD\r\n")
    assert knows(server)
    server.answers["GET", f"{BOOK}1.vcf"] = Says(503)
    with pytest.raises(UnreachableError):
        knows(server)


def test_a_contact_that_a_server_adds_on_its_own_does_not_count(server: Liar) -> None:
    """What it found is looked at again."""
    server.answers["REPORT", BOOK] = multistatus(contact("EMAIL:carol@example.com", "NOTE:bob@example.net"))
    assert not knows(server)


def test_an_event_that_a_server_adds_on_its_own_is_left_out(server: Liar) -> None:
    """SOGo 5.8 finds every event whatever is asked for; only those that name the address count as looked at."""
    others = "carol@example.com", "jim.bob@example.net", "bob@example.net.example.org"
    shown = (f"ATTENDEE:mailto:{name}" for name in (*others, "Bob@Exam\r\n ple.net"))
    bodies = (calendar(None, event(line)).decode() for line in shown)
    server.answers["REPORT", CALENDAR] = multistatus(
        *(response(f"{CALENDAR}{n}.ics", f"<C:calendar-data>{body}</C:calendar-data>") for n, body in enumerate(bodies))
    )
    with closing(CalDavStore()) as store:
        found = list(store.mentions(Home(server.url, "alice", "secret", timeout=2), BOB))
    assert found
    assert all(b"Bob@Exam" in body for body in found)


CONFIG = """
[caldav]
url = "{url}"
password = "secret"
[lmtp]
listen = "unix:{folder}/lmtp.sock"
[ledger]
url = "sqlite:///{folder}/ledger.db"
[policy]
{policy}
[[account]]
addresses = "alice@example.org"
"""


@pytest.fixture
def config(server: Liar, tmp_path: Path) -> Path:
    """A configuration that adds invitations of who is known."""
    file = tmp_path / "imipd.toml"
    file.write_text(CONFIG.format(url=server.url, folder=tmp_path, policy='invitations = "known"'))
    return file


def test_check_names_the_address_books(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "-c", str(config)])
    assert f"ok    address book of {ALICE}: {BOOK}\n" in capsys.readouterr().out


def test_check_says_that_there_is_none(server: Liar, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is no failure."""
    server.answers["PROPFIND", BOOKS] = Says(404)
    main(["check", "-c", str(config)])
    out = capsys.readouterr().out
    assert f"note  address book of {ALICE}: the server has none" in out
    assert f"FAIL  address book of {ALICE}" not in out


def test_check_fails_over_an_address_book_out_of_reach(
    server: Liar, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["PROPFIND", BOOKS] = Says(503)
    assert main(["check", "-c", str(config)]) == 1
    assert f"FAIL  address book of {ALICE}: " in capsys.readouterr().out


def test_check_does_not_look_for_contacts_that_nobody_asks_for(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace('"known"', '"add"'))
    main(["check", "-c", str(config)])
    assert "address book" not in capsys.readouterr().out


@pytest.mark.parametrize(("sender", "warned"), [("any", True), ("from", False)])
def test_check_warns_of_acquaintances_that_anybody_may_name(config: Path, sender: str, warned: bool) -> None:
    config.write_text(config.read_text().replace('"known"', f'"known"\nsender = "{sender}"'))
    assert any('invitations = "known"' in text for text in warnings(load(config, {}))) is warned
