"""The house put together from its configuration: every driver is opened here."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from imipd import itip, mail
from imipd.accounts.configured import Directory
from imipd.config import Config
from imipd.config.settings import Forward
from imipd.egress import NextHop
from imipd.envelope import Deliver, Envelope, Status
from imipd.gateway import Bounds, Doors, Gateway, Judgement, Lanes, PassingOn
from imipd.index import Index
from imipd.ledger import Ledger
from imipd.ledger.memory import MemoryLedger
from imipd.ledger.sql import open_as_it_is, open_ledger
from imipd.proof import Proof
from imipd.store import Locate, Place, Store
from imipd.store.caldav import CalDavStore

from . import veil


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on: at the calendars, and at what is decided. By itself nobody."""

    store: Callable[[Store], Store] = lambda store: store
    decided: Callable[[Judgement], None] = lambda _judgement: None


NOBODY = Watch()


@dataclass(frozen=True, slots=True)
class House:
    """What a running imipd holds open."""

    config: Config
    directory: Directory
    store: Store
    ledger: Ledger
    gateway: Gateway
    deliver: Deliver
    """What the listeners call: the gateway, and where there is one the next hop behind it."""
    lanes: Lanes

    def at_once(self, envelope: Envelope) -> tuple[Status, ...] | None:
        """Return the answers to a mail over which nothing has to be waited for; with a next hop there is none."""
        return None if self.config.forward else self.gateway.at_once(envelope)

    def serves(self, address: str) -> bool:
        """Whether mail for this address is taken at RCPT; with a next hop, that is its word."""
        return self.config.forward is not None or self.knows(address)

    def knows(self, address: str) -> bool:
        """Whether mail for this address is processed."""
        return self.config.lmtp.unknown_recipients == "accept" or self.directory.serves(address)


@contextmanager
def opened(config: Config, environ: Mapping[str, str], watch: Watch = NOBODY) -> Iterator[House]:
    """Open the ledger and the calendars. Raises ConfigError, LedgerError."""
    with opened_for(directory(config, environ), config, watch) as house:
        yield house


@contextmanager
def opened_for(found: Directory, config: Config, watch: Watch, *, lanes: Lanes | None = None) -> Iterator[House]:
    """Do the same for accounts whose passwords are read already. Raises LedgerError."""
    opened_ledger = ledger(config)
    store = calendars(config, opened_ledger.index)
    try:
        yield furnished(config, found, watch.store(store), opened_ledger, watch, lanes=lanes)
    finally:
        store.close()
        opened_ledger.close()


def ledger(config: Config) -> Ledger:
    """Open the ledger, its tables up to date. Raises LedgerError."""
    return open_ledger(config.ledger.url, keep_days=config.ledger.keep_days)


def calendars(config: Config, index: Index | None = None) -> CalDavStore:
    """Return the calendar servers, and the DNS to find one by its domain; with an index lookups are quick."""

    @cache
    def opened() -> Locate:
        from imipd.store.located import DnsLocator  # noqa: PLC0415  only `dns:` in a URL asks for it

        return DnsLocator(config.proof.resolver, config.proof.timeout.total_seconds())

    def locate(domain: str) -> tuple[Place, ...]:
        return opened()(domain)

    return CalDavStore(locate=locate, index=index)


def directory(config: Config, environ: Mapping[str, str]) -> Directory:
    """Return who is served; what is secret in it is hidden from now on. Raises ConfigError."""
    veil.conceal((), [config.ledger.url])
    found = Directory(config, environ)
    veil.conceal(found.passwords)
    return found


def ledger_as_it_is(config: Config) -> Ledger:
    """Open the ledger for who shall not change its tables; a SQLite file that is not there yet is empty, and not made.

    Raises LedgerError.
    """
    if (file := config.ledger.file) and not file.exists():
        return MemoryLedger()
    return open_as_it_is(config.ledger.url, keep_days=config.ledger.keep_days)


def furnished(
    config: Config,
    directory: Directory,
    store: Store,
    ledger: Ledger,
    watch: Watch = NOBODY,
    *,
    lanes: Lanes | None = None,
) -> House:
    """Return the house over doors that are open already."""
    lanes = lanes or Lanes()
    doors = Doors(directory, store, ledger, now, watch.decided, _proof(config), lanes)
    gateway = Gateway(doors, bounds(config))
    deliver = _passing_on(config.forward, gateway, directory)
    return House(config, directory, store, ledger, gateway, deliver, lanes)


def _passing_on(forward: Forward | None, gateway: Gateway, directory: Directory) -> Deliver:
    if forward is None:
        return gateway.deliver
    return PassingOn(gateway.deliver, directory.serves, next_hop(forward), forward.on_unavailable == "pass")


def next_hop(forward: Forward) -> NextHop:
    """Return where mail goes on to."""
    from imipd.egress import hop  # noqa: PLC0415  a pipe has no next hop

    hostname = socket.getfqdn()
    return hop.lmtp(forward.lmtp, hostname) if forward.lmtp else hop.smtp(forward.smtp or "", hostname)


def _proof(config: Config) -> Proof | None:
    """Return what proves a sender, None where no policy asks for that: a pipe shall not load it for nothing."""
    if not asks_for_proof(config):
        return None
    from . import proving  # noqa: PLC0415

    return proving.verifier(config)


def asks_for_proof(config: Config) -> bool:
    """Whether the policy of anybody wants senders to be proven."""
    return any(config.policy_of(place).sender in ("dkim", "dmarc") for place in config.places)


def bounds(config: Config) -> Bounds:
    """Return the limits that the configuration sets."""
    limits = config.limits
    return Bounds(
        mail.Limits(limits.mail, limits.calendar_part, limits.mime_parts, limits.mime_depth),
        itip.Limits(limits.components, limits.attendees),
        config.spam.headers,
        config.caldav.patience,
        config.serve.threads,
    )


def now() -> datetime:
    """Return the time: the one clock of the house."""
    return datetime.now(UTC)
