"""A queue of mails, imipd, and another writer, under whatever is done to them; and what must hold at the end.

The rule here: a mail leaves the queue at a 250 and in no other way, as in an MTA.
"""

import base64
import http.client
import random
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types

from correspondence import ALICE, event, mail, meeting, reply
from imipd import itip
from imipd.ledger import Query
from imipd.ledger.sql import open_ledger
from servers import Server

WORK = "/alice/work/"
PATIENCE = 240.0
ANSWERS = ("ACCEPTED", "DECLINED", "TENTATIVE")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to alice, and what it is to bring about."""

    content: bytes
    message_id: str
    uid: str
    attendee: str = ""
    partstat: str = ""


@dataclass
class Queue:
    """What an MTA keeps: every mail until somebody has taken it."""

    places: Sequence[str]
    waiting: list[Letter]
    everywhere: bool = False
    """Each mail goes to all places at once, as an MTA may send it that has lost an answer."""
    tries: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    """Permanent refusals, of which there must be none."""
    done: int = 0
    """How many mails have been taken."""
    _in_hand: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, workers: int = 4) -> None:
        """Send until the queue is empty."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.waiting, f"{len(self.waiting)} mails are still in the queue"

    def _work(self, number: int) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with self._lock:
                if not self.waiting and not self._in_hand:
                    return
                letter = self.waiting.pop(0) if self.waiting else None
                self._in_hand += letter is not None
            if letter is None:
                time.sleep(0.05)
                continue
            self.tries[letter.message_id] += 1
            places = self.places if self.everywhere else [self.places[number % len(self.places)]]
            taken = [self._taken(letter, place) for place in places]
            with self._lock:
                self._in_hand -= 1
                self.done += all(taken)
                self.waiting += [] if all(taken) else [letter]

    def _taken(self, letter: Letter, place: str) -> bool:
        host, port = place.rsplit(":", 1)
        try:
            with closing(smtplib.LMTP(host, int(port), timeout=60)) as lmtp:
                lmtp.sendmail("bob@example.net", [ALICE], letter.content)
        except smtplib.SMTPRecipientsRefused as error:
            return self._not_taken(letter, *error.recipients.values())
        except smtplib.SMTPResponseException as error:
            return self._not_taken(letter, (error.smtp_code, error.smtp_error))
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def _not_taken(self, letter: Letter, *answers: tuple[int, bytes | str]) -> bool:
        self.refused += [f"{letter.message_id}: {code} {text!r}" for code, text in answers if code >= 500]
        return False


