"""What works and is unwise: for `imipd check` to mention, never a reason not to start."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from imipd.policy import Policy

from .access import is_here
from .exposure import exposed
from .places import Place
from .secret import labels, logins
from .settings import Config
from .wording import named


def warnings(config: Config) -> tuple[str, ...]:
    """Return one sentence for each thing that the operator should know, none twice."""
    found = [
        *exposed(config),
        *_cleartext(config),
        *_everybody(config),
        *_figures(config),
        *_policies(config),
        *_forward(config),
    ]
    return tuple(dict.fromkeys(found))


def _cleartext(config: Config) -> Iterator[str]:
    names = labels(config)
    for location, login in logins(config).items():
        split = urlsplit(login.url or "")
        if split.scheme == "http" and not is_here(split.hostname or ""):
            key = named((*location, "url"), names)
            yield f"{key}: http:// sends passwords and calendars in the clear. Write https:// if the server can"


def _everybody(config: Config) -> Iterator[str]:
    for name, section in config.listening.items():
        if any(network.prefixlen == 0 for network in section.allow_from):
            yield f"{name}.allow_from: lets everybody in who reaches the port. Write the networks of your MTA"


def _figures(config: Config) -> Iterator[str]:
    place = config.web.listen if config.web else None
    if place and not is_here(place.rpartition(":")[0].strip("[]")):
        yield f"web.listen: whoever reaches {place} may read the figures. Let a firewall keep strangers out"


def _forward(config: Config) -> Iterator[str]:
    if config.forward is None:
        return
    if config.forward.on_unavailable == "pass":
        yield (
            'forward.on_unavailable: "pass" loses a message for the calendar that is out of reach when it comes. Write'
            ' "defer", and the MTA brings it again'
        )
    for name, section in config.listening.items():
        if section.allow_from:
            yield (
                f"{name}.allow_from: with [forward] whoever is let in sends mail to whom he likes, as far as the next"
                " hop takes it from this machine. Name nothing but your MTA"
            )


def _policies(config: Config) -> Iterator[str]:
    names = labels(config)
    for location, place in logins(config).items():
        if isinstance(place, Place):
            yield from _policy(named(location, names), config.policy_of(place))


def _policy(name: str, policy: Policy) -> Iterator[str]:
    if policy.invitations == "known" and policy.sender == "any":
        yield (
            f'{name}: invitations = "known" together with sender = "any" lets everybody invite in the name of'
            ' somebody who is known. Write sender = "from"'
        )
    if policy.cancelled == "delete" and policy.sender not in ("dkim", "dmarc"):
        # Rule S6.
        yield (
            f'{name}: cancelled = "delete" together with sender = "{policy.sender}" lets a forged mail delete'
            ' an event. Write cancelled = "mark"'
        )
