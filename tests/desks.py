"""A gateway over a calendar and a ledger in memory, with a clock that the test moves."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from correspondence import ALICE, BEGIN
from imipd.accounts import Account
from imipd.envelope import Envelope, Status
from imipd.gateway import Bounds, Doors, Gateway
from imipd.ledger import Entry, Query, Recorded
from imipd.ledger.memory import MemoryLedger
from imipd.policy import Policy
from imipd.proof import Proof
from imipd.store import Home, Stored, Written
from imipd.store.memory import MemoryStore

USER = "alice"
HOME = Home("memory:", USER, "")
ALICES = Account(USER, (ALICE,), HOME, Policy(invitations="add"))


class Steps(MemoryStore):
    """A store that writes down what is asked of it, and does at a step what a test wants done there."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.instead: dict[str, list[BaseException | Callable[[], object]]] = {}
        """What happens at the step of this name, one a call: an error is raised, anything else is called."""

    def addresses(self, home: Home) -> tuple[str, ...]:
        self.step("addresses")
        return super().addresses(home)

    def find(self, home: Home, uid: str, component: str = "VEVENT") -> tuple[Stored, ...]:
        self.step("find")
        return super().find(home, uid, component)

    def has_contact(self, home: Home, address: str) -> bool:
        self.step("contact")
        return super().has_contact(home, address)

    def mentions(self, home: Home, address: str) -> Iterator[bytes]:
        self.step("mentions")
        return super().mentions(home, address)

    def replace(self, home: Home, stored: Stored, body: bytes) -> Written:
        self.step("write")
        done = super().replace(home, stored, body)
        self.step("written")
        return done

    def create(self, home: Home, uid: str, component: str, body: bytes) -> Written:
        self.step("write")
        done = super().create(home, uid, component, body)
        self.step("written")
        return done

    def restore(self, home: Home, href: str, body: bytes) -> Written:
        self.step("write")
        done = super().restore(home, href, body)
        self.step("written")
        return done

    def remove(self, home: Home, stored: Stored) -> None:
        self.step("write")
        super().remove(home, stored)
        self.step("written")

    def step(self, name: str) -> None:
        """Take note of a step, and let happen what a test wants there."""
        self.taken.append(name)
        happening = self.instead[name].pop(0) if self.instead.get(name) else None
        if isinstance(happening, BaseException):
            raise happening
        if happening:
            happening()


class Pages(MemoryLedger):
    """A ledger that writes its steps down among those of a store."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def intend(self, entry: Entry) -> None:
        self._steps.step("intend")
        super().intend(entry)

    def complete(self, entry: Entry, *, as_intended: bool = False) -> None:
        self._steps.step("complete")
        super().complete(entry, as_intended=as_intended)


@dataclass
class Desk:
    """A gateway and all that it reaches; `time` is what its clock says."""

    accounts: Mapping[str, Account] = field(default_factory=lambda: {ALICE: ALICES})
    bounds: Bounds = field(default_factory=Bounds)
    time: datetime = BEGIN
    proof: Proof | None = None
    components: tuple[str, ...] = ("VEVENT", "VTODO")
    """What alice's calendar takes."""

    def __post_init__(self) -> None:
        self.store = Steps()
        self.ledger = Pages(self.store)
        self.calendar = self.store.add_collection(USER, "Calendar", components=self.components)
        self.gateway = self.another_node()

    def another_node(self) -> Gateway:
        """Return a gateway of its own on the same store and ledger."""
        return Gateway(Doors(self, self.store, self.ledger, lambda: self.time, proof=self.proof), self.bounds)

    def account_of(self, address: str) -> Account | None:
        """Return whose mail it is."""
        return self.accounts.get(address)

    def keep(self, *bodies: bytes) -> None:
        """Put an object into alice's calendar, as her own client does."""
        for body in bodies:
            self.store.put(self.calendar, "lunch@example.org.ics", body)

    def deliver(self, mail: bytes, *recipients: str) -> tuple[Status, ...]:
        """Deliver a mail, to alice unless others are named."""
        return self.gateway.deliver(Envelope("", recipients or (ALICE,), mail))

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.time += timedelta(**time)

    def bodies(self) -> list[bytes]:
        """Return what alice's calendar holds, unfolded."""
        return [unfolded(stored.body) for stored in self.store.objects(self.calendar)]

    def told(self) -> list[Recorded]:
        """Return every entry with its former object, newest first."""
        found = [self.ledger.find(each.entry.digest, each.entry.recipient) for each in self.ledger.log(Query())]
        return [recorded for recorded in found if recorded]

    def outcomes(self) -> list[str]:
        """Return what every completed entry says, newest first."""
        assert all(recorded.completed for recorded in self.told())
        return [f"{recorded.entry.outcome}: {recorded.entry.reason}" for recorded in self.told()]


def unfolded(body: bytes) -> bytes:
    """Return iCalendar with each content line on one line."""
    return body.replace(b"\r\n ", b"")


def with_policy(**choices: str | int) -> Account:
    """Return alice's account with other choices."""
    return replace(ALICES, policy=replace(ALICES.policy, **choices))  # type: ignore[arg-type]
