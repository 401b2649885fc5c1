"""What a mail brings: its iTIP messages, or why there is none."""

from dataclasses import replace

from imipd import itip
from imipd.envelope import Envelope
from imipd.itip import Error, ItipMessage, NoAction, Reason, Unprocessed
from imipd.mail import Mail, Report


def believed(read: Mail, envelope: Envelope) -> Mail:
    """Return what was read, as far as the envelope lets it be so."""
    if envelope.oversize:
        read = replace(read, obstacle=Reason.TOO_LARGE, parts=())
    # A report of a mail server has the null reverse-path (RFC 3464 §2).
    return replace(read, report=Report()) if envelope.reverse_path else read


def messages(read: Mail, limits: itip.Limits) -> tuple[ItipMessage | Unprocessed, ...]:
    """Return the iTIP messages in a mail; one without a method where there is none to process."""
    if read.flagged or read.obstacle:
        returned = () if read.flagged else itip.returned(read.report.returned, read.report.failed, limits)
        return returned or (Unprocessed(None, None, _obstacle(read)),)
    return itip.gather(read.parts, limits)


def _obstacle(read: Mail) -> NoAction | Error:
    reason = Reason(read.obstacle) if read.obstacle else Reason.FLAGGED_AS_SPAM
    return Error(reason, read.detail) if reason is Reason.TOO_LARGE else NoAction(reason, read.detail or read.flagged)
