"""How much is measured: which servers and topics, with how many events, for how long; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

TOPICS = ("plain", "replies", "methods", "shapes", "accounts", "unknown", "memory", "start", "workers")
SERVERS = ("radicale", "xandikos", "cyrus", "sogo", "davical")
SHAPED = ("radicale", "cyrus")
"""Where an account has objects with other names, and one has three calendars."""
PEOPLE = ("p1", "p2", "p3", "p4")
"""Accounts of which each has a connection of its own."""
FEW = 100
"""Events of each of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run measures."""

    sizes: Mapping[str, tuple[int, ...]]
    """The calendars of each server, the smallest first."""
    servers: tuple[str, ...] = SERVERS
    topics: tuple[str, ...] = TOPICS
    methods: tuple[str, ...] = SHAPED
    """Servers whose calendars get updates and cancellations."""
    rounds: int = 5
    seconds: float = 0.8
    """Of one run of one contender."""
    connections: tuple[int, ...] = (1, 4)
    """For answers to the events of one calendar."""
    plain: tuple[int, ...] = (1, 4, 16)
    """Connections for mail without a calendar part."""
    flood: int = 10_000
    """Mails for which the memory is measured."""
    large: int = 25 * 2**20
    """Size of the one large mail."""
    unknown: int = 200
    """Messages about events that nobody holds."""
    patience: float = 30.0
    """Seconds for them."""
    starts: int = 20
    """How often a program is started."""
    middle: int = 1000
    """Events, where the number of events is not what is asked."""
    left_out: tuple[str, ...] = field(default=())
    """Servers that are not there."""

    def accounts(self, server: str) -> dict[str, int]:
        """Return the accounts that a server needs, with the number of their events."""
        sizes = self.sizes[server]
        wanted = {size for topic in self.topics for size in _sizes(topic, sizes, self.middle)}
        found = {account_of(size): size for size in sorted(wanted)}
        if "shapes" in self.topics and server in SHAPED:
            found |= dict.fromkeys(("renamed", "three"), min(self.middle, sizes[-1]))
        if {"accounts", "workers"} & set(self.topics) and server == "cyrus":
            found |= dict.fromkeys(PEOPLE, FEW)
        return found


def account_of(size: int) -> str:
    """Return the account that has a calendar of this size."""
    return f"a{size}"


def _sizes(topic: str, sizes: tuple[int, ...], middle: int) -> tuple[int, ...]:
    if topic == "replies":
        return sizes
    if topic == "methods":
        return (min(middle, sizes[-1]),)
    return sizes[-1:] if topic == "unknown" else sizes[:1]


_SIZES = {"radicale": (100, 1000, 10_000), "xandikos": (100, 1000, 10_000), "cyrus": (100, 1000)}
USUAL = Plan(_SIZES, servers=("radicale", "xandikos", "cyrus"))
FULL = Plan(
    {**_SIZES, "cyrus": (100, 1000, 10_000), "sogo": (100, 1000, 10_000), "davical": (100, 1000)},
    methods=SERVERS,
    seconds=2.0,
    connections=(1, 4, 16),
)


def narrowed(plan: Plan, words: Iterable[str], present: Sequence[str]) -> Plan:
    """Return the plan for these topics and servers alone (all where none is named), as far as servers are there."""
    named = tuple(words)
    topics = tuple(topic for topic in TOPICS if topic in named) or plan.topics
    servers = tuple(server for server in SERVERS if server in named) or plan.servers
    here = tuple(server for server in servers if server in present)
    left_out = tuple(server for server in servers if server not in present)
    return replace(plan, topics=topics, servers=here, left_out=left_out)
