"""What is asked of a server with filled calendars: answers, updates, cancellations, accounts of several shapes."""

from collections.abc import Iterator, Sequence

from . import jobs
from .book import Key
from .daemon import Imipd
from .floor import Bare
from .jobs import Held
from .load import Lmtp
from .plan import PEOPLE, Plan, account_of
from .rounds import Case, Contender
from .stands import Stand

OWN = "own LMTP"
"""The listener that a calendar server has itself."""
LIMIT = 600
"""Jobs that are made ready for a connection: more than any server does in a round."""


def cases(plan: Plan, stand: Stand, imipd: Imipd) -> list[Case]:
    """Return what is to be measured on this server, all of it interleaved."""
    return [
        *(_replies(plan, stand, imipd) if "replies" in plan.topics else ()),
        *(_methods(plan, stand, imipd) if "methods" in plan.topics and stand.kind in plan.methods else ()),
        *(_shapes(stand, imipd) if "shapes" in plan.topics else ()),
        *(_accounts(stand, imipd) if "accounts" in plan.topics else ()),
    ]


def plain(plan: Plan, held: Held, imipd: Imipd, peer: str) -> list[Case]:
    """Return mail without calendar parts, alone and with one answer in a hundred, beside aiosmtpd."""
    both = (ours(imipd), Contender("aiosmtpd", lambda: Lmtp(peer), writes=False))
    found = [
        Case(Key("plain mail", "", held.size, number), lambda k, n: jobs.plain([held], k, n), both)
        for number in plan.plain
    ]
    most = plan.plain[-1]
    mixed = Case(Key("1 % replies", "", held.size, most), lambda k, n: jobs.mixed([held], k, n), both)
    return [*found, mixed]


def ours(imipd: Imipd, name: str = "imipd") -> Contender:
    """Return imipd as a contender."""
    return Contender(name, lambda: Lmtp(imipd.place), imipd)


def answers(held: Sequence[Held], key: Key, contenders: Sequence[Contender], at_most: int = LIMIT) -> Case:
    """Return answers to the events of these accounts."""
    return Case(key, lambda k, n: jobs.replies(held, k, n), tuple(contenders), at_most)


def _replies(plan: Plan, stand: Stand, imipd: Imipd) -> Iterator[Case]:
    for size in plan.sizes[stand.kind]:
        held = stand.held[account_of(size)]
        for number in plan.connections if size == plan.middle else (1,):
            contenders = [ours(imipd), _floor(held), *_own(stand, held, number)]
            yield answers([held], Key("replies", stand.kind, size, number), contenders)


def _methods(plan: Plan, stand: Stand, imipd: Imipd) -> Iterator[Case]:
    """Yield what an Organizer sends; the floor beside it is the same GET and PUT as for answers."""
    size = min(plan.middle, plan.sizes[stand.kind][-1])
    held = stand.held[account_of(size)]
    who = (ours(imipd),)
    few = max(1, size // 5 // (plan.rounds + 1))  # no event can be called off twice
    yield Case(Key("updates", stand.kind, size), lambda k, n: jobs.updates([held], k, n), who, LIMIT)
    yield Case(Key("cancels", stand.kind, size), lambda k, n: jobs.cancels([held], k, n), who, few)


def _shapes(stand: Stand, imipd: Imipd) -> Iterator[Case]:
    for account, shape in (("renamed", "other names"), ("three", "three calendars")):
        if held := stand.held.get(account):
            key = Key("replies", stand.kind, held.size, shape=shape)
            yield answers([held], key, (ours(imipd), _floor(held)))


def _accounts(stand: Stand, imipd: Imipd) -> Iterator[Case]:
    people = [stand.held[account] for account in PEOPLE if account in stand.held]
    for number in (1, len(people)) if people else ():
        key = Key("replies", stand.kind, people[0].size, number, "four accounts")
        yield answers(people, key, (ours(imipd), _floor(people[0])))


def _own(stand: Stand, held: Held, connections: int) -> Iterator[Contender]:
    """Yield the server's own listener; that of Xandikos 0.4.10 loses answers that come at once, after a 250."""
    place = stand.peers.get(held.account)
    if place and (connections == 1 or stand.kind != "xandikos"):
        yield Contender(OWN, lambda: Lmtp(place))


def _floor(held: Held) -> Contender:
    return Contender("floor", lambda: Bare(held))
