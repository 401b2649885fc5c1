"""What is counted and timed, in the words of Prometheus (https://prometheus.io/docs/practices/naming/).

The rule here: a label has few values, and none that a stranger chooses.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from imipd.envelope import Envelope, Status

METHODS = frozenset({"REQUEST", "REPLY", "CANCEL", "ADD", "COUNTER", "DECLINECOUNTER", "REFRESH", "PUBLISH"})
"""RFC 5546 §1.4; any other that a mail names is ``other``."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Answers = TypeVar("Answers", tuple[Status, ...], tuple[Status, ...] | None)


class Metrics:
    """The figures of one process; any thread may add to them."""

    def __init__(self, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._seconds = seconds
        self._messages = Counter(
            "imipd_messages", "iTIP messages decided.", ("method", "outcome", "reason"), registry=self.registry
        )
        self._mails = Counter(
            "imipd_answers",
            "Answers to the MTA, one for each recipient of a mail.",
            ("answer",),
            registry=self.registry,
        )
        self._errors = Counter(
            "imipd_calendar_errors", "Failures of the calendar server.", ("kind",), registry=self.registry
        )
        self._in_flight = Gauge(
            "imipd_mails_in_flight", "Mails being processed.", registry=self.registry, multiprocess_mode="livesum"
        )
        self._whole = Histogram(
            "imipd_mail_seconds", "From the end of a mail to its answer.", buckets=SECONDS, registry=self.registry
        )
        self._calendar = Histogram(
            "imipd_calendar_seconds",
            "One lookup, or one write, at the calendar server.",
            ("operation",),
            buckets=SECONDS,
            registry=self.registry,
        )

    def decided(self, method: str | None, outcome: str, reason: str) -> None:
        """Count a message; a mail without one has no method."""
        known = method if method in METHODS else "other" if method else "none"
        self._messages.labels(known, outcome, reason).inc()

    def calendar(self, operation: str, seconds: float) -> None:
        """Note how long a ``lookup`` or a ``write`` took, failed or not."""
        self._calendar.labels(operation).observe(seconds)

    def failed(self, kind: str) -> None:
        """Count a failure of the calendar server."""
        self._errors.labels(kind).inc()

    def measured(self, deliver: Callable[[Envelope], Answers]) -> Callable[[Envelope], Answers]:
        """Return `deliver`, timed and counted where it answers."""

        def timed(envelope: Envelope) -> Answers:
            begun = self._seconds()
            with self._in_flight.track_inprogress():
                answers = deliver(envelope)
            if answers is None:
                return answers
            self._whole.observe(self._seconds() - begun)
            for status in answers:
                self._mails.labels(_kind(status)).inc()
            return answers

        return timed


def _kind(status: Status) -> str:
    """Return how an answer is counted; only a next hop refuses a mail that was taken."""
    return "done" if status.done else "refused" if status.code >= 500 else "try_again"
