"""imipd explain: the very path of a delivery, up to the write. Nothing is written anywhere."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imipd import config, mail, scenario
from imipd.accounts import Account
from imipd.accounts.configured import Directory
from imipd.address import comparable
from imipd.config import Config
from imipd.envelope import Envelope
from imipd.gateway import Bounds, Doors, Gateway, Judgement
from imipd.itip import Added, NoAction, Reason, Removed, Updated
from imipd.ledger import Ledger, LedgerError
from imipd.ledger.memory import MemoryLedger
from imipd.ledger.sql import open_ledger
from imipd.policy import DEFAULTS, Policy
from imipd.store import Home, Store, StoreError
from imipd.store.caldav import CalDavStore
from imipd.store.memory import MemoryStore

from . import assembly

SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Case:
    """One mail to be explained for one recipient."""

    content: bytes
    recipient: str
    account: Account | None
    bounds: Bounds


def run(arguments: argparse.Namespace) -> int:
    """Print what would happen with the mail and return the exit code."""
    try:
        content = sys.stdin.buffer.read() if arguments.mail == "-" else Path(arguments.mail).read_bytes()
        stored = arguments.stored.read_bytes() if arguments.stored else None
    except OSError as error:
        print(f"imipd explain: {error}", file=sys.stderr)
        return os.EX_NOINPUT
    case = _case(arguments, content)
    if not case.recipient:
        print("imipd explain: the mail does not say for whom it is. Name the recipient with -r", file=sys.stderr)
        return os.EX_USAGE
    try:
        judged = _judged(case, stored, arguments)
    except (StoreError, LedgerError) as error:
        print(f"imipd explain: try again later: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL
    print(_as_json(case, judged) if arguments.json else _as_text(case, judged))
    return os.EX_OK


def _case(arguments: argparse.Namespace, content: bytes) -> Case:
    settings = _settings(arguments)
    bounds = assembly.bounds(settings) if settings else Bounds()
    named = mail.read(content, bounds.mail_limits).recipients
    recipient = arguments.recipient or (named[0] if named else "")
    account = _account(recipient, settings)
    choices = dict(choice.partition("=")[::2] for choice in arguments.policy)
    if account is not None and choices:
        account = replace(account, policy=config.override(account.policy, choices))
    return Case(content, recipient, account, bounds)


def _settings(arguments: argparse.Namespace) -> Config | None:
    """Without any configuration --stored and the defaults are enough."""
    if arguments.stored and config.find(arguments.config, os.environ) is None:
        return None
    return config.load(arguments.config, os.environ)


def _account(recipient: str, settings: Config | None) -> Account | None:
    if settings is not None:
        return Directory(settings, os.environ).account_of(recipient)
    address = comparable(recipient)
    return Account(address, (address,), Home("memory:", address, ""), Policy())


def _judged(case: Case, stored: bytes | None, arguments: argparse.Namespace) -> tuple[Judgement, ...]:
    if case.account is None:
        nothing = NoAction(Reason.UNKNOWN_RECIPIENT, case.recipient)
        return (Judgement("", None, None, (), nothing),)
    with _doors(stored, case.account, arguments) as (store, ledger):
        gateway = Gateway(Doors(_Served(case.account), store, ledger, assembly.now), case.bounds)
        return gateway.judgements(case.recipient, case.account, Envelope(None, (case.recipient,), case.content))


@dataclass(frozen=True, slots=True)
class _Served:
    """The one account that is asked about."""

    account: Account

    def account_of(self, address: str) -> Account | None:  # noqa: ARG002  the door's
        """Return the account, whatever the address."""
        return self.account


@contextmanager
def _doors(stored: bytes | None, account: Account, arguments: argparse.Namespace) -> Iterator[tuple[Store, Ledger]]:
    """Open the real calendar and ledger, to read; with --stored neither is touched."""
    if stored is not None:
        held = MemoryStore()
        held.put(held.add_collection(account.home.username, "stored"), "stored.ics", stored)
        yield held, MemoryLedger()
        return
    store = CalDavStore()
    ledger = _ledger(config.load(arguments.config, os.environ))
    try:
        yield store, ledger
    finally:
        store.close()
        ledger.close()


def _ledger(settings: Config) -> Ledger:
    """A SQLite file that is not there yet holds no memory, and is not made for this."""
    url = settings.ledger.url
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():
        return MemoryLedger()
    return open_ledger(url)


def _changes(judgement: Judgement) -> tuple[str, ...]:
    before = judgement.stored.body if judgement.stored else None
    if isinstance(judgement.decision, Added | Updated):
        return scenario.changes(before, judgement.decision.calendar)
    return scenario.changes(before, None) if isinstance(judgement.decision, Removed) else ()


def _as_text(case: Case, judged: tuple[Judgement, ...]) -> str:
    context = ["== context", f"recipient: {case.recipient}"]
    policy = case.account.policy if case.account else DEFAULTS
    chosen = {name: getattr(policy, name) for name in Policy.__dataclass_fields__}
    different = [f"{name}={value}" for name, value in chosen.items() if value != getattr(DEFAULTS, name)]
    context += [f"policy: {' '.join(different)}"] if different else []
    return "\n".join(context) + "\n" + scenario.rendered([(item.decision, _changes(item)) for item in judged])


def _as_json(case: Case, judged: tuple[Judgement, ...]) -> str:
    originator = mail.read(case.content, case.bounds.mail_limits).originator
    messages = [_message(item) for item in judged]
    return json.dumps({"recipient": case.recipient, "originator": originator, "messages": messages}, indent=1)


def _message(judgement: Judgement) -> dict[str, Any]:
    decision = judgement.decision
    written = decision.calendar.decode("utf-8", "replace") if isinstance(decision, Added | Updated) else None
    removed = {"removed": True} if isinstance(decision, Removed) else {}
    return {
        "method": judgement.method,
        "uid": judgement.uid,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "detail": decision.detail,
        "changes": list(_changes(judgement)),
        "calendar": written,
        **removed,
    }
