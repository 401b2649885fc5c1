"""The accounts of the configuration: exact addresses first, then whole domains by their rule.

The rule here: a local part comes from a stranger. It may choose whose calendar is meant, never the server, the
path above it, or more than one path segment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from imipd.address import comparable, domain, without_detail
from imipd.config import AccountSection, Config, DomainSection, Place, passwords
from imipd.store import Home

from . import Account


@dataclass(frozen=True, slots=True)
class _Rule:
    """A domain as configured, with its password."""

    section: DomainSection
    password: str = field(repr=False)
    names: tuple[str, ...]
    """Comparable; the real name first."""


class Directory:
    """Implements `Accounts` from a configuration; nothing is looked up elsewhere, nothing remembered."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        """Read every password once; raises `ConfigError` that names all which cannot be had."""
        self._config = config
        self._exact: dict[str, Account] = {}
        self._rules: dict[str, _Rule] = {}
        self.passwords = passwords(config, environ)
        """In the order of `config.places`."""
        for place, password in zip(config.places, self.passwords, strict=True):
            if isinstance(place, AccountSection):
                self._add_account(place, password)
            elif isinstance(place, DomainSection):
                self._add_rule(place, password)

    def account_of(self, address: str) -> Account | None:
        """Return the account that mail to this address belongs to (any case, with or without +detail)."""
        wanted = comparable(address)
        rule = self._rules.get(domain(wanted))
        # A copy for alice@imip.invalid belongs to whom alice@example.org belongs.
        real = _at(wanted, rule.names[0]) if rule else wanted
        for candidate in (wanted, real, without_detail(wanted), without_detail(real)):
            if candidate in self._exact:
                return self._exact[candidate]
        return self._by_rule(without_detail(real), rule) if rule else None

    def serves(self, address: str) -> bool:
        """Whether mail to this address belongs to an account."""
        return self.account_of(address) is not None

    @property
    def known(self) -> tuple[frozenset[str], dict[str, str]]:
        """Return the addresses of accounts, and the names of the domains by rule with the real name of each."""
        return frozenset(self._exact), {name: rule.names[0] for name, rule in self._rules.items()}

    def _add_account(self, section: AccountSection, password: str) -> None:
        addresses = tuple(dict.fromkeys(comparable(address) for address in section.addresses))
        name = _filled(section.user, _parts(addresses[0]))
        home = _home(self._config, section, addresses[0], password)
        account = Account(name, addresses, home, self._config.policy_of(section))
        self._exact.update(dict.fromkeys(addresses, account))

    def _add_rule(self, section: DomainSection, password: str) -> None:
        written = (section.name or "", *section.also)
        names = tuple(dict.fromkeys(domain(comparable(f"@{name}")) for name in written))
        self._rules.update(dict.fromkeys(names, _Rule(section, password, names)))

    def _by_rule(self, address: str, rule: _Rule) -> Account | None:
        if not _is_servable(address.rpartition("@")[0]):
            return None
        return Account(
            name=address,
            addresses=tuple(_at(address, name) for name in rule.names),
            home=_home(self._config, rule.section, address, rule.password),
            policy=self._config.policy_of(rule.section),
            by_domain=True,
        )


def _at(address: str, host: str) -> str:
    """Return the same local part at another domain."""
    return f"{address.rpartition('@')[0]}@{host}"


def _is_servable(local: str) -> bool:
    """Whether a local part may fill a template.

    Servers and proxies may decode %2F and resolve dot segments (RFC 3986 §5.2.4) before they look at the path; a
    colon would end the user-id (RFC 7617 §2).
    """
    climbs = any(segment in (".", "..") for segment in re.split(r"[/\\]", local))
    return bool(local.strip()) and local.isprintable() and ":" not in local and not climbs


def _home(config: Config, place: Place, address: str, password: str) -> Home:
    """Return where the calendars of `address` are, as its section says, or else [caldav]."""
    values = _parts(address)
    values["user"] = _filled(place.user, values)
    encoded = {name: quote(value, safe="@") for name, value in values.items()}
    return Home(
        url=_filled(place.url or config.caldav.url or "", encoded),
        username=_filled(place.username or config.caldav.username, values),
        password=password,
        timeout=config.caldav.timeout.total_seconds(),
        calendar=place.calendar,
        ca_file=place.ca_file or config.caldav.ca_file,
        lookup=place.lookup or config.caldav.lookup,
    )


def _parts(address: str) -> dict[str, str]:
    """Return what an address gives to a template."""
    local, _, host = address.rpartition("@")
    return {"localpart": local, "domain": host, "address": address}


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Return the template with its {names} replaced; what is filled in is not looked at again."""
    return re.sub(r"\{(user|localpart|domain|address)\}", lambda match: values[match[1]], template)
