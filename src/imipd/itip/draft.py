"""A stored object while one message is carried out on it, and the decision that comes of it.

Every component that is not put here stays in its place, byte for byte (rule S3).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from imipd.memory import Revision, Tombstone

from . import instance, moment, recurrence, revision
from .decision import Decision, Error, NoAction, Reason, Removed, Updated
from .instance import Instance
from .lines import Component
from .message import CalendarObject, Context
from .moment import Moment
from .wire import says_the_same
from .zones import Zones

MASTER = ""
MOST_TOLD = 20
"""Of thousands of instances an operator wants to see a few."""


@dataclass(frozen=True, slots=True)
class Target:
    """A component of a stored object, and its label in the draft."""

    label: str
    item: Instance


@dataclass
class Findings:
    """What became of each component of a message."""

    reasons: list[Reason] = field(default_factory=list)
    """Of the components that were carried out."""
    refused: list[NoAction | Error] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def conclude(self, stored: CalendarObject, calendar: Component | None) -> Decision:
        """Return the decision on the whole message; `calendar` is None where the object is to be deleted."""
        if not self.reasons:
            return self._refusal()
        reason = Reason.RESCHEDULED if Reason.RESCHEDULED in self.reasons else self.reasons[0]
        detail = "; ".join([*self.notes[:MOST_TOLD], *_told(self.refused)])
        memory = tuple(self.revisions), tuple(self.tombstones)
        if calendar is None:
            return Removed(reason, detail, *memory)
        if says_the_same(stored.calendar, calendar):
            return NoAction(Reason.NO_CHANGE, detail, memory[1])
        return Updated(reason, calendar.to_bytes(), detail, *memory)

    def _refusal(self) -> Decision:
        """Return the refusal of the whole: an error where any component is in error."""
        first = next((item for item in self.refused if isinstance(item, Error)), self.refused[0])
        detail = "; ".join(_told(self.refused)) if len(self.refused) > 1 else first.detail
        if isinstance(first, Error):
            return Error(first.reason, detail)
        return NoAction(first.reason, detail, tuple(self.tombstones))


def _told(refused: Iterable[NoAction | Error]) -> list[str]:
    rows = (f"{item.reason}: {item.detail}" if item.detail else str(item.reason) for item in refused)
    return list(dict.fromkeys(rows))[:MOST_TOLD]


class Labels:
    """The labels of overrides that stand side by side without a master, each known in the form that it has itself."""

    def __init__(self) -> None:
        self._forms: dict[int, tuple[Moment, dict[str, str]]] = {}

    def add(self, label: str, recurrence_id: Moment) -> None:
        """Know this instance by `label`."""
        form = id(recurrence_id.tzinfo) if isinstance(recurrence_id, datetime) else 0
        _, known = self._forms.setdefault(form, (recurrence_id, {}))
        known.setdefault(moment.label(recurrence_id), label)

    def of(self, asked: Moment) -> str | None:
        """Return the label of the override of this instance (R7), None where there is none."""
        forms = [(like, known) for like, known in self._forms.values() if moment.can_be(asked, like)]
        found = (known.get(moment.label(moment.in_form_of(asked, like))) for like, known in forms)
        return next((label for label in found if label), None)


class Draft:
    """The instances of a stored object by label: the RECURRENCE-ID in the form of the series, empty for the master."""

    def __init__(self, stored: CalendarObject, context: Context, incoming: Zones | None = None) -> None:
        self.stored = stored
        self.context = context
        self.zones = incoming.before(stored.zones) if incoming else stored.zones
        self.findings = Findings()
        self.first = revision.first(stored.organizer, context.memory) if stored.organizer else ""
        self.items: dict[str, Instance] = {}
        self._labels = Labels()
        self._origin: dict[int, str] = {}
        self._cleared: set[int] = set()
        for item in stored.instances:
            label = self.label(item.recurrence_id)
            if label not in self.items:  # of two overrides for one instance the second stays as it is
                self._hold(label, item)
                self._origin[id(item.component)] = label

    @property
    def master(self) -> Instance | None:
        """The master as it is now."""
        return self.items.get(MASTER)

    @property
    def overrides(self) -> tuple[tuple[str, Instance], ...]:
        """The overrides as they are now, with their labels."""
        return tuple((label, item) for label, item in self.items.items() if label != MASTER)

    def label(self, recurrence_id: Moment | None) -> str:
        """Return the key of an instance: as an instant, in the form of the series (R7)."""
        if recurrence_id is None:
            return MASTER
        master = self.master or self.stored.master
        if master is not None:
            return moment.label(recurrence.identified(master, recurrence_id))
        return self._labels.of(recurrence_id) or moment.label(recurrence_id)

    def target(self, recurrence_id: Moment | None) -> Target | NoAction | Error:
        """Return the component that a message speaks of; an override that is not there yet is made from the master."""
        label = self.label(recurrence_id)
        if label in self.items:
            return Target(label, self._complete(self.items[label]))
        master = self.master
        if master is None or recurrence_id is None or not master.recurs:
            return NoAction(Reason.UNKNOWN_INSTANCE, label or "the stored object has no master")
        if not recurrence.is_askable(master):
            return Error(Reason.TOO_LARGE, "the stored series cannot be expanded in bounded time")
        found = recurrence.locate(master, recurrence_id)
        if found is None:
            return NoAction(Reason.UNKNOWN_INSTANCE, label)
        made = instance.read(recurrence.derived(master, found), self.zones)
        return Target(self.label(found), self.items.get(self.label(found), made))

    def _complete(self, item: Instance) -> Instance:
        if item.attendees or self.master is None or item is self.master:
            return item
        return instance.read(instance.completed(item, self.master), self.zones)

    def put(self, label: str, part: Component) -> Instance:
        """Set what this instance says and return it read."""
        self._hold(label, instance.read(part, self.zones))
        return self.items[label]

    def clear(self) -> None:
        """Let all instances go, the second of two for one instance too."""
        self.items.clear()
        self._cleared = {id(item.component) for item in self.stored.instances} - set(self._origin)

    def _hold(self, label: str, item: Instance) -> None:
        self.items[label] = item
        if item.recurrence_id is not None:
            self._labels.add(label, item.recurrence_id)

    def is_stale(self, item: Instance, label: str) -> bool:
        """Return whether a component of the Organizer's message is older than what was applied last there (V1)."""
        if label in self.items:
            return self.is_older(item, self.items[label], label)
        # An instance without an override of its own is compared with the master.
        return self.master is not None and self.is_older(item, self.master, MASTER)

    def is_older(self, item: Instance, held: Instance, label: str) -> bool:
        """Return whether a component of the Organizer's message is older than the last one applied to `held` (V1)."""
        known = self.known(held, label)
        new = revision.of_message(item, known.party, label, self.context.date)
        return revision.organizer_is_stale(new, known)

    def known(self, held: Instance, label: str) -> Revision:
        """Return the Organizer's last applied revision of `held`; without memory of it the stored SEQUENCE alone."""
        party = held.organizer or self.stored.organizer
        address = party.address if party else ""
        # The master's line speaks of the master; and never the DTSTAMP of the attendee's copy: his client rewrites it
        # (RFC 6638 §3.2.2.1).
        remembered = revision.last(held.organizer, label, self.context.memory)
        remembered = remembered or revision.recalled(address, label, self.context.memory)
        return remembered or Revision(address, label, held.sequence or 0, None, None)

    def applied(self, item: Instance, label: str, reason: Reason) -> None:
        """Note that a component of the Organizer's message was carried out."""
        organizer = self.stored.organizer
        self.findings.reasons.append(reason)
        self.findings.revisions.append(self.revision(item, organizer.address if organizer else "", label))

    def revision(self, item: Instance, organizer: str, label: str) -> Revision:
        """Return the revision of a component of the Organizer's message, with who first brought the event (A2)."""
        first = self.first if self.first != organizer else ""
        return replace(revision.of_message(item, organizer, label, self.context.date), first=first or None)

    def calendar(self) -> Component:
        """Return the object as it is now."""
        placed, content = set[str](), []
        for item in self.stored.calendar.content:
            label = self._origin.get(id(item))
            if item.name == "METHOD" or id(item) in self._cleared:
                continue  # RFC 4791 §4.1: whoever stored it, a calendar object has none (S3)
            if label is None:
                content.append(item)
            elif label in self.items:
                content.append(self.items[label].component)
                placed.add(label)
        new = [item.component for label, item in self.items.items() if label not in placed]
        return self.stored.calendar.with_content(content).append(new)
