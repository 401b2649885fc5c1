"""Conversations: mails that reach alice's calendar one after the other, and what she does with it herself."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import niquests

from correspondence import UID, message_id
from daemons import Daemon, free_place, serving
from imipd import itip
from imipd.itip.instance import Instance
from imipd.store import Home, Stored
from imipd.store.caldav import CalDavStore
from servers import Server


class Talk:
    """A daemon, a calendar, and mails that come one after the other."""

    def __init__(self, server: Server, daemon: Daemon) -> None:
        self._server, self._daemon = server, daemon
        self._copies = count()
        self.uid = UID
        self.home = Home(server.url, "alice", server.users["alice"] or "none")
        self.store = CalDavStore()

    def say(self, mail: bytes, minute: int, outcome: str) -> None:
        """Deliver a mail, and once more what was never seen before and changes nothing."""
        assert self._said(mail, message_id(minute)) == outcome
        held = self.stored()
        again = f"<copy{next(self._copies)}@example.net>"
        copy = mail.replace(message_id(minute).encode(), again.encode())
        assert self._said(copy, again) == "no_action: no-change"
        assert self._said(mail, message_id(minute)) == outcome  # what the ledger told stays told
        assert self.stored() == held, "the server was written to"

    def deliver(self, mail: bytes) -> None:
        """Hand a mail over; raise where it is not taken."""
        self._daemon.send(mail)

    def log(self) -> str:
        """Return what the daemon logged."""
        return self._daemon.log.read_text()

    def _said(self, mail: bytes, identity: str) -> str:
        self.deliver(mail)
        (recorded,) = self._daemon.told(identity)
        assert recorded.completed
        return f"{recorded.entry.outcome}: {recorded.entry.reason}"

    def hold(self, body: bytes) -> None:
        """Make an event or change it, as alice's own client does: without a word about who schedules."""
        found = self.store.find(self.home, self.uid)
        place = found[0].href if found else f"{self.store.destination(self.home, 'VEVENT')}own.ics"
        auth = ("alice", self.home.password)
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        url = self._server.origin + place
        niquests.put(url, data=body, headers=headers, auth=auth, timeout=20, retries=2).raise_for_status()

    def change(self, old: bytes, new: bytes) -> None:
        """Change what is stored, in every component, as alice's own client does."""
        body, changes = re.subn(old, new, self.stored().body)
        assert changes, body
        self.hold(body)

    def stored(self) -> Stored:
        """Return the one object that is stored."""
        (found,) = self.store.find(self.home, self.uid)
        return found

    def instances(self) -> dict[str, Instance]:
        """Return the master under the empty name, and its overrides."""
        return {item.label: item for item in itip.read(self.stored().body).instances}

    def said_of(self, name: str) -> dict[str, str]:
        """Return a property's value in every component; empty where it has none."""
        return {
            label: next((line.value for line in item.component.all(name)), "")
            for label, item in self.instances().items()
        }

    def answers(self, address: str) -> dict[str, str]:
        """Return what an attendee said to the series and to every instance that differs."""
        found = {label: item.attendee(address) for label, item in self.instances().items()}
        return {label: party.partstat for label, party in found.items() if party}


@contextmanager
def talking(server: Server, folder: Path, policy: str = "") -> Iterator[Talk]:
    """Run a daemon on a server on which alice has a calendar; `policy` is further lines of [policy]."""
    if server.makes_no_calendar:
        url = f"{server.origin}{server.home.format(user='alice')}work/"
        niquests.request("MKCALENDAR", url, auth=("alice", "wonderland"), timeout=20).raise_for_status()
    more = f'[policy]\ninvitations = "add"\n{policy}'
    with serving(folder, server.url, (free_place(),), more) as daemon:
        found = Talk(server, daemon)
        with closing(found.store):
            yield found
