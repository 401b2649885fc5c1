"""What settings demand of each other, and of the machine that they are read on.

The models have accepted each key by itself; what they refused was left out. So a key may be missing because it
was refused: a finding that could follow from that names the locations that it rests on.
"""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imipd.address import comparable, without_detail

from .access import stays_here
from .errors import Location
from .places import PASSWORD_KEYS, Place, PolicySection
from .secret import Environ, keys, logins, trouble
from .settings import Config
from .wording import missing

HOPS = ("lmtp", "smtp")
"""How [forward] may name the next hop."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of a configuration as a whole."""

    location: Location
    text: str
    rests_on: tuple[Location, ...] = ()
    """Where another problem makes this one void."""


def findings(config: Config, environ: Environ) -> list[Finding]:
    """Return everything that is wrong between the settings."""
    return [finding for check in CHECKS for finding in check(config, environ)]


def _forward(config: Config, _environ: Environ) -> Iterator[Finding]:
    if config.forward is None:
        return
    named = {key: place for key in HOPS if (place := getattr(config.forward, key)) is not None}
    if not named:
        text = f"{missing(('forward', 'lmtp'))}. Or write smtp"
        yield Finding(("forward", "lmtp"), text, tuple(("forward", key) for key in HOPS))
    if len(named) > 1:
        yield Finding(("forward", "smtp"), "lmtp is set too. Keep one of them")
    ours = (*config.lmtp.listen, *(config.smtp.listen if config.smtp else ()))
    for key, place in named.items():
        if place in ours:
            yield Finding(("forward", key), f"imipd itself listens at {place}. Write where the next hop does")


def _served(config: Config, _environ: Environ) -> Iterator[Finding]:
    if not config.places:
        yield Finding(
            ("account",),
            "missing. Nobody is served: add an [[account]] with addresses, or a [[domain]] with a name",
            (("account",), ("domain",)),
        )


def _needed(config: Config, _environ: Environ) -> Iterator[Finding]:
    wanted: list[tuple[Location, object]] = [
        *((("account", index, "addresses"), each.addresses) for index, each in enumerate(config.account)),
        *((("domain", index, "name"), each.name) for index, each in enumerate(config.domain)),
        (("lmtp", "listen"), config.lmtp.listen),
        (("smtp", "listen"), config.smtp is None or config.smtp.listen),
        (("web", "listen"), config.web is None or config.web.listen),
    ]
    for location, value in wanted:
        if not value:
            yield Finding(location, missing(location), (location,))


def _url(config: Config, _environ: Environ) -> Iterator[Finding]:
    return _inherited(config, "url", ("url",))


def _password(config: Config, _environ: Environ) -> Iterator[Finding]:
    return _inherited(config, "password_file", PASSWORD_KEYS)


def _inherited(config: Config, wanted: str, alternatives: tuple[str, ...]) -> Iterator[Finding]:
    """Find who has none of `alternatives`: each place where some have their own, else [caldav] for all."""
    caldav, *places = logins(config)
    having = {
        location
        for location, login in logins(config).items()
        if any(getattr(login, key) is not None for key in alternatives)
    }
    lacking = [location for location in places if location not in having]
    if caldav in having or (places and not lacking):
        return
    for location in lacking if len(lacking) < len(places) else [caldav]:
        text = missing((*location, wanted))
        others = f". Or write {', '.join(key for key in alternatives if key != wanted)}"
        concerned = (caldav, *places) if location == caldav else (caldav, location)
        rests_on = tuple((*each, key) for each in concerned for key in alternatives)
        yield Finding((*location, wanted), text + (others if len(alternatives) > 1 else ""), rests_on)


def _one_password(config: Config, _environ: Environ) -> Iterator[Finding]:
    for location, login in logins(config).items():
        several = keys(login)
        if len(several) > 1:
            yield Finding((*location, several[1]), f"{several[0]} is set too. Keep one of them")


def _readable(config: Config, environ: Environ) -> Iterator[Finding]:
    for location, login in logins(config).items():
        found = trouble(login, environ)
        if found:
            yield Finding((*location, found[0]), found[1])


