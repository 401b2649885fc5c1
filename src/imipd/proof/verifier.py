"""Judges whom a mail comes from: the border's word first; without it the signatures; then a trusted sealer's word.

What SPF says cannot be asked here: it is about the host that the border spoke to.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import Ask, Claim, Method, UnansweredError, Verdict
from .alignment import domain_of, is_aligned
from .border import Hearsay, heard
from .chain import vouched
from .dmarc import is_strict, record_of
from .letter import Letter, RefusedError, opened
from .signature import Signature, signatures, verify

MOST_TRIED = 5
"""Aligned signatures that are verified."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Implements `Proof`."""

    authserv_id: str = ""
    """Whose Authentication-Results are believed; empty: nobody's."""
    ask: Ask | None = None
    """The resolver; None: nothing is verified here."""
    sealers: Collection[str] = ()
    """Whose ARC chains are believed; as of `domain_of`."""

    def of(self, method: Method, claim: Claim) -> Verdict:
        """Return whether the originator is proven, and why. Raises UnansweredError."""
        author = domain_of(claim.originator)
        said = heard(method, claim.results, author, self.authserv_id) if self.authserv_id else None
        if self.ask is None:
            return said.verdict if said else Verdict(False, f"{self._silence(method)}; no signature is verified")
        if said and said.verdict.proven:
            return said.verdict
        try:
            return self._verified(_Question(method, author, opened(claim.content), claim.time, self.ask), said)
        except RefusedError as error:
            return Verdict(False, str(error))

    def _silence(self, method: Method) -> str:
        if not self.authserv_id:
            return "no Authentication-Results are believed without policy.authserv_id"
        return f"no Authentication-Results of {self.authserv_id} about {method}"

    def _verified(self, question: "_Question", said: Hearsay | None) -> Verdict:
        """Return what the mail itself proves where the border did not."""
        found = [said.verdict] if said else []
        if not (said and said.settled):
            found.append(_signed(question))
        if self.sealers and not found[-1].proven:
            found.append(_vouched(question, self.sealers))
        return Verdict(found[-1].proven, "; ".join(each.detail for each in found))


@dataclass(frozen=True, slots=True)
class _Question:
    """Does this mail come from the domain `author`?"""

    method: Method
    author: str
    letter: Letter
    now: datetime
    ask: Ask


def _signed(question: _Question) -> Verdict:
    """Return whether an aligned signature verifies, and for `dmarc` one that the domain's record accepts."""
    author, found = question.author, signatures(question.letter)
    aligned = [signature for signature in found if is_aligned(signature.domain, author)]
    if question.method == "dmarc" and aligned:
        record = record_of(author, question.ask)
        if record is None:
            return Verdict(False, f"no DMARC record for {author}")
        aligned = [each for each in aligned if is_aligned(each.domain, author, strict=is_strict(record))]
    if not aligned:
        signers = ", ".join(dict.fromkeys(signature.domain for signature in found))
        return Verdict(False, f"signed by {signers}, From {author}: not aligned" if found else "no DKIM signature")
    return _any_valid(aligned[:MOST_TRIED], question)


def _any_valid(aligned: Sequence[Signature], question: _Question) -> Verdict:
    """Return that one of the signatures counts, or why none does. Raises UnansweredError where one yet may."""
    reasons, unanswered = [], None
    for signature in aligned:
        try:
            verify(signature, question.letter, question.ask, question.now)
        except RefusedError as error:
            reasons.append(f"signature of {signature.domain}: {error}")
        except UnansweredError as error:
            unanswered = error
        else:
            return Verdict(True, f"{question.method}=pass for {signature.domain}, verified here")
    if unanswered:
        raise unanswered
    return Verdict(False, "; ".join(reasons))


def _vouched(question: _Question, sealers: Collection[str]) -> Verdict:
    """Return whether a trusted sealer proves it."""
    try:
        return vouched(question.method, question.letter, question.author, sealers, question.ask)
    except RefusedError as error:
        return Verdict(False, str(error))
