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
    limit, originator = arrival.account.policy.changes_per_hour, arrival.mail.originator or ""
    since = arrival.time - HOUR if limit else arrival.time  # nothing to count where nothing is limited
    standing = ledger.standing(digest, arrival.account.name, originator, since)
    if standing.undone:
        return NoAction(Reason.UNDONE_HERE)
    done = standing.applied + arrival.planned
    if not limit or done < limit:  # mails that are processed at this moment may pass besides
        return decision
    return Error(Reason.RATE_LIMITED, f"{originator or 'no single From'}: {done} changes in the last hour")
