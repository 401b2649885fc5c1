"""Whose calendar is reached how, and what a message may do to it: [caldav], [policy], [[account]], [[domain]].

What [caldav] and [policy] say holds for all; an account or a domain overrides single keys of it.
"""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from imipd.policy import Policy

from .units import (
    Addresses,
    CalendarIds,
    Command,
    Count,
    CredentialName,
    DomainName,
    DomainNames,
    Duration,
    File,
    Line,
    People,
    Secret,
    Senders,
    UrlTemplate,
    UsernameTemplate,
    UserTemplate,
)

POLICY_KEYS = frozenset(field.name for field in fields(Policy))
PASSWORD_KEYS = ("password", "password_file", "password_command", "password_env", "password_credential")


class Section(BaseModel):
    """One table of the file."""

    # Deferred: what only others inherit from is never validated by itself, and need not be built.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True)


class Login(Section):
    """How a calendar server is reached; an account or a domain overrides [caldav] key by key."""

    url: UrlTemplate | None = Field(
        None,
        description="The CalDAV root, where discovery starts. {user}, {localpart}, {domain} and {address} are"
        " filled in, percent-encoded. `dns:example.org` asks the DNS for that domain's server.",
        examples=["https://dav.example.org/"],
    )
    username: UsernameTemplate | None = Field(
        None,
        description="The name to log in with. {user}, {localpart}, {domain} and {address} are filled in.",
        examples=["{user}"],
    )
    password_file: File | None = Field(
        None,
        description="A file that holds the password, and at most one newline after it. A relative path starts"
        " at the folder of this configuration.",
        examples=["/etc/imipd/master-password"],
    )
    password: Secret | None = Field(None, description="The password itself.", examples=["secret"])
    password_command: Command | None = Field(
        None,
        description="A command that prints the password; run without a shell, once, when imipd starts.",
        examples=[["pass", "alice"]],
        repr=False,
    )
    password_env: Line | None = Field(
        None, description="The environment variable that holds the password.", examples=["CALDAV_PASSWORD"]
    )
    password_credential: CredentialName | None = Field(
        None,
        description="The credential of systemd that holds the password, as `LoadCredential=` in the unit names it.",
        examples=["caldav"],
    )

    ca_file: File | None = Field(
        None,
        description="The certificates (PEM) of the authorities that may vouch for the server's, instead of those that"
        " the system trusts: for a CA of your own.",
        examples=["/etc/imipd/ca.pem"],
    )
    lookup: Literal["auto", "sync", "ctag", "query"] | None = Field(
        None,
        description="How an event is found that is not stored under its UID (docs/lookup.md): `auto`, as suits the"
        " server; by an index that follows the server's `sync`-token or `ctag`; or by a `query` each time.",
    )


class Caldav(Login):
    """The calendar server."""

    username: UsernameTemplate = Field(
        "{user}",
        description="The name to log in with. {user}, {localpart}, {domain} and {address} are filled in.",
        examples=["{user}"],
    )
    timeout: Duration = Field(
        timedelta(seconds=10),
        description="How long one request may take.",
        examples=["10s"],
    )
    lookup: Literal["auto", "sync", "ctag", "query"] = Field(
        "auto",
        description="How an event is found that is not stored under its UID (docs/lookup.md): `auto`, as suits the"
        " server; by an index that follows the server's `sync`-token or `ctag`; or by a `query` each time.",
    )
    patience: Duration = Field(
        timedelta(hours=24),
        description="How long a calendar that is out of reach, or refuses, defers a mail before it is given up.",
        examples=["24h"],
    )


