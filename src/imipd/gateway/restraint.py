"""What keeps a decision from being carried out although the rules allow it: it was taken back, or there are too many.

Asked only where a write would follow: what changes nothing is never held up.
"""

from datetime import timedelta

from imipd.itip import Added, Decision, Error, NoAction, Reason, Removed, Updated
from imipd.ledger import Ledger

from .judgement import Arrival

HOUR = timedelta(hours=1)


def restrained(decision: Decision, digest: str, arrival: Arrival, ledger: Ledger) -> Decision:
    """Return the decision, or why it is not carried out (S7, S8). Raises LedgerError."""
    if not isinstance(decision, Added | Updated | Removed):
        return decision
    if ledger.is_undone(digest, arrival.account.name):
        return NoAction(Reason.UNDONE_HERE)
    return _too_many(arrival, ledger) or decision


def _too_many(arrival: Arrival, ledger: Ledger) -> Error | None:
    """Return the refusal where the originator has changed enough; mails processed at that moment may pass besides."""
    limit, originator = arrival.account.policy.changes_per_hour, arrival.mail.originator or ""
    if not limit:
        return None
    done = ledger.applied(arrival.account.name, originator, arrival.time - HOUR) + arrival.planned
    if done < limit:
        return None
    return Error(Reason.RATE_LIMITED, f"{originator or 'no single From'}: {done} changes in the last hour")
