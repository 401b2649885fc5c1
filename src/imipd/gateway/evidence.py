"""A mail as it was read, and what proves whom it is from: asked for once, for all recipients and messages of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from imipd.envelope import Envelope
from imipd.mail import Mail
from imipd.proof import Claim, Method, Proof, UnansweredError, Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """One mail; a resolver that is out of reach is not waited for a second time either."""

    proof: Proof | None
    envelope: Envelope
    mail: Mail
    now: Callable[[], datetime]
    _found: dict[Method, Verdict | UnansweredError] = field(default_factory=dict)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def of(self, method: Method) -> Verdict:
        """Return whether the originator is proven, and why. Raises UnansweredError."""
        with self._asking:
            found = self._found[method] = self._found.get(method) or self._asked(method)
        if isinstance(found, UnansweredError):
            raise found
        return found

    def _asked(self, method: Method) -> Verdict | UnansweredError:
        originator = self.mail.originator
        if originator is None:
            return Verdict(False, "From names nobody in particular")
        if self.proof is None:
            return Verdict(False, "nothing is proven here")
        try:
            return self.proof.of(method, Claim(originator, self.mail.results, self.envelope.content, self.now()))
        except UnansweredError as error:
            return error
