"""What was decided about an iTIP message, and why: the values that leave `itip` (RFC 9671 §4.7)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from imipd.memory import Revision, Tombstone


class Reason(StrEnum):
    """Why, in one word; docs/reasons.md explains each to an operator."""

    # added
    INVITED = "invited"
    PUBLISHED = "published"
    # updated
    ATTENDEE_REPLIED = "attendee-replied"
    RESCHEDULED = "rescheduled"
    DETAILS_CHANGED = "details-changed"
    CANCELLED = "cancelled"
    INSTANCE_CANCELLED = "instance-cancelled"
    TRUNCATED = "truncated"
    INSTANCE_ADDED = "instance-added"
    INVITATION_BOUNCED = "invitation-bounced"
    COUNTER_PROPOSAL = "counter-proposal"
    UNDONE = "undone"
    # no action: nothing for us in this mail
    NO_CALENDAR_PART = "no-calendar-part"
    ENCRYPTED = "encrypted"
    TNEF = "tnef"
    BOUNCE = "bounce"
    FORWARDED_AS_ATTACHMENT = "forwarded-as-attachment"
    FLAGGED_AS_SPAM = "flagged-as-spam"
    NOT_ITIP = "not-itip"
    UNSUPPORTED_COMPONENT = "unsupported-component"
    UNSUPPORTED_METHOD = "unsupported-method"
    UNSUPPORTED_RANGE = "unsupported-range"
    # no action: nothing to do for this recipient
    UNKNOWN_RECIPIENT = "unknown-recipient"
    NO_CALENDAR = "no-calendar"
    OWN_MESSAGE = "own-message"
    NOT_INVITED = "not-invited"
    UNKNOWN_UID = "unknown-uid"
    UNKNOWN_INSTANCE = "unknown-instance"
    INVITATION_NOT_ADDED = "invitation-not-added"
    PUBLISHED_NOT_ADDED = "published-not-added"
    NOT_AN_ATTENDEE = "not-an-attendee"
    ALREADY_CANCELLED = "already-cancelled"
    COUNTER_DECLINED = "counter-declined"
    REFRESH_REQUESTED = "refresh-requested"
    DELETED_HERE = "deleted-here"
    STALE = "stale"
    NO_CHANGE = "no-change"
    UNDONE_HERE = "undone-here"
    # error: the message is not believed or cannot be carried out
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    PARTS_DISAGREE = "parts-disagree"
    UNKNOWN_TIMEZONE = "unknown-timezone"
    SENDER_NOT_PROVEN = "sender-not-proven"
    SENDER_IS_NOT_THE_ORGANIZER = "sender-is-not-the-organizer"
    SENDER_IS_NOT_THE_ATTENDEE = "sender-is-not-the-attendee"
    ORGANIZER_CHANGED = "organizer-changed"
    NOT_A_MEETING = "not-a-meeting"
    IS_A_MEETING = "is-a-meeting"
    NOT_THE_ORGANIZER = "not-the-organizer"
    COMPONENT_CHANGED = "component-changed"
    AMBIGUOUS_UID = "ambiguous-uid"
    STORED_UNREADABLE = "stored-unreadable"
    RATE_LIMITED = "rate-limited"
    # error: given up after patience
    CALENDAR_REFUSED = "calendar-refused"
    CALENDAR_UNREACHABLE = "calendar-unreachable"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Added:
    """A new object is to be stored."""

    reason: Reason
    calendar: bytes
    """The object as it shall be stored, iCalendar with CRLF."""
    detail: str = ""
    revisions: tuple[Revision, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    outcome: ClassVar[str] = "added"


@dataclass(frozen=True, slots=True)
class Updated:
    """The stored object is to be replaced by `calendar`."""

    reason: Reason
    calendar: bytes
    detail: str = ""
    revisions: tuple[Revision, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    outcome: ClassVar[str] = "updated"


@dataclass(frozen=True, slots=True)
class Removed:
    """The stored object is to be deleted."""

    reason: Reason
    detail: str = ""
    revisions: tuple[Revision, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    outcome: ClassVar[str] = "updated"


@dataclass(frozen=True, slots=True)
class NoAction:
    """Nothing is to be written, and that is right."""

    reason: Reason
    detail: str = ""
    tombstones: tuple[Tombstone, ...] = ()
    """What is remembered although nothing is stored (C1)."""
    outcome: ClassVar[str] = "no_action"


@dataclass(frozen=True, slots=True)
class Error:
    """Nothing is to be written, because the message is not believed or cannot be carried out."""

    reason: Reason
    detail: str = ""
    outcome: ClassVar[str] = "error"


Decision = Added | Updated | Removed | NoAction | Error
Write = Added | Updated | Removed
