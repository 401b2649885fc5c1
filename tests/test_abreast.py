"""A mail of several recipients: they are seen to side by side, and nobody waits for who is busy."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from correspondence import BOB, event, mail
from desks import ALICES, Desk
from imipd.accounts import Account
from imipd.envelope import Envelope
from imipd.gateway import Bounds
from imipd.gateway.abreast import Abreast, once
from imipd.mail import Mail
from imipd.proof import Claim, Method, Verdict

PEOPLE = [f"{name}@example.org" for name in ("alice", "carol", "dave", "erin", "frank", "grace")]
PATIENCE = 20.0


def accounts(**policy: str) -> dict[str, Account]:
    """Return an account of his own for each."""
    return {
        address: replace(
            ALICES,
            name=address,
            addresses=(address,),
            home=replace(ALICES.home, username=address),
            policy=replace(ALICES.policy, **policy),  # type: ignore[arg-type]
        )
        for address in PEOPLE
    }


def invitation() -> bytes:
    """Return what invites them all."""
    asked = [f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{address}" for address in PEOPLE]
    return mail(BOB, "REQUEST", event(f"ORGANIZER:mailto:{BOB}", *asked))


class Party(Desk):
    """A desk at which all have a calendar."""

    def __init__(self, helpers: int, **policy: str) -> None:
        super().__init__(accounts(**policy), Bounds(helpers=helpers))
        for address in PEOPLE:
            self.store.add_collection(address, "Calendar")


class Meeting(Party):
    """One where each waits, before anything else, until `number` are there."""

    def __init__(self, number: int, helpers: int, **policy: str) -> None:
        super().__init__(helpers, **policy)
        self.together = threading.Barrier(number)

    def account_of(self, address: str) -> Account | None:
        self.together.wait(PATIENCE)
        return super().account_of(address)


@contextmanager
def ending_in_time() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Yield what runs a function in a thread; demand at the end that all have ended."""
    threads: list[threading.Thread] = []

    def run(target: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=target, daemon=True))
        threads[-1].start()

    yield run
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("helpers", [0, 1, 3, 20])
def test_each_is_answered_in_his_place(helpers: int) -> None:
    opened = Party(helpers)
    recipients = [*PEOPLE, "nobody@example.org", *PEOPLE[:2]]
    answers = [str(status.outcomes) for status in opened.deliver(invitation(), *recipients)]
    assert ["added" in answer for answer in answers[2:7]] == [True] * 4 + [False]
    assert "unknown-recipient" in answers[6]
    # Whoever is named twice, is invited once.
    assert sorted("added" in answer for answer in (*answers[:2], *answers[7:])) == [False, False, True, True]
    assert sorted(opened.outcomes()) == ["added: invited"] * len(PEOPLE)


def test_recipients_are_seen_to_side_by_side() -> None:
    """Three are looked up at a time, or none of them would come through."""
    opened = Meeting(3, helpers=2)
    assert all(status.done for status in opened.deliver(invitation(), *PEOPLE))
    assert len(opened.outcomes()) == len(PEOPLE)


def test_a_mail_goes_on_while_all_helpers_are_busy() -> None:
    """Five mails and two helpers, and one mail whose calendar does not answer: the others are done without them."""
    go_on = threading.Event()
    seen, waited = Abreast(2), list[tuple[bool, ...]]()

    def slow(_recipient: str) -> bool:
        return go_on.wait(PATIENCE)

    with ending_in_time() as run:
        run(lambda: waited.append(seen(slow, PEOPLE[:3])))
        for _ in range(4):
            assert seen(str.upper, PEOPLE) == tuple(map(str.upper, PEOPLE))
        go_on.set()
    assert waited == [(True, True, True)]


def test_more_mails_than_threads_come_to_their_end() -> None:
    seen = Abreast(1)
    with ending_in_time() as run:
        for _ in range(30):
            run(lambda: seen(len, PEOPLE * 20))


def test_what_breaks_in_a_helper_is_not_lost() -> None:
    """`Gateway._answer` never raises; should it, the mail comes again."""
    together = threading.Barrier(2)

    def breaks(_recipient: str) -> None:
        together.wait(PATIENCE)
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Abreast(1)(breaks, PEOPLE[:2])


def test_a_mail_is_read_and_its_sender_proven_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Meeting(len(PEOPLE), len(PEOPLE), sender="dkim")
    asked: list[Claim] = []

    class Prover:
        def of(self, _method: Method, claim: Claim) -> Verdict:
            time.sleep(0.05)  # time for the others to ask, too
            asked.append(claim)
            return Verdict(True, "by a test")

    opened.proof = Prover()
    gateway, read = opened.another_node(), threading.Semaphore(0)

    def reads(envelope: Envelope) -> Mail:
        read.release()
        return type(gateway).read(gateway, envelope)

    monkeypatch.setattr(gateway, "read", reads)
    assert all(status.done for status in gateway.deliver(Envelope(BOB, tuple(PEOPLE), invitation())))
    assert sorted(opened.outcomes()) == ["added: invited"] * len(PEOPLE)
    assert len(asked) == 1
    assert [read.acquire(blocking=False) for _ in range(2)] == [True, False]


def test_once_is_once_for_all_threads() -> None:
    made: list[int] = []
    together = threading.Barrier(4)

    def make() -> None:
        time.sleep(0.05)
        made.append(1)

    first = once(make)

    def ask() -> None:
        together.wait(PATIENCE)
        first()

    with ending_in_time() as run:
        for _ in range(4):
            run(ask)
    assert made == [1]
