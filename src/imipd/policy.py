"""What the operator allows a message to do: chosen in the configuration, obeyed by `itip` (docs/rules.md)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one account; the defaults are the careful ones."""

    invitations: Literal["ignore", "add", "known"] = "ignore"
    """A REQUEST with an unknown UID (Q2)."""
    known_senders: tuple[str, ...] = ()
    """Whom ``known`` knows besides contacts and events: ``local@domain`` or ``*@domain`` (Q2)."""
    cancelled: Literal["mark", "delete"] = "mark"
    """What a CANCEL leaves behind (C3, C4)."""
    party_crashers: Literal["ignore", "add"] = "ignore"
    """An answer of somebody who was not invited (R5)."""
    published: Literal["ignore", "add"] = "ignore"
    """A PUBLISH."""
    attachments: Literal["keep", "strip"] = "keep"
    """What an Organizer attaches to an event: files, HTML, links (Q9)."""
    bounces: Literal["ignore", "mark"] = "ignore"
    """An invitation that comes back undelivered (B1)."""
    sender: Literal["any", "from", "dkim", "dmarc"] = "from"
    """How far the originator must be proven (A2, G11)."""
    changes_per_hour: int = 60
    """How often one originator may change the account's calendars in an hour; 0 sets no limit (S8)."""
    trusted_senders: tuple[str, ...] = ()
    """Who may speak for any Organizer and Attendee: ``local@domain`` or ``*@domain`` (A2)."""
    attendee_aliases: tuple[tuple[str, ...], ...] = ()
    """Groups of addresses outside, each of them one person who answers from any of his (A2)."""
    calendar_ids: tuple[str, ...] = ("group.calendar.google.com", "resource.calendar.google.com", "imip.me.com")
    """Domains whose addresses are calendars and no mailboxes: nobody mails from there (A2)."""


DEFAULTS = Policy()
