"""Who speaks for a party without being it (A2): the operator's lists, and who first brought an event."""

import re
from pathlib import Path

import pytest

from correspondence import ALICE, BOB, UID, event, invited, mail
from desks import USER, Desk
from imipd.address import is_listed
from imipd.cli.main import main
from imipd.config import override
from imipd.policy import DEFAULTS, Policy

MALLORY = "mallory@evil.example"
OURS = re.compile(rb";X-IMIPD-[A-Z]+=[^;:]+")


def message(method: str, sender: str, domain: str, *lines: str, minute: int = 1) -> bytes:
    """Return a message in the name of a calendar of this domain."""
    parties = f"ORGANIZER:mailto:c1@{domain}", f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{ALICE}"
    return mail(sender, method, event(*parties, *lines, minute=minute), minute=minute)


def stripped(desk: Desk) -> None:
    """Let alice's client remove what it does not know from the one event."""
    (body,) = desk.bodies()
    desk.keep(OURS.sub(b"", body))


@pytest.mark.parametrize("domain", DEFAULTS.calendar_ids)
def test_google_and_icloud_mail_from_a_person_for_a_calendar(domain: str) -> None:
    """The first to bring the event may change it and call it off, nobody else."""
    desk = Desk()
    desk.deliver(message("REQUEST", BOB, domain))
    desk.deliver(message("REQUEST", MALLORY, domain, "SEQUENCE:1", minute=2))
    desk.deliver(message("REQUEST", BOB, domain, "SEQUENCE:1", minute=3))
    desk.deliver(message("CANCEL", MALLORY, domain, "SEQUENCE:2", minute=4))
    desk.deliver(message("CANCEL", BOB, domain, "SEQUENCE:2", minute=5))
    refused = "error: sender-is-not-the-organizer"
    assert desk.outcomes() == ["updated: cancelled", refused, "updated: details-changed", refused, "added: invited"]


def test_the_ledger_remembers_him_where_a_client_strips_the_parameter() -> None:
    """Each time again, and after each change anew: 90 days count from the last message (Memory)."""
    desk, domain = Desk(), DEFAULTS.calendar_ids[0]
    desk.deliver(message("REQUEST", BOB, domain))
    for minute in (2, 4):
        stripped(desk)
        desk.deliver(message("REQUEST", MALLORY, domain, f"SEQUENCE:{minute}", minute=minute))
        assert desk.outcomes()[0] == "error: sender-is-not-the-organizer"
        desk.later(days=80)
        desk.ledger.prune(desk.time)
        desk.deliver(message("REQUEST", BOB, domain, f"SEQUENCE:{minute}", minute=minute + 1))
        assert b"X-IMIPD-FIRST=bob@example.net" in desk.bodies()[0]
    assert [each.first for each in desk.ledger.recall(USER, UID).revisions] == [BOB]


def test_nobody_takes_his_place_when_the_event_is_gone() -> None:
    """For as long as the ledger remembers; then a REQUEST is a first contact again (A2)."""
    desk, domain = Desk(), DEFAULTS.calendar_ids[0]
    desk.deliver(message("REQUEST", BOB, domain))
    (stored,) = desk.store.objects(desk.calendar)
    desk.store.drop(stored.href)
    desk.deliver(message("REQUEST", MALLORY, domain, "SEQUENCE:1", minute=2))
    assert desk.bodies() == []
    desk.later(days=91)
    desk.ledger.prune(desk.time)
    desk.deliver(message("REQUEST", MALLORY, domain, "SEQUENCE:1", minute=3))
    assert b"X-IMIPD-FIRST=mallory@evil.example" in desk.bodies()[0]


def test_an_organizer_who_mails_himself_is_no_first_contact() -> None:
    """Nobody else is remembered where From is the ORGANIZER."""
    desk, domain = Desk(), DEFAULTS.calendar_ids[0]
    desk.deliver(message("REQUEST", f"c1@{domain}", domain))
    assert [each.first for each in desk.ledger.recall(USER, UID).revisions] == [None]
    assert b"X-IMIPD-FIRST" not in desk.bodies()[0]


@pytest.mark.parametrize(
    ("address", "patterns", "listed"),
    [
        ("bob@example.net", ("bob@example.net",), True),
        ("bob@example.net", ("mailto:BOB@Example.Net ",), True),
        ("bob@gmail.com", ("*@googlemail.com",), True),
        ("bob@example.net", ("carol@example.net", "*@example.net"), True),
        ("bob@sub.example.net", ("*@example.net",), False),
        ("bob@example.net.evil.example", ("*@example.net", "bob@example.net"), False),
        ("bobby@example.net", ("bob@example.net",), False),
        ("bob+work@example.net", ("bob@example.net",), False),
        ("bob@example.net", (), False),
        ("*@example.net", ("bob@example.net",), False),
        ("example.net", ("*@example.net", "*@"), False),
        ("", ("*@example.net", ""), False),
        (None, ("*@example.net",), False),
    ],
)
def test_an_address_is_listed_whole_or_by_its_domain(
    address: str | None, patterns: tuple[str, ...], listed: bool
) -> None:
    """No part of a name, no subdomain, no display name."""
    assert is_listed(address, patterns) is listed


def test_explain_prints_lists_as_it_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says of the policy can be put into a scenario."""
    choices = {
        "trusted_senders": "assistant@example.org,*@calendar.example.net",
        "attendee_aliases": "bob@example.net,robert@example.net;carol@example.com,c@example.com",
        "calendar_ids": "group.calendar.example.com",
    }
    spoken = [f"{name}={value}" for name, value in choices.items()]
    held, sent = tmp_path / "held.ics", tmp_path / "mail.eml"
    held.write_bytes(invited())
    sent.write_bytes(message("REQUEST", BOB, "example.com"))
    assert main(["explain", "--stored", str(held), "-r", ALICE, str(sent), "--policy", *spoken]) == 0
    assert f"policy: {' '.join(spoken)}\n" in capsys.readouterr().out
    assert override(Policy(), choices) == Policy(
        trusted_senders=("assistant@example.org", "*@calendar.example.net"),
        attendee_aliases=(("bob@example.net", "robert@example.net"), ("carol@example.com", "c@example.com")),
        calendar_ids=("group.calendar.example.com",),
    )
