"""Where the MTA hands mail over, who may connect, and how: [lmtp] and [smtp]."""

from typing import Literal

from pydantic import Field

from .access import Networks, SocketMode
from .places import Section
from .units import File, Line, Listen


class Listening(Section):
    """What both listeners have in common."""

    listen: Listen = Field((), description="Where to listen, one place or a list.", examples=["127.0.0.1:2525"])
    allow_from: Networks = Field(
        (),
        description="Who may connect besides this machine: networks or single addresses, one or a list. A place that"
        " other machines can reach needs it.",
        examples=[["10.0.0.0/8"]],
    )
    socket_mode: SocketMode = Field(
        0o660, description="The permissions of a unix socket: who may write to it may connect.", examples=["0660"]
    )
    socket_group: Line | None = Field(
        None,
        description="The group of a unix socket. The user that imipd runs as has to be a member of it.",
        examples=["postfix"],
    )
    tls_certificate: File | None = Field(
        None,
        description="The certificate for STARTTLS, and those of its issuers after it (PEM). With it STARTTLS is"
        " offered on TCP, and it is read again on SIGHUP.",
        examples=["/etc/imipd/fullchain.pem"],
    )
    tls_key: File | None = Field(
        None, description="The private key of the certificate (PEM, no passphrase).", examples=["/etc/imipd/key.pem"]
    )
    require_tls: bool = Field(
        False,
        description="Take no mail over TCP before STARTTLS; without it the answer to MAIL is 451.",
        examples=[True],
    )


class Lmtp(Listening):
    """How the MTA hands mail over by LMTP."""

    listen: Listen = Field(
        ("127.0.0.1:2424", "unix:/run/imipd/lmtp.sock"),
        description="Where to listen for LMTP, one place or a list.",
        examples=["127.0.0.1:2424"],
    )
    unknown_recipients: Literal["reject", "accept"] = Field(
        "reject",
        description="Mail for an address that nobody here has: `reject` it at RCPT (550), or `accept` it and do"
        " nothing.",
    )


class Smtp(Listening):
    """How the MTA hands mail over by SMTP."""

    listen: Listen = Field(
        (), description="Where to listen for SMTP, one place or a list.", examples=["127.0.0.1:2525"]
    )
