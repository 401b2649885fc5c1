"""Takes back what one entry of the ledger did, if nobody has changed the object since (docs/ledger.md, "Taking back").

The order is that of a delivery: look, intend, write on condition, complete. An undo is an entry itself and can be
taken back as well; one that was interrupted is finished when it is asked for again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from imipd import itip
from imipd.accounts import Account
from imipd.itip import Error, MalformedError, Reason, Updated
from imipd.ledger import WRITTEN, Entry, Query, Recorded
from imipd.memory import NOTHING, Memory
from imipd.store import ConflictError, RefusedError, Stored, Written

from .deliver import ATTEMPTS, Doors

EVERY = 100_000
"""More messages about one object than any ledger keeps."""


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why an entry cannot be taken back."""

    why: str
    known: bool = True
    """Whether there is such an entry at all."""
    left: bytes | None = None
    found: bytes | None = None
    """Where the object was changed: what the entry left, and what stands there now."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """What taking back an entry does to its object."""

    recorded: Recorded
    entry: Entry
    """What the ledger shall say of it: it goes from `entry.former` to `entry.written`."""
    account: Account
    held: Stored | None
    done: bool = False
    """Whether an undo that was interrupted has written already."""
    number: int | None = None
    """The number of `entry`, once it is done."""


class _HinderedError(Exception):
    """Carries a `Hindrance` out of the look."""

    def __init__(self, why: str, left: bytes | None = None, found: bytes | None = None) -> None:
        super().__init__(why)
        self.hindrance = Hindrance(why, left=left, found=found)


def undo(doors: Doors, number: int) -> Undoing | Hindrance:
    """Take back an entry and return what that did. Raises StoreError, LedgerError."""
    for _ in range(ATTEMPTS):
        found = undoing(doors, number)
        if isinstance(found, Hindrance):
            return found
        try:
            return _carried_out(doors, found)
        except ConflictError:
            continue  # somebody else wrote: look again, and say so
        except RefusedError as error:
            doors.ledger.complete(_refused(found, error))
            return Hindrance(f"the calendar server refuses it: {error}")
    return Hindrance("somebody else is changing the object at this moment. Try again")


def undoing(doors: Doors, number: int) -> Undoing | Hindrance:
    """Return what taking back an entry would do, reading only. Raises StoreError, LedgerError."""
    recorded = doors.ledger.numbered(number)
    if recorded is None:
        return Hindrance("there is no such entry, or it is older than ledger.keep_days", known=False)
    try:
        return _looked_at(doors, recorded)
    except _HinderedError as error:
        return error.hindrance
    except MalformedError as error:
        return Hindrance(f"the object cannot be read: {error.detail}")


def _looked_at(doors: Doors, recorded: Recorded) -> Undoing:
    later = _later(doors, recorded)
    _check(recorded, later)
    entry = recorded.entry
    account = doors.accounts.account_of(entry.recipient)
    if account is None or account.name != entry.account:
        raise _HinderedError(f"{entry.recipient} has no account {entry.account} in the configuration any more")
    held = _held(doors, account, entry)
    begun = next((each for each in later if each.entry.undoes == recorded.number and not each.completed), None)
    intended = doors.ledger.find(begun.entry.digest, begun.entry.recipient) if begun else None
    if intended and _is(held, intended.entry.written, ""):
        return Undoing(recorded, intended.entry, account, held, done=True)
    last = next((each.entry for each in later if each.completed and each.entry.outcome in WRITTEN), entry)
    # What came later was taken back, so what that left counts: SOGo raises the SEQUENCE of what it is given back.
    _check_unchanged(held, replace(entry, etag=last.etag))
    undone = _undone(recorded, held)
    digest = intended.entry.digest if intended else f"undo {recorded.number} {doors.now().isoformat()}"
    return Undoing(recorded, replace(undone, digest=digest, time=doors.now()), account, held)


def _check(recorded: Recorded, later: Sequence[Recorded]) -> None:
    """Raise where the ledger alone says that the entry cannot be taken back."""
    entry = recorded.entry
    if not recorded.completed:
        again = f"`imipd undo {entry.undoes}` finishes it" if entry.undoes else "its mail comes again and finishes it"
        raise _HinderedError(f"it was begun and is not finished: {again}")
    if entry.outcome not in WRITTEN:
        raise _HinderedError(f"it changed nothing: {entry.outcome}: {entry.reason}")
    effective = [each for each in later if each.completed and not each.undone and each.entry.outcome in WRITTEN]
    if recorded.undone:
        by = next((f"entry {each.number}" for each in effective if each.entry.undoes == recorded.number), "an undo")
        raise _HinderedError(f"{by} has taken it back already")
    if entry.former is None and entry.written is None:
        raise _HinderedError("it was made by a version of imipd that did not keep what it wrote")
    known = {each.number for each in later}
    changed = [str(each.number) for each in effective if each.entry.undoes not in known]
    if changed:
        several = len(changed) > 1
        which = f"entries {', '.join(changed)}" if several else f"entry {changed[0]}"
        first = "them first, in this order" if several else "that first"
        raise _HinderedError(f"{which} changed it later. Undo {first}")


def _later(doors: Doors, recorded: Recorded) -> list[Recorded]:
    """Return what was recorded of the same object after this entry, newest first."""
    entry = recorded.entry
    found = doors.ledger.log(Query(uid=entry.uid, since=entry.time, limit=EVERY))
    same = [each for each in found if each.entry.account == entry.account and _path(each.entry) == _path(entry)]
    return [each for each in same if (each.entry.time, each.number) > (entry.time, recorded.number)]


def _path(entry: Entry) -> str:
    # A server may quote otherwise than we do: Radicale writes @ as %40.
    return unquote(entry.href)


def _held(doors: Doors, account: Account, entry: Entry) -> Stored | None:
    """Return the object that the entry speaks of, as it is now."""
    # The UID from what was kept: that of the entry may be shortened.
    kept = [itip.read(body) for body in (entry.written, entry.former) if body is not None]
    found = doors.store.find(account.home, kept[0].uid, "VJOURNAL")  # whatever type it was: these are few
    here = next((stored for stored in found if unquote(stored.href) == _path(entry)), None)
    if here is None and found:
        raise _HinderedError(f"the event is somewhere else now: {found[0].href}")
    return here


def _check_unchanged(held: Stored | None, entry: Entry) -> None:
    """Raise where the object is not what the entry left."""
    if _is(held, entry.written, entry.etag):
        return
    if held is None:
        raise _HinderedError("somebody has deleted the object since")
    if entry.written is None:
        raise _HinderedError("somebody has written the object anew since")
    left, found = itip.read(entry.written).calendar, itip.read(held.body).calendar
    raise _HinderedError("somebody has changed the object since", entry.written, itip.settled(left, found).to_bytes())


def _is(held: Stored | None, body: bytes | None, etag: str) -> bool:
    """Return whether this is held, and not whether the bytes are the same: servers rewrite what they store."""
    if held is None or body is None:
        return held is None and body is None
    is_version = held.etag == etag  # SOGo adds lines of its own, and says which version that is
    return itip.same(itip.read(held.body).calendar, itip.read(body).calendar) or is_version


def _undone(recorded: Recorded, held: Stored | None) -> Entry:
    """Return what the ledger shall say; what the entry has left to remember goes, what it displaced comes back."""
    entry = recorded.entry
    return replace(
        entry,
        originator="",
        method="",
        outcome=Updated.outcome,
        reason=Reason.UNDONE,
        detail=f"entry {recorded.number}, {entry.outcome}: {entry.reason}",
        duration=0.0,
        revisions=entry.displaced.revisions,
        tombstones=entry.displaced.tombstones,
        displaced=Memory(entry.revisions, entry.tombstones),
        former=held.body if held else None,
        written=entry.former,
        etag="",
        undoes=recorded.number,
    )


def _carried_out(doors: Doors, plan: Undoing) -> Undoing:
    """Intend, write, complete (S4), unless that was written before. Raises StoreError, LedgerError."""
    ledger, entry = doors.ledger, plan.entry
    if not plan.done:
        ledger.intend(entry)
        written = _write(doors, plan)
        entry = replace(entry, href=written.href, etag=written.etag)
    ledger.complete(entry)
    recorded = ledger.find(entry.digest, entry.recipient)
    return replace(plan, entry=entry, number=recorded.number if recorded else None)


def _refused(plan: Undoing, error: RefusedError) -> Entry:
    """Return what the ledger shall say of an undo that the server will not have: nothing is taken back."""
    return replace(
        plan.entry,
        outcome=Error.outcome,
        reason=Reason.CALENDAR_REFUSED,
        detail=f"undo of {plan.entry.detail}; {error}",
        revisions=(),
        tombstones=(),
        displaced=NOTHING,
        former=None,
        written=None,
        undoes=None,
    )


def _write(doors: Doors, plan: Undoing) -> Written:
    home, body = plan.account.home, plan.entry.written
    if plan.held is None:
        return doors.store.restore(home, plan.entry.href, body or b"")
    if body is not None:
        return doors.store.replace(home, plan.held, body)
    doors.store.remove(home, plan.held)
    return Written(plan.held.href, "")
