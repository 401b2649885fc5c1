"""What the border of the recipient's own house said of a mail (RFC 8601 §4.1, §5), and what that proves.

Only fields under the configured name count, and of those only the topmost that no Received parts: a border writes on
top. It has to remove what comes in under its name, which nobody can check here; so its fields may not contradict
each other either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from . import Method, Verdict
from .alignment import is_aligned
from .results import Result, read

TRANSIENT = "temperror"
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Hearsay:
    """What the border says of one method."""

    verdict: Verdict
    settled: bool
    """Whether it has come to a result, be it a bad one."""


def heard(method: Method, fields: Sequence[Sequence[str]], author: str, authserv_id: str) -> Hearsay | None:
    """Return what the fields of `authserv_id` say about mail from the domain `author`, None where they say nothing."""
    spoken = [results for ours in _ours(fields, authserv_id) if (results := _of(method, ours))]
    if not spoken:
        return None
    found = list(dict.fromkeys(result for results in spoken for result in results))
    agreed = all(set(results) == set(found) for results in spoken) and (method == "dkim" or len(found) == 1)
    if not agreed:
        return Hearsay(Verdict(False, f"{authserv_id} contradicts itself: {named(found)}"), settled=True)
    judged = judge(method, found, author)
    settled = any(result.said != TRANSIENT for result in found)
    return Hearsay(Verdict(judged.proven, f"{judged.detail} ({authserv_id})"), settled)


def judge(method: Method, results: Sequence[Result], author: str) -> Verdict:
    """Return whether results that are believed prove the domain `author`."""
    passed = [result for result in _of(method, results) if result.said == "pass"]
    for result in passed:
        # DMARC is about the From domain itself; a signature may be of the same organization (RFC 7489 §3.1.1).
        if result.domain and is_aligned(result.domain, author, strict=method == "dmarc"):
            return Verdict(True, str(result))
    if passed:
        return Verdict(False, f"{named(passed)}, From {author}: not aligned")
    return Verdict(False, named(_of(method, results)) or f"nothing about {method}")


def named(results: Sequence[Result]) -> str:
    """Return the results in one line."""
    more = [] if len(results) <= _MOST_NAMED else ["…"]
    return ", ".join([*map(str, results[:_MOST_NAMED]), *more])


def _ours(fields: Sequence[Sequence[str]], authserv_id: str) -> list[tuple[Result, ...]]:
    """Return the results of the topmost fields of this name."""
    for hop in fields:
        read_here = [field for value in hop if (field := read(value))]
        ours = [field.results for field in read_here if field.authserv_id == authserv_id.lower()]
        if ours:
            return ours
    return []


def _of(method: Method, results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.method == method]
