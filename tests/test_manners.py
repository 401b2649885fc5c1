"""Servers are known by what they say of themselves, also behind a proxy that writes its own name."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from correspondence import invited
from faults import CALENDAR, HOME, ICALENDAR, OBJECT, UID, Says, calendar, liar, multistatus
from imipd.cli.main import main
from imipd.store import ConflictError, Home, RefusedError, Stored, StoreError
from imipd.store.caldav import CalDavStore
from imipd.store.manners import DAVICAL, ORDINARY, RADICALE, SOGO, STRANGER, Manners, Signs, recognized
from servers import xandikos

SCHEDULES = {"DAV": "1, 3, calendar-access, calendar-auto-schedule"}
CYRUS_ALONE = "{http://cyrusimap.org/ns/}make-collection"


@pytest.mark.parametrize(
    ("headers", "names", "manners"),
    [
        ({}, (), ORDINARY),
        ({"DAV": "1, 3, calendar-access"}, (), ORDINARY),
        ({"DAV": "1, 2, 3, calendar-access"}, ("{http://radicale.org/ns/}displayname",), RADICALE),
        (SCHEDULES, (), STRANGER),
        (SCHEDULES, ("{DAV:}collection", "{http://groupdav.org/}vevent-collection"), SOGO),
        (SCHEDULES | {"X-DAViCal-Version": "DAViCal/1.1.12; DB/1.3.5"}, (), DAVICAL),
        (SCHEDULES, (CYRUS_ALONE,), ORDINARY),
        (SCHEDULES | {"X-Sabre-Version": "4.7.0"}, (), ORDINARY),
        ({"DAV": "1, 3, calendar-auto-schedule, nc-calendar-search"}, (), ORDINARY),
    ],
)
def test_a_server_is_recognized(headers: Mapping[str, str], names: tuple[str, ...], manners: Manners) -> None:
    assert recognized(Signs(headers, frozenset(names))) is manners


@pytest.mark.parametrize("email", ["", "alice@example.org"])
def test_check_warns_of_a_server_that_may_mail(tmp_path: Path, capsys: pytest.CaptureFixture[str], email: str) -> None:
    """Xandikos schedules; without the address of its user it cannot, and nothing is to be said."""
    config = tmp_path / "imipd.toml"
    (tmp_path / "server").mkdir()
    with xandikos(tmp_path / "server", email=email) as server:
        config.write_text(
            f'[lmtp]\nlisten = "127.0.0.1:0"\n[ledger]\nurl = "sqlite:///{tmp_path}/l.db"\n'
            f'[[account]]\naddresses = ["alice@example.org"]\nuser = "alice"\nurl = "{server.url}"\npassword = "any"\n'
        )
        assert main(["check", "-c", str(config)]) == 0
    told = [row for row in capsys.readouterr().out.splitlines() if row.startswith("warn") and "calendar of" in row]
    assert len(told) == bool(email)
    assert all("alice@example.org" in row and "docs/calendar" in row for row in told)


def test_xandikos_that_knows_its_user_refuses_what_the_organizer_changes(tmp_path: Path) -> None:
    """412, and yet no conflict: to decide again would not help."""
    with xandikos(tmp_path, email="alice@example.org") as server:
        store, home = CalDavStore(), Home(server.url, "alice", "any")
        store.create(home, "lunch@example.org", "VEVENT", invited())
        (stored,) = store.find(home, "lunch@example.org")
        with pytest.raises(RefusedError, match="attendee-allowed"):
            store.replace(home, stored, invited("LOCATION:Hall"))
        store.close()


SOGOS_CALENDAR = calendar(CALENDAR).replace(
    "<C:calendar/>", '<C:calendar/><vevent-collection xmlns="http://groupdav.org/"/>'
)


WRITES: dict[str, Callable[[CalDavStore, Home, Stored], object]] = {
    "create": lambda store, home, _: store.create(home, UID, "VEVENT", ICALENDAR),
    "replace": lambda store, home, stored: store.replace(home, stored, ICALENDAR),
    "remove": lambda store, home, stored: store.remove(home, stored),
}


@pytest.mark.parametrize("write", WRITES)
def test_sogo_is_asked_before_each_write(write: str) -> None:
    """It obeys a condition here and there; what was written meanwhile stays."""
    with liar() as server, closing(CalDavStore()) as store:
        home = Home(server.url, "alice", "any")
        server.answers["PROPFIND", HOME] = multistatus(SOGOS_CALENDAR)
        with pytest.raises(ConflictError):
            WRITES[write](store, home, Stored(OBJECT, '"0"', CALENDAR, ICALENDAR))
        assert server.times("PUT") == server.times("DELETE") == 0


@pytest.mark.parametrize("write", ["replace", "remove"])
def test_what_was_deleted_is_not_made_anew_on_sogo(write: str) -> None:
    with liar() as server, closing(CalDavStore()) as store:
        home = Home(server.url, "alice", "any")
        server.answers["PROPFIND", HOME] = multistatus(SOGOS_CALENDAR)
        server.answers["GET", OBJECT] = Says(404)
        with pytest.raises(StoreError):
            WRITES[write](store, home, Stored(OBJECT, '"1"', CALENDAR, ICALENDAR))
        assert server.times("PUT") == server.times("DELETE") == 0
