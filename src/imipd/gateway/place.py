"""Whether there is a calendar for a new object: one that none takes has nowhere to go, today as tomorrow (S1)."""

from imipd.itip import Added, Decision, ItipMessage, NoAction, Reason
from imipd.store import Home, NoPlaceError, Store


def placed(decision: Decision, message: ItipMessage, home: Home, store: Store) -> Decision:
    """Return the decision, unless it adds what no calendar of the account takes. Raises StoreError."""
    if not isinstance(decision, Added):
        return decision
    try:
        store.destination(home, message.content.kind)
    except NoPlaceError as error:
        return NoAction(Reason.NO_CALENDAR, str(error))
    return decision
