"""Ordinary mail, which is most mail: it shows no sign of a calendar, so nothing is parsed, looked up or recorded."""

from dataclasses import replace

from imipd.envelope import DONE, Envelope
from imipd.itip import NoAction, Reason
from imipd.look import may_carry_calendar

from .judgement import Judgement

ORDINARY = Judgement("", None, None, (), NoAction(Reason.NO_CALENDAR_PART))
"""What is to be done about it; without a digest, since nothing is kept of it."""
SEEN = replace(DONE, outcomes=(ORDINARY.outcome,))
"""The answer for who has an account."""
UNKNOWN = replace(DONE, outcomes=(f"no_action; reason={Reason.UNKNOWN_RECIPIENT}",))
"""The answer for who has none."""


def is_ordinary(envelope: Envelope, limit: int) -> bool:
    """Whether the whole mail has come and shows no sign of a calendar."""
    return not envelope.oversize and len(envelope.content) <= limit and not may_carry_calendar(envelope.content)
