"""The word of a list or a forwarder that the operator trusts: ARC (RFC 8617).

A list changes the mail, and the author's signature breaks. It says what it saw before, and seals that. Its word
counts where the whole chain holds and its newest sealer is trusted; believed is the first of the trusted ones that
follow each other up to the newest, for it alone saw what came from outside.
"""

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
    sets = _verified(letter, ask)
    first = sets[0]
    for each in sets:
        if _sealer(each) not in sealers:
            break
        first = each
    _, _, results = text_of(first["aar-value"]).partition(";")
    said = read(results.strip())
    verdict = judge(method, said.results if said else (), author)
    return Verdict(verdict.proven, f"ARC of {_sealer(first)}: {verdict.detail}")


def text_of(value: bytes) -> str:
    """Return a field as one line."""
    return value.decode("utf-8", "replace").replace("\r\n", "")


def _newest(letter: Letter, name: bytes) -> Tags:
    """Return the tags of the newest field of this name: its instances run from 1 without a gap (RFC 8617 §5.2)."""
    fields = letter.all(name)
    if not fields:
        raise RefusedError("no ARC chain")
    if len(fields) > MOST or any(len(field) > LONGEST for field in fields):
        raise RefusedError("an ARC chain that is too long")
    found = [said for field in fields if (said := tags(field))]
    newest = [said for said in found if said.get(b"i") == str(len(fields)).encode()]
    if len(newest) != 1:
        raise RefusedError("an ARC chain that cannot be read")
    return newest[0]


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
