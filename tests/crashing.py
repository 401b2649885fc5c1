"""A process that delivers mails as `imipd pipe` does, each in a child of its own that is killed at a chosen step.

It reads one JSON object a line: ``config``, ``mail`` (files) and ``step``; it answers each with the child's exit code,
negative for a signal. The doors are the real ones; each step is a place where the power may fail.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from imipd import config
from imipd.accounts.configured import Directory
from imipd.cli import assembly, logs
from imipd.config import Config
from imipd.envelope import Envelope, Status
from imipd.ingress import pipe
from imipd.ledger import Entry
from imipd.ledger.database import open_database
from imipd.ledger.schema import bring_up_to_date
from imipd.ledger.sql import SqlLedger
from imipd.memory import Memory
from imipd.store import Home, Stored, Written
from imipd.store.caldav import CalDavStore
from imipd.store.transport import Session

STEPS = ("read", "find", "found", "recall", "recalled", "intend", "intended", "write", "sent", "written")
LAST_STEPS = ("complete", "completed", "answer")


@dataclass
class Killer:
    """Ends this process without a word when the chosen step is reached."""

    step: str

    def at(self, step: str) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class CrashingSession(Session):
    """Loses the process once a write has reached the server, before anybody has looked at the answer."""

    killer: Killer

    def send(self, request: Any, **kwargs: Any) -> Any:
        answer = super().send(request, **kwargs)
        if request.method in ("PUT", "DELETE"):
            self.killer.at("sent")
        return answer


class CrashingStore(CalDavStore):
    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self._killer = killer
        session = CrashingSession(20)
        session.killer = killer
        self._homes._sessions[None] = session

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        self._killer.at("find")
        found = super().find(home, uid, component)
        self._killer.at("found")
        return found

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        self._killer.at("write")
        done = super().replace(home, stored, body)
        self._killer.at("written")
        return done

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        self._killer.at("write")
        done = super().create(home, uid, component, body)
        self._killer.at("written")
        return done

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        self._killer.at("write")
        done = super().restore(home, href, body)
        self._killer.at("written")
        return done

    def remove(self, home: Home, stored: Stored) -> None:
        self._killer.at("write")
        super().remove(home, stored)
        self._killer.at("written")


class CrashingLedger(SqlLedger):
    def __init__(self, settings: Config, killer: Killer) -> None:
        database = open_database(settings.ledger.url)
        bring_up_to_date(database)
        super().__init__(database, settings.ledger.keep_days)
        self._killer = killer

    def recall(self, account: str, uid: str) -> Memory:
        self._killer.at("recall")
        memory = super().recall(account, uid)
        self._killer.at("recalled")
        return memory

    def intend(self, entry: Entry) -> None:
        self._killer.at("intend")
        super().intend(entry)
        self._killer.at("intended")

    def complete(self, entry: Entry, *, as_intended: bool = False) -> None:
        self._killer.at("complete")
        super().complete(entry, as_intended=as_intended)
        self._killer.at("completed")


def deliver(order: dict[str, str]) -> int:
    """Deliver one mail as `imipd pipe` does and return the exit code."""
    killer = Killer(order["step"])
    settings = config.load(Path(order["config"]), {})
    logs.begin(settings)
    directory = Directory(settings, {})
    house = assembly.furnished(settings, directory, CrashingStore(killer), CrashingLedger(settings, killer))

    def delivered(envelope: Envelope) -> tuple[Status, ...]:
        house.gateway.read(envelope)
        killer.at("read")
        statuses = house.gateway.deliver(envelope)
        killer.at("answer")
        return statuses

    errand = pipe.Errand(BytesIO(Path(order["mail"]).read_bytes()), ("alice@example.org",), "")
    return pipe.run(errand, house.serves, delivered)


def main() -> None:
    """Fork for every order: what one child holds in memory, the next has never seen."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(deliver(json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - to whom has ordered it


if __name__ == "__main__":
    main()
