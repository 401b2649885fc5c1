"""Every setting: its key, its kind, its default and what it means. These models are the documentation.

`docs/settings.md` and `deploy/imipd.toml` are held against them by a test. Each model stands alone without a
file: what is needed in a real configuration, and what two settings demand of each other, is in `checks`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from imipd.policy import Policy

from .listening import Listening, Lmtp, Smtp
from .places import AccountSection, Caldav, DomainSection, Place, PolicyDefaults, Section
from .units import (
    DatabaseUrl,
    DomainNames,
    Duration,
    Endpoint,
    Headers,
    NameServers,
    Positive,
    Size,
    Tables,
    TcpEndpoint,
    Threads,
    Workers,
)

SQLITE = "sqlite:///"


class Forward(Section):
    """Where every mail goes on to after processing."""

    lmtp: Endpoint | None = Field(None, description="The next hop, by LMTP.", examples=["unix:/run/dovecot/lmtp"])
    smtp: TcpEndpoint | None = Field(
        None, description="The next hop, by SMTP, instead of `lmtp`.", examples=["127.0.0.1:10026"]
    )
    on_unavailable: Literal["defer", "pass"] = Field(
        "defer", description="Calendar out of reach: `defer` the mail, or `pass` it on unprocessed."
    )


class Ledger(Section):
    """Where it is kept what was decided."""

    url: DatabaseUrl = Field(
        "sqlite:////var/lib/imipd/ledger.db",
        description="The database: a SQLite file, or PostgreSQL for several nodes.",
        examples=["postgresql:///imipd"],
        repr=False,
    )
    keep_days: Positive = Field(
        30,
        description="How many days activity and former objects (for undo) are kept. What the order of messages"
        " needs is kept 90 days.",
        examples=[30],
    )

    @property
    def file(self) -> Path | None:
        """The file that the ledger is in, None where it is in a database server."""
        path, _, _ = self.url.partition("?")
        return Path(path.removeprefix(SQLITE)) if path.startswith(SQLITE) else None


class Proof(Section):
    """How a sender is proven where Authentication-Results do not say it."""

    verify: bool = Field(
        True,
        description="Verify DKIM signatures, and ARC chains of `trusted_sealers`, with keys from the DNS. Without it"
        " `policy.authserv_id` alone is believed.",
    )
    resolver: NameServers = Field(
        (), description="The DNS servers to ask, one or a list; else those of the system.", examples=["127.0.0.1"]
    )
    timeout: Duration = Field(
        timedelta(seconds=5), description="How long one question to the DNS may take.", examples=["5s"]
    )
    trusted_sealers: DomainNames = Field(
        (),
        description="Mailing lists and forwarders that break signatures, and whose ARC chains are believed about what"
        " they saw.",
        examples=[["lists.example.net"]],
    )


class Spam(Section):
    """Mail that is never looked at."""

    headers: Headers = Field(
        ("X-Spam-Flag: YES", "X-Spam: Yes", "X-Spam-Status: Yes"),
        description="A mail is spam when one of these header fields begins with this value, in any case.",
        examples=[["X-Spam-Flag: YES"]],
    )


class Limits(Section):
    """What a mail may cost; beyond it the mail is taken and nothing is done."""

    mail: Size = Field(25 * 2**20, description="Size of a mail.", examples=["25 MiB"])
    calendar_part: Size = Field(2**20, description="Size of one calendar part, decoded.", examples=["1 MiB"])
    components: Positive = Field(2000, description="Components in one calendar part.", examples=[2000])
    attendees: Positive = Field(1000, description="Attendees of one component.", examples=[1000])
    mime_parts: Positive = Field(200, description="MIME parts in one mail.", examples=[200])
    mime_depth: Positive = Field(30, description="MIME parts within each other.", examples=[30])


class Serve(Section):
    """How `imipd serve` works."""

    workers: Workers = Field(
        1,
        description="How many processes take mail. More than one where a core is not enough (docs/workers.md).",
        examples=[1],
    )
    threads: Threads = Field(
        8,
        description="How many mails a process works on at the same time; as many threads again help with mails of"
        " several recipients.",
        examples=[8],
    )
    connections: Positive = Field(
        100,
        description="Open connections to one listener of a process; the next one hears 421.",
        examples=[100],
    )
    mail_memory: Size = Field(
        100 * 2**20,
        description="How much of all mails a process holds at a time, apart from the first 64 KiB of each, but at least"
        " one mail of `limits.mail`. What would be more waits on its connection.",
        examples=["100 MiB"],
    )
    idle: Duration = Field(
        timedelta(minutes=5),
        description="How long a peer may say nothing until it hears 421. Less than 5 minutes is less than RFC 5321"
        " grants.",
        examples=["5m"],
    )
    recipients: Positive = Field(
        1000,
        description="Recipients of one mail; the next one hears 452, and the MTA sends it in another mail.",
        examples=[1000],
    )


class Web(Section):
    """What a supervisor may ask `imipd serve` over HTTP: /healthz, /readyz and /metrics."""

    listen: TcpEndpoint | None = Field(
        None,
        description="Where to listen for HTTP. Whoever reaches it may read the figures; no person or event is named"
        " in them.",
        examples=["127.0.0.1:2480"],
    )


class Log(Section):
    """What imipd says about itself, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important line that is written."
    )
    format: Literal["auto", "text", "json"] = Field(
        "auto",
        description="One line for people (`text`) or one JSON object (`json`) for each event; `auto` is text in a"
        " terminal and JSON elsewhere.",
    )


class Config(Section):
    """All settings. `Config()` holds the defaults and serves nobody."""

    lmtp: Lmtp = Lmtp()
    smtp: Smtp | None = None
    forward: Forward | None = None
    ledger: Ledger = Ledger()
    caldav: Caldav = Caldav()
    policy: PolicyDefaults = PolicyDefaults()
    proof: Proof = Proof()
    spam: Spam = Spam()
    limits: Limits = Limits()
    serve: Serve = Serve()
    web: Web | None = None
    log: Log = Log()
    account: Tables[AccountSection] = ()
    domain: Tables[DomainSection] = ()

    _file: Path | None = None

    def model_post_init(self, context: Any) -> None:
        """Remember which file the settings come from."""
        self._file = (context or {}).get("file")

    @property
    def file(self) -> Path | None:
        """The file that was read; None for the defaults."""
        return self._file

    @property
    def listening(self) -> dict[str, Listening]:
        """The sections that say where to listen, by their names."""
        return {"lmtp": self.lmtp} | ({"smtp": self.smtp} if self.smtp else {})

    @property
    def places(self) -> tuple[AccountSection | DomainSection, ...]:
        """Accounts, then domains."""
        return (*self.account, *self.domain)

    def policy_of(self, place: Place) -> Policy:
        """Return the defaults with what `place` overrides."""
        return place.policy.applied_to(self.policy.applied_to(Policy()))
