"""What proves a sender, put together from the configuration."""

from imipd.config import Config
from imipd.proof import UnansweredError
from imipd.proof.alignment import domain_of
from imipd.proof.resolver import DnsResolver
from imipd.proof.verifier import Verifier


def verifier(config: Config, *, offline: bool = False) -> Verifier:
    """Return what proves a sender; offline it asks no resolver, and so verifies nothing."""
    ask = _resolver(config) if config.proof.verify and not offline else None
    sealers = frozenset(domain_of(name) for name in config.proof.trusted_sealers)
    return Verifier(config.policy.authserv_id or "", ask, sealers)


def silence(config: Config) -> str:
    """Return what is wrong with the resolver: it is asked whether one of our own domains has a DMARC record."""
    names = [*(account.addresses[0] for account in config.account), *(each.name or "" for each in config.domain)]
    try:
        _resolver(config)(f"_dmarc.{domain_of(names[0])}")
    except UnansweredError as error:
        return str(error)
    return ""


def _resolver(config: Config) -> DnsResolver:
    return DnsResolver(config.proof.resolver, config.proof.timeout.total_seconds())
