"""imipc as a process, against the real listener and against one that says what a test wants."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imipd import client
from imipd.client import wire, without_from_line
from imipd.ingress.content import Content
from listening import saying
from test_dialogs import Running

CLIENT = Path(client.__file__)
MAIL = b"Subject: hello\n\nbody\n"
OK, UNKNOWN, LATER = "ok@example.org", "unknown@example.org", "later@example.org"
PIECES = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\n.", b"\xff", b"From "]), max_size=30)


def imipc(*arguments: str | bytes, mail: bytes = MAIL) -> subprocess.CompletedProcess[bytes]:
    """Run it as it is meant to be run."""
    command = [sys.executable, "-I", "-S", CLIENT, *arguments]
    return subprocess.run(command, input=mail, capture_output=True, timeout=60, check=False)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Running, str]]:
    running = Running("lmtp-unix", f"unix:{tmp_path}/s")
    yield running, f"{tmp_path}/s"
    running.stop()


# -- What arrives ------------------------------------------------------------------------------------------


def test_a_mail_arrives_whole_with_its_envelope(daemon: tuple[Running, str]) -> None:
    running, path = daemon
    mail = b"From bob@example.net Tue Mar 10 10:00:00 2026\nSubject: x\n\n.\n..a\r\n\xff\x00\r.\n.b"
    done = imipc("-s", path, "-f", "bob@example.net", "-r", OK, "b@example.org", "-r", "c@example.org", mail=mail)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (envelope,) = running.calendars.mails
    assert envelope.reverse_path == "bob@example.net"
    assert envelope.recipients == (OK, "b@example.org", "c@example.org")
    assert envelope.content == b"Subject: x\r\n\r\n.\r\n..a\r\n\xff\x00\r.\r\n.b\r\n"


@pytest.mark.parametrize("reverse_path", [("-f", ""), ()])
def test_null_and_unknown_reverse_path_are_one_to_the_daemon(
    daemon: tuple[Running, str], reverse_path: tuple[str, ...]
) -> None:
    """LMTP has no word for an unknown one."""
    running, path = daemon
    assert imipc("-s", path, "-r", OK, *reverse_path).returncode == 0
    assert [mail.reverse_path for mail in running.calendars.mails] == [""]


def test_an_address_beyond_ascii_arrives(daemon: tuple[Running, str]) -> None:
    running, path = daemon
    assert imipc("-s", f"unix:{path}", "-f", "bøb@example.net", "-r", "älice@example.org").returncode == 0
    (envelope,) = running.calendars.mails
    assert (envelope.reverse_path, envelope.recipients) == ("bøb@example.net", ("älice@example.org",))


def test_an_address_is_never_an_option(daemon: tuple[Running, str]) -> None:
    running, path = daemon
    assert imipc("-s", path, "-f", "-r", "-r", "-f@example.org").returncode == 0
    (envelope,) = running.calendars.mails
    assert (envelope.reverse_path, envelope.recipients) == ("-r", ("-f@example.org",))


def test_a_large_mail_is_not_held(daemon: tuple[Running, str]) -> None:
    """50 MB go through a process that may have 40."""
    _, path = daemon
    limit = "import resource as r, sys, runpy; r.setrlimit(r.RLIMIT_DATA, (40_000_000,) * 2);"
    call = f"sys.argv[1:] = ['-s', {path!r}, '-r', {OK!r}]; runpy.run_path({str(CLIENT)!r}, run_name='__main__')"
    process = subprocess.Popen([sys.executable, "-I", "-c", limit + call], stdin=subprocess.PIPE)
    assert process.stdin
    for _ in range(50):
        process.stdin.write(b"a" * 1_000_000)
    process.stdin.close()
    assert process.wait(60) == 0


@settings(deadline=None)
@given(PIECES)
def test_content_is_the_same_on_the_wire_however_it_was_cut(pieces: list[bytes]) -> None:
    """The daemon's own reader finds every byte, LF as CRLF, and nothing behind the end."""
    content = Content(10_000)
    for block in wire(iter(pieces)):
        assert content.rest is None
        content.feed(block)
    lines = b"".join(pieces).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    expected = lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"
    assert (content.take(), content.rest) == (expected, b"")


