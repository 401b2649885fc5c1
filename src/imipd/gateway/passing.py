"""Passing on: what was processed goes to the next hop, and its answer is ours.

The calendar comes first. Where the next hop then says 451, the mail comes again, and is decided against its own
result: that changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imipd.egress import NextHop
from imipd.envelope import TRY_AGAIN, Deliver, Envelope, Serves, Status


@dataclass(frozen=True, slots=True)
class PassingOn:
    """A `Deliver` over another, which processes the mail."""

    process: Deliver
    serves: Serves
    """Who has an account; the mail of others passes untouched."""
    next_hop: NextHop
    despite_failure: bool = False
    """Whether a mail that cannot be processed now goes on unprocessed, instead of coming again."""

    def __call__(self, envelope: Envelope) -> tuple[Status, ...]:
        """Process a mail, pass it on and return the answer for each of its recipients."""
        if envelope.oversize and envelope.beyond is None:
            # [forward] has come with SIGHUP, the listeners are from before: half a mail goes nowhere.
            return (TRY_AGAIN,) * len(envelope.recipients)
        statuses = self._processed(envelope)
        if envelope.one_answer:
            return self._as_one(envelope, statuses)
        answers = list(statuses)
        for outcomes in dict.fromkeys(status.outcomes for status in statuses if status.done):
            # Nobody reads in his mail what became of another's calendar.
            group = [index for index, each in enumerate(statuses) if each.done and each.outcomes == outcomes]
            part = replace(envelope, recipients=tuple(envelope.recipients[index] for index in group))
            for index, answer in zip(group, self.next_hop.pass_on(part, outcomes), strict=True):
                answers[index] = answer
        return tuple(answers)

    def _as_one(self, envelope: Envelope, statuses: Sequence[Status]) -> tuple[Status, ...]:
        """Pass on to all or to none: a mail that is done for some recipients only would come again for all."""
        if not all(status.done for status in statuses):
            return (TRY_AGAIN,) * len(statuses)
        outcomes = tuple(dict.fromkeys(outcome for status in statuses for outcome in status.outcomes))
        return self.next_hop.pass_on(envelope, outcomes)

    def _processed(self, envelope: Envelope) -> tuple[Status, ...]:
        """Return a status for each recipient: done where the mail may go on, its outcomes with it."""
        untouched = Status(250, "2.0.0", "Ok")
        served = tuple(recipient for recipient in envelope.recipients if self.serves(recipient))
        statuses = iter(self.process(replace(envelope, recipients=served)) if served else ())
        found = [next(statuses) if self.serves(recipient) else untouched for recipient in envelope.recipients]
        return tuple(untouched if self.despite_failure and not each.done else each for each in found)
