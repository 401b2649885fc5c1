"""The word of a list or a forwarder that the operator trusts: ARC (RFC 8617).

A list changes the mail, and the author's signature breaks. It says what it saw before, and seals that. Its word
counts where the whole chain holds and its newest sealer is trusted; believed is the first of the trusted ones that
follow each other up to the newest, for it alone saw what came from outside.
"""

import itertools
from collections.abc import Collection, Mapping
from typing import Any

import dkim

from . import Ask, Method, UnansweredError, Verdict
from .alignment import domain_of
from .border import judge
from .key import key_records
from .letter import LONGEST, Letter, RefusedError, Tags, tags, text
from .results import read
from .signature import check_scope

MOST = 5
"""Sets of a chain that is verified."""


def vouched(method: Method, letter: Letter, author: str, sealers: Collection[str], ask: Ask) -> Verdict:
    """Return whether a trusted sealer saw the domain `author` proven; `sealers` are as of `domain_of`.

    Raises RefusedError where nothing trusted vouches, UnansweredError where a key is out of reach.
    """
    newest = _newest(letter, b"arc-seal")
    if (sealer := domain_of(text(newest.get(b"d", b"")))) not in sealers:
        raise RefusedError(f"ARC sealer {sealer} is not trusted")
    check_scope(_newest(letter, b"arc-message-signature"))
    trusted = list(itertools.takewhile(lambda each: _sealer(each) in sealers, _verified(letter, ask)))
    if not trusted:  # the library has read another seal than we have
        raise RefusedError("an ARC chain that cannot be read")
    first = trusted[-1]
    _, _, results = text_of(first["aar-value"]).partition(";")
    said = read(results.strip())
    verdict = judge(method, said.results if said else (), author)
    return Verdict(verdict.proven, f"ARC of {_sealer(first)}: {verdict.detail}")


def text_of(value: bytes) -> str:
    """Return a field as one line."""
    return value.decode("utf-8", "replace").replace("\r\n", "")


def _newest(letter: Letter, name: bytes) -> Tags:
    """Return the tags of the newest field of this name: its instances run from 1 without a gap (RFC 8617 §5.2).

    To dkimpy 1.1.8 the first "i=" of a field is its instance, wherever it stands, and it passes over 0: of a field
    that says two things the chain would be another one than is verified.
    """
    fields = letter.all(name)
    if not fields:
        raise RefusedError("no ARC chain")
    if len(fields) > MOST or any(len(field) > LONGEST for field in fields):
        raise RefusedError("an ARC chain that is too long")
    found = {said.get(b"i"): said for field in fields if (said := tags(field)) and said.get(b"i") == _instance(field)}
    numbers = [str(number).encode() for number in range(1, len(fields) + 1)]
    if set(found) != set(numbers):
        raise RefusedError("an ARC chain that cannot be read")
    return found[numbers[-1]]


def _instance(field: bytes) -> bytes:
    """Return what the library takes for the instance of a field."""
    found = dkim.ARC.INSTANCE_RE.search(field)
    return bytes(found[1]) if found else b""


def _verified(letter: Letter, ask: Ask) -> list[Mapping[str, Any]]:
    """Return the sets of the chain as the library reads them, the newest first."""
    try:
        verifier = letter.given_to(dkim.ARC(), relaxed=True)
        validation, sets, _ = verifier.verify(dnsfunc=lambda name, timeout: _key(name, ask))  # noqa: ARG005  its own
    except UnansweredError:
        raise
    except Exception as error:  # dkimpy 1.1.8: DKIMException, IndexError, what its keys and numbers raise …
        raise RefusedError("an ARC chain that cannot be read") from error
    if validation != dkim.CV_Pass:
        raise RefusedError("the ARC chain does not verify")
    return list(sets)


def _key(name: bytes, ask: Ask) -> bytes | None:
    records = key_records(name.decode("ascii").rstrip("."), ask)
    return records[0] if len(records) == 1 else None


def _sealer(each: Mapping[str, Any]) -> str:
    return domain_of(text(each["as-domain"]))
