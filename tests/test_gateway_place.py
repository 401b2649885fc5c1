"""Where a new object goes, and what becomes of one that no calendar of the account takes (S1, M9)."""

import pytest

from correspondence import ALICE, BOB, mail
from desks import USER, Desk, with_policy


def published(component: str) -> bytes:
    """Return the mail in which bob publishes something."""
    lines = (f"BEGIN:{component}", "UID:x", "DTSTAMP:20270104T080000Z", "DTSTART:20270111T110000Z", f"END:{component}")
    return mail(BOB, "PUBLISH", "\r\n".join(lines))


@pytest.mark.parametrize("component", ["VTODO", "VJOURNAL"])
def test_what_no_calendar_takes_is_answered_at_once(component: str) -> None:
    """The mail would wait for a day, and then nothing would be there either."""
    desk = Desk({ALICE: with_policy(published="add")}, components=("VEVENT",))
    assert [status.code for status in desk.deliver(published(component))] == [250]
    assert desk.outcomes() == ["no_action: no-calendar"]
    assert desk.told()[0].entry.detail == f"{USER} has no calendar that takes a {component}"
    assert "intend" not in desk.store.taken


@pytest.mark.parametrize("component", ["VEVENT", "VTODO", "VJOURNAL"])
def test_it_goes_where_its_type_is_taken(component: str) -> None:
    desk = Desk({ALICE: with_policy(published="add")}, components=("VEVENT",))
    other = desk.store.add_collection(USER, "Other", components=(component,))
    desk.deliver(published(component))
    desk.deliver(published(component))
    assert desk.outcomes() == ["added: published"]
    held = desk.calendar if component == "VEVENT" else other
    assert [f"BEGIN:{component}".encode() in stored.body for stored in desk.store.objects(held)] == [True]
