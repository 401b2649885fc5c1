"""Long conversations through real LMTP, against every real server.

After each mail the stored object says what was said. Each mail then comes once more, under another Message-ID so that
the ledger cannot know it: it is decided "no change", although the server has written the object in its own way.
"""

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from calendars import SERVERS, servers
from correspondence import BOB, CAROL, TUESDAYS, UID, WEEKLY, cancel, meeting, reply, request
from talks import Talk, talking

SECOND = f"RECURRENCE-ID:{TUESDAYS[1]}"
THIRD = f"RECURRENCE-ID:{TUESDAYS[2]}"


@pytest.fixture(params=servers())
def talk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Talk]:
    folder = tmp_path / "server"
    folder.mkdir()
    with SERVERS[request.param](folder) as server, talking(server, tmp_path) as found:
        yield found


def test_bob_invites_alice_to_a_series_and_changes_his_mind(talk: Talk) -> None:
    talk.say(request(WEEKLY, "X-ODD:a;b", minute=1), 1, "added: invited")
    assert talk.said_of("RRULE") == {"": "FREQ=WEEKLY;COUNT=4"}
    assert talk.answers("alice@example.org") == {"": "NEEDS-ACTION"}

    talk.say(request(WEEKLY, "LOCATION:Big hall\\, upstairs", minute=2), 2, "updated: details-changed")
    assert talk.said_of("LOCATION") == {"": "Big hall\\, upstairs"}

    moved = request(SECOND, "SEQUENCE:1", "DTSTART:20270209T140000Z", "DTEND:20270209T150000Z", minute=3)
    talk.say(moved, 3, "updated: rescheduled")
    assert talk.said_of("DTSTART") == {"": TUESDAYS[0], TUESDAYS[1]: "20270209T140000Z"}
    assert talk.said_of("RRULE")[""] == "FREQ=WEEKLY;COUNT=4"

    talk.say(cancel(THIRD, f"DTSTART:{TUESDAYS[2]}", "SEQUENCE:1", minute=4), 4, "updated: instance-cancelled")
    assert talk.said_of("STATUS") == {"": "", TUESDAYS[1]: "", TUESDAYS[2]: "CANCELLED"}

    talk.say(cancel(WEEKLY, "SEQUENCE:2", minute=5), 5, "updated: cancelled")
    assert set(talk.said_of("STATUS").values()) == {"CANCELLED"}


def an_instance_moved_and_then_the_series(talk: Talk) -> bytes:
    """Let a message move one instance; return that which moves all, and by which the one is as all others again."""
    talk.say(request(WEEKLY, minute=1), 1, "added: invited")
    moved = request(SECOND, "SEQUENCE:1", "DTSTART:20270209T140000Z", "DTEND:20270209T150000Z", minute=2)
    talk.say(moved, 2, "updated: rescheduled")
    assert len(talk.instances()) == 2
    return request(WEEKLY, "SEQUENCE:2", "DTSTART:20270202T110000Z", "DTEND:20270202T120000Z", minute=3)


@pytest.mark.parametrize("talk", servers("sogo"), indirect=True)
def test_bob_moves_the_whole_series_after_one_instance(talk: Talk) -> None:
    talk.say(an_instance_moved_and_then_the_series(talk), 3, "updated: rescheduled")
    assert talk.said_of("DTSTART") == {"": "20270202T110000Z"}


@pytest.mark.e2e
@pytest.mark.parametrize("talk", ["sogo"], indirect=True)
def test_sogo_refuses_to_let_go_of_a_changed_instance(talk: Talk) -> None:
    """It takes the missing instance for one with SEQUENCE 0, older than what it holds. The mail waits."""
    mail = an_instance_moved_and_then_the_series(talk)
    held = talk.stored()
    with pytest.raises(smtplib.SMTPDataError, match="451"):
        talk.deliver(mail)
    assert talk.stored() == held
    assert "sequences don't match" in talk.log()


def test_alice_organizes_a_series_and_two_people_answer(talk: Talk) -> None:
    talk.store.create(talk.home, UID, "VEVENT", meeting(WEEKLY, "X-MINE:stays;as,it\\;is"))
    talk.say(reply(BOB, "ACCEPTED", minute=1), 1, "updated: attendee-replied")
    assert (talk.answers(BOB), talk.answers(CAROL)) == ({"": "ACCEPTED"}, {"": "NEEDS-ACTION"})

    talk.say(reply(CAROL, "TENTATIVE", minute=2), 2, "updated: attendee-replied")
    assert (talk.answers(BOB), talk.answers(CAROL)) == ({"": "ACCEPTED"}, {"": "TENTATIVE"})

    talk.say(reply(BOB, "DECLINED", SECOND, f"DTSTART:{TUESDAYS[1]}", minute=3), 3, "updated: attendee-replied")
    assert talk.answers(BOB) == {"": "ACCEPTED", TUESDAYS[1]: "DECLINED"}
    assert talk.answers(CAROL) == {"": "TENTATIVE", TUESDAYS[1]: "TENTATIVE"}

    talk.say(reply(CAROL, "ACCEPTED", minute=4), 4, "updated: attendee-replied")
    assert talk.answers(CAROL) == {"": "ACCEPTED", TUESDAYS[1]: "ACCEPTED"}
    assert talk.answers(BOB) == {"": "ACCEPTED", TUESDAYS[1]: "DECLINED"}

    talk.say(reply(BOB, "ACCEPTED", SECOND, f"DTSTART:{TUESDAYS[1]}", minute=5), 5, "updated: attendee-replied")
    assert talk.answers(BOB) == {"": "ACCEPTED", TUESDAYS[1]: "ACCEPTED"}
    assert talk.said_of("RECURRENCE-ID") == {"": "", TUESDAYS[1]: TUESDAYS[1]}
    assert re.search(rb"X-MINE:", talk.stored().body)