class PolicySection(Section):
    """What a message may do; an account or a domain overrides [policy] key by key."""

    invitations: Literal["ignore", "add", "known"] = Field(
        "ignore",
        description="An invitation to an event that the calendar does not hold yet: `ignore` it, `add` it, or add it"
        " where the one who invites is `known` (docs/senders.md).",
    )
    known_senders: Senders = Field(
        (),
        description='Whom `invitations = "known"` knows besides the recipient\'s contacts and events. Addresses, or'
        " `*@domain` for every address of a domain (not of its subdomains).",
        examples=[["bob@example.net", "*@example.com"]],
    )
    cancelled: Literal["mark", "delete"] = Field(
        "mark", description="What the Organizer calls off: `mark` it as cancelled, or `delete` it."
    )
    party_crashers: Literal["ignore", "add"] = Field(
        "ignore", description="An answer from somebody who was not invited."
    )
    published: Literal["ignore", "add"] = Field(
        "ignore", description="An event that is only published, without Attendees."
    )
    attachments: Literal["keep", "strip"] = Field(
        "keep",
        description="What an Organizer brings into the calendar besides the event itself, files, HTML and links:"
        " `keep` or `strip` it.",
    )
    bounces: Literal["ignore", "mark"] = Field(
        "ignore",
        description="An invitation of the account's own that comes back undelivered: `mark` the Attendee whom it never"
        " reached, in the SCHEDULE-STATUS that clients show.",
    )
    sender: Literal["any", "from", "dkim", "dmarc"] = Field(
        "from",
        description="Whom a message must come from: `any` sender; the party that it speaks for, by its `from`"
        " field; the same, and his domain proven by `dkim` or `dmarc` (docs/proof.md).",
    )
    changes_per_hour: Count = Field(
        60,
        description="How many messages of one originator may change the calendars of an account within an hour;"
        " what they bring beyond that is refused. 0: no limit.",
        examples=[60],
    )

    trusted_senders: Senders = Field(
        (),
        description="Senders who may speak for any Organizer and any Attendee: an assistant, a room system, a calendar"
        " server. Addresses, or `*@domain` for every address of a domain (not of its subdomains).",
        examples=[["assistant@example.org", "*@calendar.example.net"]],
    )
    attendee_aliases: People = Field(
        (),
        description="Addresses outside that are one person: his answer counts from each of them.",
        examples=[[["bob@example.net", "robert@example.net"]]],
    )
    calendar_ids: CalendarIds = Field(
        Policy().calendar_ids,
        description="Domains whose addresses are calendars and no mailboxes. An invitation whose ORGANIZER is such a"
        " calendar is accepted from anybody if `invitations` adds it; after that only from who brought it first.",
        examples=[["group.calendar.google.com", "imip.me.com"]],
    )

    def applied_to(self, policy: Policy) -> Policy:
        """Return `policy` with the keys that were set here."""
        chosen: dict[str, Any] = self.model_dump(include=set(POLICY_KEYS), exclude_unset=True)
        return replace(policy, **chosen)


class PolicyDefaults(PolicySection):
    """What a message may do to every calendar."""

    authserv_id: Line | None = Field(
        None,
        description="The server whose Authentication-Results are believed, where `sender` is `dkim` or `dmarc`. It has"
        " to remove from outside what bears its name.",
        examples=["mx.example.org"],
    )


class Place(Login):
    """What an account and a domain have in common."""

    user: UserTemplate = Field(
        "{address}",
        description="The name on the calendar server. {localpart}, {domain} and {address} are filled in.",
        examples=["{localpart}"],
    )
    calendar: Line | None = Field(
        None,
        description="The calendar for new invitations: its name, the end of its path, or its URL; without it the"
        " server's default.",
        examples=["Work"],
    )
    policy: PolicySection = Field(
        PolicySection(), description="Instead of [policy], single keys.", examples=[{"invitations": "add"}]
    )


class AccountSection(Place):
    """One person, room or role."""

    addresses: Addresses = Field(
        (),
        description="The addresses at which mail for this account arrives, the first of them its {address}."
        " Upper case and +detail make no difference.",
        examples=[["alice@example.org"]],
    )


class DomainSection(Place):
    """Every address of a domain that no account has."""

    name: DomainName | None = Field(None, description="The domain.", examples=["example.org"])
    also: DomainNames = Field(
        (),
        description="Further names of the domain, such as one under which the MTA sends copies of its mail.",
        examples=[["imip.invalid"]],
    )
