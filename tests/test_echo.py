"""No server mails because imipd writes (rule S5); what its user changes himself it mails as before.

Every server has a mail server of ours to send to, which keeps what comes. Each conversation ends with a change of
alice's own: its mail, and no other, is there then.
"""

import email
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiosmtpd.smtp import Envelope

from correspondence import BOB, CAROL, TUESDAYS, WEEKLY, cancel, meeting, reply, request
from cyrus import cyrus
from davical import davical
from servers import Server, xandikos
from sinks import Sink, sink
from sogo import sogo
from talks import Talk, talking

MAILING: dict[str, Callable[[Path, str], AbstractContextManager[Server]]] = {
    "cyrus": lambda _, smtp: cyrus(smtp),
    "davical": lambda _, _smtp: davical(),
    "sogo": lambda _, smtp: sogo(smtp),
    "sogo-that-mails": lambda _, smtp: sogo(smtp, SOGoAppointmentSendEMailNotifications="YES"),
    "xandikos": lambda folder, smtp: xandikos(folder, smtp=smtp),
}
SPEAKING = ("cyrus", "sogo-that-mails")
"""Those that mail what their user does; the others have nothing to say, or no SMTP."""
SECOND = f"RECURRENCE-ID:{TUESDAYS[1]}"
THIRD = f"RECURRENCE-ID:{TUESDAYS[2]}"
ALICES_LINE = rb"(ATTENDEE[^\r\n]*PARTSTAT=)NEEDS-ACTION([^\r\n]*(?:\r\n [^\r\n]*)*alice)"


@dataclass
class Room:
    """A talk in the hearing of a mail server."""

    name: str
    talk: Talk
    sink: Sink

    def heard(self) -> list[str]:
        """Return what the server has mailed, and forget it: METHOD, PARTSTAT of a REPLY, and to whom."""
        told = [_told(envelope) for envelope in self.sink.mails]
        self.sink.mails.clear()
        return told

    def answers_by_itself(self) -> None:
        """Let alice accept, and see that her server tells bob: the event has stayed usable."""
        self.talk.change(ALICES_LINE, rb"\1ACCEPTED\2")
        assert self.heard() == (["REPLY ACCEPTED bob@example.net"] if self.name in SPEAKING else [])


def _told(envelope: Envelope) -> str:
    parts = email.message_from_bytes(envelope.content or b"").walk()  # type: ignore[arg-type]  # never str here
    (body,) = (part.get_payload(decode=True) for part in parts if part.get_content_type() == "text/calendar")
    assert isinstance(body, bytes)
    # No more is read of it: Cyrus 3.6 answers for a changed instance twice, as it is and as it was.
    method, partstat = re.search(rb"METHOD:(\w+)", body), re.search(rb"PARTSTAT=([\w-]+)", body)
    assert method
    assert partstat
    said = [method[1], *([partstat[1]] if method[1] == b"REPLY" else [])]
    return " ".join((*(word.decode() for word in said), *envelope.rcpt_tos))


def rooms(*lacking: str) -> list[object]:
    names = [name for name in MAILING if name not in lacking]
    return [pytest.param(name, marks=() if name == "xandikos" else pytest.mark.e2e) for name in names]


@pytest.fixture(params=rooms())
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    name, _, policy = request.param.partition(" ")
    folder = tmp_path / "server"
    folder.mkdir()
    with sink() as heard, MAILING[name](folder, heard.place) as server, talking(server, tmp_path, policy) as talk:
        yield Room(name, talk, heard)


def test_an_invitation_and_its_changes(room: Room) -> None:
    """Every message of an Organizer that leaves alice's answer as it is."""
    room.talk.say(request(WEEKLY, minute=1), 1, "added: invited")
    room.talk.say(request(WEEKLY, "LOCATION:Hall", minute=2), 2, "updated: details-changed")
    moved = request(SECOND, "SEQUENCE:1", "DTSTART:20270209T140000Z", "DTEND:20270209T150000Z", minute=3)
    room.talk.say(moved, 3, "updated: rescheduled")
    room.talk.say(cancel(THIRD, f"DTSTART:{TUESDAYS[2]}", "SEQUENCE:1", minute=4), 4, "updated: instance-cancelled")
    assert room.heard() == []
    room.answers_by_itself()
    room.talk.say(cancel(WEEKLY, "SEQUENCE:2", minute=5), 5, "updated: cancelled")
    assert room.heard() == []


def test_an_answer_that_is_asked_for_anew(room: Room) -> None:
    """Bob reschedules what alice has accepted. SOGo, if it mails at all, tells him so whatever one does."""
    room.talk.say(request(minute=1), 1, "added: invited")
    room.answers_by_itself()
    later = request("SEQUENCE:1", "DTSTART:20270202T140000Z", "DTEND:20270202T150000Z", minute=2)
    room.talk.say(later, 2, "updated: rescheduled")
    assert room.heard() == (["REPLY NEEDS-ACTION bob@example.net"] if room.name == "sogo-that-mails" else [])
    room.answers_by_itself()


@pytest.mark.parametrize("room", rooms(), indirect=True)
def test_answers_to_a_meeting_of_hers(room: Room) -> None:
    """An answer concerns the Organizer alone: the server tells nobody about it."""
    room.talk.hold(meeting(WEEKLY))
    everybody = [f"REQUEST {address}" for address in (BOB, CAROL)]
    assert room.heard() == (everybody if room.name in SPEAKING else [])
    room.talk.say(reply(BOB, "ACCEPTED", minute=1), 1, "updated: attendee-replied")
    room.talk.say(reply(CAROL, "TENTATIVE", minute=2), 2, "updated: attendee-replied")
    declined = reply(BOB, "DECLINED", SECOND, f"DTSTART:{TUESDAYS[1]}", minute=3)
    room.talk.say(declined, 3, "updated: attendee-replied")
    assert room.heard() == []
    room.talk.change(rb"RRULE:FREQ=WEEKLY;COUNT=4", b"RRULE:FREQ=WEEKLY;COUNT=5")
    told = set(room.heard())
    assert told >= set(everybody) if room.name in SPEAKING else not told


@pytest.mark.parametrize(
    "room", [pytest.param(f'{name} cancelled = "delete"\n', marks=pytest.mark.e2e) for name in MAILING], indirect=True
)
def test_a_deletion(room: Room) -> None:
    """The Organizer knows: it was his CANCEL. SOGo, if it mails at all, declines in alice's name whatever one does."""
    room.talk.say(request(minute=1), 1, "added: invited")
    room.talk.deliver(cancel("SEQUENCE:1", minute=2))
    assert room.talk.store.find(room.talk.home, room.talk.uid) == ()
    assert room.heard() == (["REPLY DECLINED bob@example.net"] if room.name == "sogo-that-mails" else [])
