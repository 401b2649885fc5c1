"""PUBLISH: an event that is told to whom it may concern, nobody being invited (RFC 5546 §3.2.1, §3.5.1, M7 and M8).

What is published has no Attendees, so a server that schedules sees no meeting in it.
"""

from dataclasses import replace

from . import change, instance, request
from .decision import Decision, Error, NoAction, Reason
from .lines import Component, written
from .message import CalendarObject, Context, ItipMessage


def decide(message: ItipMessage, stored: CalendarObject | None, context: Context) -> Decision:
    """Return what the published event does to the calendar of somebody who takes such."""
    if message.content.organizer is None and context.originator is None:
        return Error(Reason.MALFORMED, "a PUBLISH of nobody: neither ORGANIZER nor From")
    if message.content.organizer is None and context.is_me(context.originator or ""):
        return NoAction(Reason.OWN_MESSAGE, "From is the recipient")  # A6
    published = replace(message, content=_published(message.content, context.originator or ""))
    if stored is None:
        return request.added(published, context, Reason.PUBLISHED)
    return change.decide(published.content, stored, context, request.carry_out)


def _published(content: CalendarObject, originator: str) -> CalendarObject:
    """Return the object without Attendees; where it names no ORGANIZER, From is he (RFC 5546 §3.2.1 demands one)."""
    made = {id(item.component): _without_attendees(item.component, originator) for item in content.instances}
    calendar = content.calendar.with_content(made.get(id(item), item) for item in content.calendar.content)
    instances = tuple(instance.read(made[id(item.component)], content.zones) for item in content.instances)
    return replace(content, calendar=calendar, instances=instances)


def _without_attendees(part: Component, originator: str) -> Component:
    kept = part.without("ATTENDEE")
    return kept if kept.all("ORGANIZER") else kept.append([written("ORGANIZER", f"mailto:{originator}")])