def _authorities(config: Config, _environ: Environ) -> Iterator[Finding]:
    for location, login in logins(config).items():
        if login.ca_file is None:
            continue
        try:
            ssl.create_default_context(cafile=login.ca_file)
        except ssl.SSLError:
            yield Finding((*location, "ca_file"), f"{login.ca_file} holds no certificate in PEM. Write one into it")
        except OSError as error:
            text = f"{login.ca_file} cannot be read ({error.strerror}). Let every user read it: it is no secret"
            yield Finding((*location, "ca_file"), text)


def _addresses(config: Config, _environ: Environ) -> Iterator[Finding]:
    owners: dict[str, int] = {}
    for index, account in enumerate(config.account):
        for address in account.addresses:
            owner = owners.setdefault(without_detail(comparable(address)), index)
            if owner != index:
                first = config.account[owner].addresses[0]
                yield Finding(
                    ("account", index, "addresses"),
                    f"{address} belongs to account {first} already. An address leads to one account; upper case,"
                    " +detail and googlemail.com make no difference",
                )


def _domains(config: Config, _environ: Environ) -> Iterator[Finding]:
    owners: dict[str, int] = {}
    for index, rule in enumerate(config.domain):
        for key, name in [("name", rule.name), *(("also", each) for each in rule.also)]:
            if name and owners.setdefault(comparable(f"@{name}"), index) != index:
                yield Finding(("domain", index, key), f"{name} has a [[domain]] already. Keep one of them")


def _senders(config: Config, _environ: Environ) -> Iterator[Finding]:
    if config.policy.authserv_id or config.proof.verify:
        return
    for location, section in _policies(config):
        if section.sender in ("dkim", "dmarc"):
            yield Finding(
                (*location, "sender"),
                f'"{section.sender}" needs policy.authserv_id: whose Authentication-Results are believed, e.g.'
                ' "mx.example.org". Or write proof.verify = true',
                (("policy", "authserv_id"), ("proof", "verify")),
            )


def _aliases(config: Config, _environ: Environ) -> Iterator[Finding]:
    for location, section in _policies(config):
        key = (*location, "attendee_aliases")
        taken: dict[str, int] = {}
        for index, person in enumerate(section.attendee_aliases):
            if len(person) < 2:
                text = (
                    f"{', '.join(person) or 'an empty list'} stands alone. Write all addresses of one person as a list"
                )
                yield Finding(key, text, (key,))
            for address in person:
                if taken.setdefault(comparable(address), index) != index:
                    yield Finding(key, f"{address} is in two lists. Make one list of them", (key,))


def _policies(config: Config) -> Iterator[tuple[Location, PolicySection]]:
    """Return [policy] and those of accounts and domains."""
    yield ("policy",), config.policy
    for location, place in logins(config).items():
        if isinstance(place, Place):
            yield (*location, "policy"), place.policy


def _listeners(config: Config, _environ: Environ) -> Iterator[Finding]:
    taken: set[str] = set()
    for name, section in config.listening.items():
        for place in section.listen:
            if place in taken and not place.endswith(":0"):
                yield Finding((name, "listen"), f"{place} is listened at already. Write another port or path")
            taken.add(place)


def _strangers(config: Config, _environ: Environ) -> Iterator[Finding]:
    for name, section in config.listening.items():
        for place in section.listen if not section.allow_from else ():
            if not stays_here(place):
                yield Finding(
                    (name, "listen"),
                    f"{place} can be reached from other machines. Add allow_from with the networks of your MTA,"
                    ' e.g. ["10.0.0.0/8"], or listen at 127.0.0.1 or a unix socket',
                    ((name, "allow_from"),),
                )


def _certificates(config: Config, _environ: Environ) -> Iterator[Finding]:
    for name, section in config.listening.items():
        pair = {"tls_certificate": section.tls_certificate, "tls_key": section.tls_key}
        lacking = [key for key, value in pair.items() if value is None]
        if lacking and (len(lacking) == 1 or section.require_tls):
            location = (name, lacking[0])
            yield Finding(location, missing(location), tuple((name, key) for key in pair))


CHECKS: tuple[Callable[[Config, Environ], Iterator[Finding]], ...] = (
    _forward,
    _served,
    _needed,
    _url,
    _password,
    _one_password,
    _readable,
    _authorities,
    _addresses,
    _domains,
    _senders,
    _aliases,
    _listeners,
    _strangers,
    _certificates,
)
