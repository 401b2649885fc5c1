"""Delegation (RFC 5546 §3.2.2.3, rule R9): who may answer in whose place is what the *stored* delegator said."""

from imipd.address import comparable

from .instance import Instance, Party
from .lines import Component, Line, written
from .parameters import Parameters

MOST_DELEGATES = 10


def is_vouched(answer: Party, target: Instance) -> bool:
    """Return whether each delegator whom the answer names, and each behind him, named his delegate in his stored line.

    A delegator who answers for himself again takes back what his delegates handed on.
    """
    links, seen = _links(answer), set[tuple[str, str]]()
    while links - seen:
        delegate, address = link = (links - seen).pop()
        delegator = target.attendee(address)
        if delegator is None or delegate not in delegator.addresses("DELEGATED-TO"):
            return False
        seen.add(link)
        # A chain that comes back to who answers ends there: he speaks for himself.
        links |= {(one, other) for one, other in _links(delegator) if other != answer.address}
    return True


def _links(delegate: Party) -> set[tuple[str, str]]:
    return {(delegate.address, address) for address in delegate.addresses("DELEGATED-FROM")}


def name_delegates(parameters: Parameters, answer: Party) -> None:
    """Set DELEGATED-TO on the delegator's parameters; it goes when he answers for himself again."""
    parameters.pop("DELEGATED-TO", None)
    if answer.partstat == "DELEGATED" and _delegates(answer):
        parameters["DELEGATED-TO"] = list(_delegates(answer))


def add_delegates(part: Component, answer: Party, known: frozenset[str]) -> Component:
    """Return the component with a line for each delegate who is not on the list yet."""
    if answer.partstat != "DELEGATED":
        return part
    new = [value for value in _delegates(answer) if comparable(value) not in known]
    return part.append(_invited(value, answer.line) for value in new)


def _delegates(answer: Party) -> tuple[str, ...]:
    named = answer.line.values_of("DELEGATED-TO")
    # A parameter may hold a line break (RFC 6868 §3.1), a value may not.
    return tuple(value for value in named if "@" in value and value.isprintable())[:MOST_DELEGATES]


def _invited(delegate: str, delegator: Line) -> Line:
    parameters: Parameters = {"PARTSTAT": "NEEDS-ACTION", "DELEGATED-FROM": [delegator.value]}
    return written("ATTENDEE", delegate, parameters)
