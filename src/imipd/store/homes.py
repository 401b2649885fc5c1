"""What is remembered of homes: connections, what discovery has found, and which calendars there were last."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from . import BY_DNS, Home, Locate, RefusedError, StoreError, UnreachableError
from .discovery import Principal, collections, discover
from .transport import Session, Wire
from .turns import Turns

ACCOUNTS = 1000
"""Accounts whose discovery is remembered."""
LANES = 256


@dataclass(frozen=True, slots=True)
class Account:
    """What is remembered of one Home."""

    wire: Wire
    principal: Principal
    until: float
    listed: float = 0.0
    """When the request was made that tells the states of its collections; 0: never."""


class Homes:
    """Holds connections, and for `remember` seconds what discovery found; used from any thread."""

    def __init__(self, locate: Locate, remember: float, connections: int, turns: Turns) -> None:
        self._connections = connections
        self._sessions: dict[str | None, Session] = {}
        self._turns = turns
        self._locate = locate
        self._remember = remember
        self._accounts: OrderedDict[Home, Account] = OrderedDict()
        self._lock = threading.Lock()
        self._lanes = [threading.Lock() for _ in range(LANES)]

    def account(self, home: Home) -> Account:
        """Return what is remembered of the home, or discover it: who comes meanwhile waits for what that finds."""
        if known := self.recalled(home):
            return known
        with self._lanes[hash(home) % LANES]:
            return self.recalled(home) or self.discovered(home)

    def recalled(self, home: Home) -> Account | None:
        """Return what is remembered of the home, None where that is nothing or too old."""
        with self._lock:
            known = self._accounts.get(home)
        return known if known and time.monotonic() < known.until else None

    def discovered(self, home: Home) -> Account:
        """Ask the server where the account's calendars are, and remember it."""
        wire, principal = self._found_by_dns(home) if home.url.startswith(BY_DNS) else self._found(home)
        account = Account(wire, principal, time.monotonic() + self._remember)
        with self._lock:
            self._accounts[home] = account
            self._accounts.move_to_end(home)
            if len(self._accounts) > ACCOUNTS:
                self._accounts.popitem(last=False)
        return account

    def listed(self, home: Home, state_is: str, since: float) -> Account:
        """Return the account with its calendars as they were at some moment after `since` (`discovery.collections`).

        Who waits for the answer to somebody else's question takes that answer: a flood of misses costs few of them.
        """
        with self._lanes[hash(home) % LANES]:
            known = self.recalled(home)
            if known and known.listed > since:
                return known
            return self._listed(home, known or self.discovered(home), state_is)

    def forget(self, home: Home) -> None:
        """Let the home be discovered anew."""
        with self._lock:
            self._accounts.pop(home, None)

    def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            session.close()

    def _listed(self, home: Home, known: Account, state_is: str) -> Account:
        now = time.monotonic()
        try:
            listed = collections(known.wire, known.principal, state_is)
        except RefusedError:  # they are not where they were
            known = self.discovered(home)
            now, listed = time.monotonic(), collections(known.wire, known.principal, state_is)
        account = replace(known, principal=replace(known.principal, collections=listed), listed=now)
        with self._lock:
            self._accounts[home] = account
        return account

    def _session_for(self, home: Home) -> Session:
        """Return the connections that trust whom this home trusts.

        niquests 3.21 would use one again for a request that trusts others: it keeps connections by host alone.
        """
        with self._lock:
            return self._sessions.setdefault(home.ca_file, Session(self._connections))

    def _found(self, home: Home) -> tuple[Wire, Principal]:
        wire = Wire(home, self._session_for(home), self._turns)
        return wire, discover(wire)

    def _found_by_dns(self, home: Home) -> tuple[Wire, Principal]:
        """Ask the servers that the domain names, one after the other, until one is within reach (RFC 6764 §6)."""
        domain = home.url.removeprefix(BY_DNS)
        error: StoreError = RefusedError(f"{home.url}: the DNS names no calendar server for {domain}, over TLS")
        for place in self._locate(domain):
            try:
                return self._found(replace(home, url=f"https://{place.host}:{place.port}{place.path}"))
            except UnreachableError as away:
                error = away
        raise error
