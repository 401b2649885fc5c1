"""imipd explain: the very path of a delivery, up to the write. Nothing is written anywhere."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imipd import config, mail, scenario
from imipd.accounts import Account
from imipd.address import comparable
from imipd.config import Config, ConfigError
from imipd.envelope import Envelope
from imipd.gateway import Bounds, Doors, Gateway, Judgement
from imipd.index import Unwritten
from imipd.itip import Added, NoAction, Reason, Removed, Updated
from imipd.ledger import Ledger, LedgerError
from imipd.ledger.memory import MemoryLedger
from imipd.memory import Memory
from imipd.policy import DEFAULTS, Policy
from imipd.proof import UnansweredError
from imipd.proof.verifier import Verifier
from imipd.store import Home, Store, StoreError
from imipd.store.memory import MemoryStore

from . import assembly, proving


class UsageError(Exception):
    """The command line says too little, or what cannot be."""


@dataclass(frozen=True, slots=True)
class Case:
    """One mail to be explained for one recipient."""

    content: bytes
    recipient: str
    account: Account | None
    bounds: Bounds
    proof: Verifier


def run(arguments: argparse.Namespace) -> int:
    """Print what would happen with the mail and return the exit code."""
    try:
        content, stored = _read(arguments)
        case = _case(arguments, content)
        judged, remembered = _judged(case, stored, arguments)
    except OSError as error:
        return _failed(str(error), os.EX_NOINPUT)
    except UsageError as error:
        return _failed(str(error), os.EX_USAGE)
    except (StoreError, LedgerError, UnansweredError) as error:
        return _failed(f"try again later: {error}", os.EX_TEMPFAIL)
    print(_as_json(case, judged) if arguments.json else _as_text(case, judged, remembered))
    return os.EX_OK


def _failed(why: str, code: int) -> int:
    print(f"imipd explain: {scenario.printable(why)}", file=sys.stderr)
    return code


def _read(arguments: argparse.Namespace) -> tuple[bytes, bytes | None]:
    """Return the mail and what is stored; None where the calendar shall be asked."""
    # --policy takes all that follows it, the mail too.
    name = arguments.mail or (arguments.policy.pop() if arguments.policy else "")
    if not name:
        raise UsageError("which mail? Name a file, or - for stdin")
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    return content, arguments.stored.read_bytes() if arguments.stored else None


def _case(arguments: argparse.Namespace, content: bytes) -> Case:
    settings = _settings(arguments)
    bounds = assembly.bounds(settings) if settings else Bounds()
    named = mail.read(content, bounds.mail_limits).recipients
    recipient = arguments.recipient or (named[0] if named else "")
    if not recipient:
        raise UsageError("the mail does not say for whom it is. Name the recipient with -r")
    account = _account(recipient, settings)
    proof = _verifier(settings, arguments)
    return Case(content, recipient, account and _with(account, arguments.policy), bounds, proof)


def _verifier(settings: Config | None, arguments: argparse.Namespace) -> Verifier:
    """With --stored, which asks no server, nothing is verified: only the mail's Authentication-Results tell."""
    offline = arguments.stored is not None
    found = proving.verifier(settings, offline=offline) if settings else Verifier()
    return replace(found, authserv_id=arguments.authserv_id or found.authserv_id)


def _with(account: Account, policy: Sequence[str]) -> Account:
    """Return the account with other choices."""
    try:
        choices = dict(choice.partition("=")[::2] for choice in policy)
        return replace(account, policy=config.override(account.policy, choices))
    except ConfigError as error:
        raise UsageError(f"--{error}") from error


def _settings(arguments: argparse.Namespace) -> Config | None:
    """Without any configuration --stored and the defaults are enough."""
    if arguments.stored and config.find(arguments.config, os.environ) is None:
        return None
    return config.load(arguments.config, os.environ)


def _account(recipient: str, settings: Config | None) -> Account | None:
    if settings is not None:
        return assembly.directory(settings, os.environ).account_of(recipient)
    address = comparable(recipient)
    return Account(address, (address,), Home("memory:", address, ""), Policy())


def _judged(case: Case, stored: bytes | None, arguments: argparse.Namespace) -> tuple[tuple[Judgement, ...], list[str]]:
    """Return what would be done, and what was remembered when that was decided."""
    account = case.account
    if account is None:
        nothing = NoAction(Reason.UNKNOWN_RECIPIENT, case.recipient)
        return (Judgement("", None, None, (), nothing),), []
    with _doors(stored, account, arguments) as (store, ledger):
        gateway = Gateway(Doors(_Served(account), store, ledger, assembly.now, proof=case.proof), case.bounds)
        judged = gateway.judgements(case.recipient, account, Envelope(None, (case.recipient,), case.content))
        uids = dict.fromkeys(each.uid for each in judged if each.uid)
        return judged, [row for uid in uids for row in _remembered(ledger.recall(account.name, uid))]


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
        held.put(
            held.add_collection(account.home.username, "stored", components=("VEVENT", "VTODO", "VJOURNAL")),
            "stored.ics",
            stored,
        )
        yield held, MemoryLedger()
        return
    settings = config.load(arguments.config, os.environ)
    ledger = assembly.ledger_as_it_is(settings)
    store = assembly.calendars(settings, Unwritten(ledger.index))
    try:
        yield store, ledger
    finally:
        store.close()
        ledger.close()


def _changes(judgement: Judgement) -> tuple[str, ...]:
    before = judgement.stored.body if judgement.stored else None
    if isinstance(judgement.decision, Added | Updated):
        return scenario.changes(before, judgement.decision.calendar)
    return scenario.changes(before, None) if isinstance(judgement.decision, Removed) else ()


def _as_text(case: Case, judged: tuple[Judgement, ...], remembered: Sequence[str]) -> str:
    rows = ["== context", f"recipient: {case.recipient}"]
    rows += _of_account(case.account, case.recipient) if case.account else []
    rows += [f"authserv-id: {case.proof.authserv_id}"] if _is_believed(case) else []
    known = map(scenario.printable, [*rows, *remembered])
    return "\n".join([*known, scenario.rendered([(item.decision, _changes(item)) for item in judged])])


def _is_believed(case: Case) -> bool:
    return bool(case.account and case.account.policy.sender in ("dkim", "dmarc") and case.proof.authserv_id)


def _of_account(account: Account, recipient: str) -> list[str]:
    """Return what a scenario has to know of an account, where it is not the usual."""
    others = [address for address in account.addresses if address != comparable(recipient)]
    chosen = {name: getattr(account.policy, name) for name in Policy.__dataclass_fields__}
    different = [f"{name}={_written(value)}" for name, value in chosen.items() if value != getattr(DEFAULTS, name)]
    rows = [f"addresses: {', '.join(others)}"] if others else []
    return rows + ([f"policy: {' '.join(different)}"] if different else [])


def _written(value: object) -> str:
    """Return a choice as --policy takes it."""
    if not isinstance(value, tuple):
        return str(value)
    separator = ";" if any(isinstance(each, tuple) for each in value) else ","
    return separator.join(_written(each) for each in value)


def _remembered(memory: Memory) -> list[str]:
    """Return what the ledger remembers as a scenario says it."""
    rows = [
        f"revision: {each.party} {each.recurrence_id or '-'} {'-' if each.sequence is None else each.sequence}"
        f" {_time(each.dtstamp)} {_time(each.date)} {each.first or ''}".rstrip()
        for each in memory.revisions
    ]
    return rows + [
        f"tombstone: {each.party} {each.recurrence_id or '-'} {each.sequence} {_time(each.dtstamp)}"
        for each in memory.tombstones
    ]


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}" if moment else "-"


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
