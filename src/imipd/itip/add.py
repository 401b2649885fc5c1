"""ADD: the Organizer adds instances to a series, the recipient is an Attendee (RFC 5546 §3.2.4, rules M1 and M2).

Each instance becomes an RDATE of the stored series and an override that holds what the message says of it. Nothing
else moves.
"""

from collections.abc import Iterator
from itertools import chain, islice

from imipd.address import comparable

from . import change, instance, merge, moment, recurrence, revision, rule, series
from .decision import Decision, Error, NoAction, Reason
from .draft import MASTER, Draft
from .instance import Instance
from .lines import Component
from .message import CalendarObject, Context, ItipMessage, without_memory
from .moment import Moment

MOST_ADDED = 100
"""Instances that one component may add by its RRULE and RDATEs."""


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the added instances do to the Attendee's series."""
    if stored is None:
        return NoAction(Reason.UNKNOWN_UID)
    return change.decide(message.content, stored, context, _carry_out)


def _carry_out(content: CalendarObject, draft: Draft) -> None:
    asked = [at for item in content.instances for at in _add_all(item, draft)]
    series.include(asked, draft)
    series.extend(asked, draft)
    draft.findings.reasons = [Reason.INSTANCE_ADDED for _ in draft.findings.reasons]


def _add_all(item: Instance, draft: Draft) -> list[Moment]:
    """Put each instance of a component that counts, and return which did."""
    if item.recurrence_id is not None:  # RFC 5546 §3.2.4 has none, but what it says is plain
        moments, parts = [item.recurrence_id], [item.component]
    else:
        moments = list(islice(_moments(item), MOST_ADDED + 1))
        parts = [recurrence.derived(item, at) for at in moments]
    if len(moments) > MOST_ADDED:
        draft.findings.refused.append(Error(Reason.TOO_LARGE, f"an ADD of more than {MOST_ADDED} instances"))
        return []
    made = [series.in_form(instance.read(_asking(part, draft), draft.zones), draft) for part in parts]
    return [at for at, one in zip(moments, made, strict=True) if _is_added(one, draft)]


def _moments(item: Instance) -> Iterator[Moment]:
    """Yield what a component adds: its DTSTART, its RDATEs and what its RRULE gives, each once."""
    start = item.start
    if start is None:
        return
    dates = (moment.in_form_of(at, start) for at in item.rdates if moment.can_be(at, start))
    seen = set(item.excluded)
    for at in chain([start], dates, *(rule.instances(each, start) for each in item.rules)):
        if moment.label(at) not in seen:
            seen.add(moment.label(at))
            yield at


def _asking(part: Component, draft: Draft) -> Component:
    """Return an instance with the parties of the series where it names none, and me not having answered it yet."""
    held = draft.master or draft.stored.instances[0]
    names = [name for name in ("ORGANIZER", "ATTENDEE") if not part.all(name)]
    part = part.append(line for name in names for line in without_memory(held.component).all(name))
    for line in part.all("ATTENDEE"):
        if draft.context.is_me(comparable(line.value)):
            part = part.swap(line, merge.with_partstat(line, merge.NEEDS_ACTION))
    return part


def _is_added(item: Instance, draft: Draft) -> bool:
    label, master = draft.label(item.recurrence_id), draft.master
    if _does_not_fit(item, master):
        draft.findings.refused.append(Error(Reason.MALFORMED, "an all-day series and a time, or the reverse"))
        return False
    if change.is_refused(item, draft):
        return False
    if master is not None and _is_new(item, label, draft):
        known = draft.known(master, MASTER).sequence or 0
        if (item.sequence or 0) <= known:  # RFC 5546 §3.2.4: it rises with each ADD
            draft.findings.refused.append(NoAction(Reason.STALE, label))
            return False
    if _is_deleted(item, label, draft):
        draft.findings.refused.append(NoAction(Reason.DELETED_HERE, label))
        return False
    series.put_instance(item, label, draft)
    return True


def _does_not_fit(item: Instance, master: Instance | None) -> bool:
    start, own = master.start if master else None, item.start
    return start is not None and own is not None and moment.is_date(start) != moment.is_date(own)


def _is_deleted(item: Instance, label: str, draft: Draft) -> bool:
    """Return whether it was called off before it came, or added before and then excluded here.

    A higher SEQUENCE brings it back.
    """
    master, asked, organizer = draft.master, item.recurrence_id, draft.stored.organizer
    party, memory = organizer.address if organizer else "", draft.context.memory
    if label not in draft.items and revision.is_buried(label, item.sequence, party, memory):
        return True
    if master is None or asked is None or not recurrence.is_excluded(master, asked):
        return False
    before = revision.recalled(party, label, memory)
    again = before is not None and (item.sequence or 0) > (before.sequence or 0)
    return recurrence.is_added(master, asked) and not again


def _is_new(item: Instance, label: str, draft: Draft) -> bool:
    master, asked = draft.master, item.recurrence_id
    if label in draft.items or master is None or asked is None:
        return False
    return recurrence.locate(master, asked) is None
