"""Delegation (RFC 5546 §3.2.2.3, rule R9): who may answer in whose place is what the *stored* delegator said."""

from icalendar.parser import Parameters

from imipd.address import comparable

from .instance import Instance, Party
from .lines import Component, Line, written

MOST_DELEGATES = 10


def is_vouched(answer: Party, target: Instance) -> bool:
    """Return whether every delegator whom the answer names has named this delegate in his own stored line."""
    delegators = [target.attendee(address) for address in answer.addresses("DELEGATED-FROM")]
    return all(party is not None and answer.address in party.addresses("DELEGATED-TO") for party in delegators)


def name_delegates(parameters: Parameters, answer: Party) -> None:
    """Set DELEGATED-TO on the delegator's parameters; it goes when he answers for himself again."""
    parameters.pop("DELEGATED-TO", None)
    if answer.partstat == "DELEGATED" and answer.addresses("DELEGATED-TO"):
        parameters["DELEGATED-TO"] = list(_delegates(answer))


def add_delegates(part: Component, answer: Party, known: frozenset[str]) -> Component:
    """Return the component with a line for each delegate who is not on the list yet."""
    if answer.partstat != "DELEGATED":
        return part
    new = [value for value in _delegates(answer) if comparable(value) not in known]
    return part.append(_invited(value, answer.line) for value in new)


def _delegates(answer: Party) -> tuple[str, ...]:
    return tuple(value for value in answer.line.values_of("DELEGATED-TO") if "@" in value)[:MOST_DELEGATES]


def _invited(delegate: str, delegator: Line) -> Line:
    parameters = Parameters()
    parameters["PARTSTAT"] = "NEEDS-ACTION"
    parameters["DELEGATED-FROM"] = [delegator.value]
    return written("ATTENDEE", delegate, parameters)
