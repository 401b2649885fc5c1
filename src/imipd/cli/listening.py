"""The listeners as the configuration wants them, and the certificates that they show."""

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from imipd.config import Config, ConfigError, Listening, Problem
from imipd.envelope import Serves
from imipd.ingress import DeliverInThread, Listener, Settings, lmtp, smtp
from imipd.ingress.budget import Budget
from imipd.ingress.endpoint import Place, Share
from imipd.ingress.tls import server_context

KINDS = {"lmtp": lmtp.listener, "smtp": smtp.listener}
TAKEN_OVER = frozenset({"unknown_recipients"})
"""Keys of a listener's section that a running daemon takes over on SIGHUP, besides the certificates' content."""


class Certificates:
    """The certificate of each listener that has one; `read` puts newer ones in their place, or all stay."""

    def __init__(self, config: Config) -> None:
        """Read them. Raises ConfigError."""
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.read(config)

    def read(self, config: Config) -> None:
        """Read them again, for the connections to come. Raises ConfigError, and then the old ones stay."""
        found = {name: certificate(config, name) for name in config.listening}
        self._contexts |= {name: context for name, context in found.items() if context}

    def __contains__(self, name: str) -> bool:
        return name in self._contexts

    def __getitem__(self, name: str) -> ssl.SSLContext:
        return self._contexts[name]


def listeners(
    config: Config,
    certificates: Certificates,
    serves: Serves,
    deliver: DeliverInThread,
    *,
    shares: Mapping[str, Sequence[Share]] | None = None,
) -> list[Listener]:
    """Return the listeners, closed yet; the sockets of `shares` are open already."""
    budget = Budget(config.serve.mail_memory, config.limits.mail)
    return [
        KINDS[name](
            section.listen if shares is None else shares[name],
            serves,
            deliver,
            _settings(config, name, certificates, budget),
        )
        for name, section in config.listening.items()
    ]


def places(config: Config, shares: int) -> dict[str, tuple[Place, ...]]:
    """Open every place of every listener for several processes, or none. Raises OSError, ValueError."""
    with ExitStack() as stack:
        found = {
            name: tuple(
                stack.enter_context(closing(Place(text, _settings(config, name), shares))) for text in section.listen
            )
            for name, section in config.listening.items()
        }
        stack.pop_all()
    return found


def _settings(
    config: Config, name: str, certificates: Certificates | None = None, budget: Budget | None = None
) -> Settings:
    section = config.listening[name]
    return Settings(
        socket.getfqdn(),
        config.limits.mail,
        keeps_all=config.forward is not None,
        recipients=config.serve.recipients,
        connections=config.serve.connections,
        budget=budget or Budget(),
        idle=config.serve.idle.total_seconds(),
        allow_from=section.allow_from,
        socket_mode=section.socket_mode,
        socket_group=section.socket_group,
        certificate=partial(certificates.__getitem__, name) if certificates and name in certificates else None,
        require_tls=section.require_tls,
    )


def certificate(config: Config, name: str) -> ssl.SSLContext | None:
    """Return the context with a listener's certificate, None where it has none. Raises ConfigError."""
    section = config.listening[name]
    if section.tls_certificate is None or section.tls_key is None:
        return None
    try:
        return server_context(Path(section.tls_certificate), Path(section.tls_key))
    except OSError as error:
        raise ConfigError(str(config.file), [_refusal(name, section, error)]) from None


def _refusal(name: str, section: Listening, error: OSError) -> Problem:
    """Return what is wrong with a certificate or its key; OpenSSL does not say in which of them."""
    if isinstance(error, ssl.SSLError):
        what = (error.reason or "not PEM").lower().replace("_", " ")
        text = f"not a certificate with its key ({what}). Write PEM, the key without a passphrase, in {section.tls_key}"
        return Problem(f"{name}.tls_certificate", text)
    readable = Path(section.tls_certificate or "").is_file()
    key = "tls_key" if readable else "tls_certificate"
    path = section.tls_key if readable else section.tls_certificate
    return Problem(f"{name}.{key}", f"{path} cannot be read ({error.strerror}). Let imipd's user read it")


def late_changes(old: Config, new: Config) -> Iterator[str]:
    """Name what is configured differently now, and cannot change while the listeners are open."""
    for name in old.listening | new.listening:
        before, after = old.listening.get(name), new.listening.get(name)
        if before is None or after is None or _fixed(before) != _fixed(after):
            yield f"[{name}]"
    fixed = {"[ledger]": "ledger", "[serve]": "serve", "[web]": "web", "[log]": "log"}
    yield from (title for title, name in fixed.items() if getattr(old, name) != getattr(new, name))
    if (old.forward is None) != (new.forward is None):
        yield "[forward]"
    if old.limits.mail != new.limits.mail:
        yield "limits.mail"


def as_opened(old: Config, new: Config) -> Config:
    """Return `new`, but as it was what `late_changes` names: for who joins others that are listening already."""
    kept = {name: _kept(getattr(old, name), new.listening.get(name)) for name in ("lmtp", "smtp")}
    limits = new.limits.model_copy(update={"mail": old.limits.mail})
    forward = old.forward if (old.forward is None) != (new.forward is None) else new.forward
    fixed = {name: getattr(old, name) for name in ("ledger", "serve", "web", "log")}
    return new.model_copy(update={**kept, **fixed, "limits": limits, "forward": forward})


def _kept(old: Listening | None, new: Listening | None) -> Listening | None:
    if old is None or new is None:
        return old
    return old.model_copy(update=new.model_dump(include=set(TAKEN_OVER)))


def _fixed(section: Listening) -> dict[str, object]:
    return section.model_dump(exclude=set(TAKEN_OVER))
