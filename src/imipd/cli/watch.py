"""What `serve` shows of itself over HTTP: figures of what it does, and whether it is ready for more."""

from imipd.config.settings import Web
from imipd.ledger import Ledger, LedgerError
from imipd.web import Ready
from imipd.web.metrics import Metrics
from imipd.web.server import Figures, WebServer
from imipd.web.store import MeasuredStore

from .assembly import Watch


def by(metrics: Metrics) -> Watch:
    """Return who looks on for `metrics`."""
    return Watch(
        lambda store: MeasuredStore(store, metrics),
        lambda judgement: metrics.decided(judgement.method, judgement.decision.outcome, judgement.decision.reason),
    )


def page(web: Web | None, figures: Figures, ready: Ready) -> WebServer | None:
    """Begin to answer over HTTP, where the configuration says so. Raises OSError."""
    return WebServer(web.listen, figures, ready) if web and web.listen else None


def trouble(ledger: Ledger) -> str:
    """Return what is wrong with the ledger; empty where it can be read.

    The calendar server is not asked: when it is away, mails are handed back to the MTA one by one, and no other node
    could do better.
    """
    try:
        ledger.recall("", "")
    except LedgerError:
        return "the ledger is out of reach"
    return ""