@settings(deadline=None)
@given(PIECES)
def test_only_the_from_line_is_taken_off(pieces: list[bytes]) -> None:
    mail = b"".join(pieces)
    first, end, others = mail.partition(b"\n")
    kept = others if first.startswith(b"From ") and end else mail
    assert b"".join(without_from_line(iter(pieces))) == kept


# -- Exit codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipients", "code", "reached"),
    [
        ((UNKNOWN,), 67, False),
        ((UNKNOWN, "unknown@example.net"), 67, False),
        ((UNKNOWN, OK), 0, True),
        ((LATER,), 75, True),
        ((OK, LATER), 75, True),
        ((UNKNOWN, LATER), 75, True),
        (("crash@example.org",), 75, True),
        (("broken@example.org",), 75, False),
        ((OK, "broken@example.org"), 75, True),
        (("lost@example.org",), 75, True),
        (("refused@example.org",), 67, True),
        ((OK, "refused@example.org"), 75, True),
        (("",), 75, False),
    ],
)
def test_answers_become_exit_codes(
    daemon: tuple[Running, str], recipients: tuple[str, ...], code: int, reached: bool
) -> None:
    running, path = daemon
    assert imipc("-s", path, "-r", *recipients).returncode == code
    assert bool(running.calendars.mails) == reached


@pytest.mark.parametrize(
    "answers",
    [
        ("421 4.3.2 Shutting down",),
        ("554 no",),
        ("nonsense",),
        ("220 hi", "250 hi"),
        ("220 hi", "500 what"),
        ("220 hi", "250 hi", "550 5.7.1 not you"),
        ("220 hi", "250 hi", "250 ok", "552 later"),
        ("220 hi", "250 hi", "250 ok", "250 ok", "550 no such user"),
        ("220 hi", "250 hi", "250 ok", "250 ok", "354 go on"),
        ("220 hi", "250 hi", "250 ok", "250 ok", "354 go on", "554 no"),
        ("220 hi", "250 hi", "250 ok", "250 ok", "354 go on", "250-ok"),
        ("220 " + "x" * 200_000,),
    ],
    ids=lambda answers: answers[-1][:12],
)
def test_what_is_not_to_be_expected_is_75(tmp_path: Path, answers: tuple[str, ...]) -> None:
    """Refused, cut off or garbled at any step: the caller keeps the mail, and hears why in one line."""
    with saying(tmp_path, *answers) as path:
        done = imipc("-s", path, "-r", OK, mail=b"a\n")
    assert done.returncode == 75
    assert done.stderr.count(b"\n") <= 1
    assert b"Traceback" not in done.stderr


def test_nobody_there_is_75_and_the_mail_is_read_to_its_end(tmp_path: Path) -> None:
    """A caller whose pipe breaks would take that for a failure of its own."""
    done = imipc("-s", f"{tmp_path}/none", "-r", OK, mail=b"a" * 1_000_000)
    assert (done.returncode, done.stderr) == (75, b"imipc: try again: [Errno 2] No such file or directory\n")


def test_without_stdin_and_stderr_it_is_75(daemon: tuple[Running, str]) -> None:
    _, path = daemon
    for closing in ("<&-", "<&- 2>&-"):
        command = f'exec "$0" -I -S "$1" -s "$2" -r {OK} {closing}'
        assert subprocess.run(["sh", "-c", command, sys.executable, CLIENT, path], check=False).returncode == 75


def test_an_address_beyond_ascii_waits_for_a_daemon_that_takes_it(tmp_path: Path) -> None:
    with saying(tmp_path, "220 hi", "250 8BITMIME") as path:
        done = imipc("-s", path, "-r", "älice@example.org")
    assert done.returncode == 75
    assert b"not ASCII" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("-f", "bob@example.net"), ("-r",), ("-r", OK, "-x"), (OK,), ("-r", OK, "-s"), ("-r", "a\r\nRSET")],
    ids=str,
)
def test_a_wrong_call_is_64(arguments: tuple[str, ...]) -> None:
    done = imipc(*arguments)
    assert done.returncode == 64
    assert b"usage: imipc" in done.stderr


def test_it_takes_nothing_of_ours_and_little_of_the_library() -> None:
    """What costs a start is seen in what is loaded, however busy the machine is."""
    look = "import sys; before = {*sys.modules}; import client; print({*sys.modules} - before - {'client'})"
    code = f"import sys; sys.path.insert(0, {str(CLIENT.parent)!r}); {look}"
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout in ("{'_socket'}\n", "set()\n")