class Calendar:
    """Alice's calendar as she has it herself, past the proxy."""

    def __init__(self, server: Server) -> None:
        split = urlsplit(server.url)
        self._place = (split.hostname or "", split.port or 80)
        self._login = "Basic " + base64.b64encode(b"alice:wonderland").decode()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
        """Return status, ETag and body."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": self._login}
        with closing(http.client.HTTPConnection(*self._place, timeout=60)) as connection:
            connection.request(method, path, body, sent | {"Content-Type": "text/calendar; charset=utf-8"})
            answer = connection.getresponse()
            return answer.status, answer.getheader("ETag") or "", answer.read()

    def make(self, uids: Sequence[str], attendees: Sequence[str]) -> None:
        """Make the calendar, and in it a meeting of alice's for each UID."""
        assert self.ask("MKCALENDAR", WORK)[0] == 201
        lines = [f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{address}" for address in attendees]
        for uid in uids:
            assert self.ask("PUT", f"{WORK}{uid}.ics", meeting(*lines, uid=uid))[0] == 201

    def objects(self) -> list[bytes]:
        """Return everything that is stored."""
        status, _, body = self.ask("PROPFIND", WORK, b"", Depth="1")
        assert status == 207
        hrefs = [found.text for found in etree.fromstring(body).iterfind("{DAV:}response/{DAV:}href")]
        return [self.ask("GET", href)[2] for href in hrefs if href != WORK]


@dataclass
class Writer(threading.Thread):
    """Alice's own client: it adds a line to a meeting, now and then, and never over what it has not seen."""

    calendar: Calendar
    uids: Sequence[str]
    times: int

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Write until all is written."""
        for number in range(self.times):
            path = f"{WORK}{self.uids[number % len(self.uids)]}.ics"
            while not self._added(path, number):
                pass
            time.sleep(0.05)

    def _added(self, path: str, number: int) -> bool:
        _, etag, body = self.calendar.ask("GET", path)
        line = f"X-ALICE-{number}:yes\r\nEND:VEVENT".encode()
        status, _, _ = self.calendar.ask("PUT", path, body.replace(b"END:VEVENT", line, 1), If_Match=etag)
        return status in (201, 204)

    def lost(self, stored: bytes) -> list[int]:
        """Return which of the lines are not there."""
        return [number for number in range(self.times) if f"X-ALICE-{number}:yes".encode() not in stored]


def answer(uid: str, attendee: str, partstat: str, minute: int) -> Letter:
    """Return an attendee's answer; a later one has a greater minute."""
    content = reply(attendee, partstat, uid=uid, minute=minute)
    return Letter(content, f"<{minute}@example.net>", uid, attendee, partstat)


def answers(uids: Sequence[str], attendees: Sequence[str], rounds: int, dice: random.Random) -> list[Letter]:
    """Return the answers of everybody to everything, some of them changing their mind, in any order."""
    letters, minute = [], 0
    for turn in range(rounds):
        for uid in uids:
            for attendee in attendees:
                minute += 1
                letters.append(answer(uid, attendee, ANSWERS[(turn + len(uid)) % 3], minute))
    dice.shuffle(letters)
    return letters


def invitations(number: int) -> list[Letter]:
    """Return invitations from bob, each to another event."""
    letters = []
    for index in range(number):
        uid, minute = f"new{index}@example.net", 5000 + index
        people = ("ORGANIZER:mailto:bob@example.net", f"ATTENDEE;RSVP=TRUE:mailto:{ALICE}")
        content = mail("bob@example.net", "REQUEST", event(*people, uid=uid, minute=minute), minute=minute)
        letters.append(Letter(content, f"<{minute}@example.net>", uid))
    return letters


def told(ledger: str, message_id: str) -> list[str]:
    """Return what the ledger tells of a mail."""
    with closing(open_ledger(ledger)) as opened:
        entries = [each.entry for each in opened.log(Query(limit=10_000)) if each.completed]
    return [f"{entry.outcome}: {entry.reason}" for entry in entries if entry.message_id == message_id]


def check(letters: Sequence[Letter], calendar: Calendar, ledger: str) -> None:
    """What must hold when the queue is empty, whatever happened meanwhile."""
    objects = [itip.read(body) for body in calendar.objects()]
    assert len({item.uid for item in objects}) == len(objects), "an object is stored twice"
    stored = {item.uid: item for item in objects}
    with closing(open_ledger(ledger)) as opened:
        entries = opened.log(Query(limit=10_000))
    assert all(each.completed for each in entries), "an entry is left open"
    told = Counter(each.entry.message_id for each in entries)
    assert told == dict.fromkeys((letter.message_id for letter in letters), 1), "not one entry for each mail"
    reasons = {each.entry.message_id: each.entry.reason for each in entries}
    last = {(letter.uid, letter.attendee): letter for letter in sorted(letters, key=_minute)}
    for (uid, attendee), letter in last.items():
        if not attendee:
            assert uid in stored, "an invitation is told as added and is not there"
            assert reasons[letter.message_id] == "invited"
            continue
        lines = [party.partstat for party in stored[uid].attendees if party.address == attendee]
        assert lines == [letter.partstat], f"{attendee} has answered {letter.partstat}"
        assert reasons[letter.message_id] == "attendee-replied"
    assert set(reasons.values()) <= {"attendee-replied", "stale", "invited", "no-change"}


def _minute(letter: Letter) -> int:
    return int(letter.message_id[1:].partition("@")[0])
