"""A mail without a calendar through the pipe: answered at once, and just as the whole program answers it."""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from corpus import corpus
from correspondence import ALICE, BOB, plain, reply
from imipd import config, served
from imipd.accounts.configured import Directory
from imipd.cli import logs, main, pipe
from imipd.cli.arguments import parser
from imipd.cli.plain import Begun, parsed
from imipd.config import Config
from imipd.look import may_carry_calendar

LIMIT = 100_000
SAMPLES = Path(__file__).parent.parent / "sample-mail"
CONFIG = """\
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "http://127.0.0.1:1/"
password_file = "password"
[limits]
mail = {limit}
[[account]]
addresses = ["alice@example.org", "alice.smith@example.org"]
[[domain]]
name = "example.net"
also = ["imip.invalid"]
"""
ODD = {
    "nothing": b"",
    "no header": b"\nbody",
    "no body": b"Subject: x",
    "of mbox": b"From bob@example.net Tue Mar 10 10:00:00 2026\n" + plain(),
    "only the line of mbox": b"From bob@example.net Tue Mar 10 10:00:00 2026",
    "stamped outside": b"X-Imipd-Outcome: updated\r\nSubject: x\r\n\r\nbody",
    "spam": b"X-Spam-Flag: YES\n" + plain(),
    "a report": b'Content-Type: multipart/report; boundary="b"\n\n--b\n\n--b--\n',
    "bare CR": b"Subject: x\rTo: y\r\rbody\r",
    "NUL and no UTF-8": b"Subject: \xff\0\n\n\xfe\0",
    "of the limit": b"S: x\n\n" + b"x" * (LIMIT - 6),
    "over the limit": b"S: x\n\n" + b"x" * (LIMIT - 5),
    "two in one": b"S: x\n\n" + b"x" * 70_000 + b"\nBEGIN:VCALENDAR",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hold a configuration, on which one may rely as soon as it is written."""
    (tmp_path / "password").write_text("wonderland")
    (tmp_path / "imipd.toml").write_text(CONFIG.format(folder=tmp_path, limit=LIMIT))
    monkeypatch.setattr(served, "SETTLED", -(10**10))
    monkeypatch.setattr(logs, "begin", lambda _config: None)  # it would outlive the test
    monkeypatch.delenv(served.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def left(folder: Path) -> Path:
    """Let a pipe have read the configuration; return where it left whom it serves."""
    assert piped(b"", "-r", ALICE) == (0, b"")
    return folder / "ledger.db.served"


def piped(mail: bytes, *words: str) -> tuple[int, bytes]:
    """Call the pipe and return its exit code and what it wrote."""
    out = io.TextIOWrapper(io.BytesIO())
    with patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(mail))), patch.object(sys, "stdout", out):
        try:
            with capture_logs():
                code = main.main(["pipe", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        return code, out.buffer.getvalue()


def at_once(mail: bytes, *words: str) -> bool:
    """Whether the pipe does that without the rest of the program."""
    with patch.object(main, "_whole", lambda _words, _begun: -1):
        return piped(mail, *words)[0] != -1


def at_length(mail: bytes, *words: str) -> tuple[int, bytes]:
    """Call the pipe where nothing is remembered."""
    with patch.object(served, "recall", lambda _config, _environ: None):
        return piped(mail, *words)


def ordinary() -> list[bytes]:
    """Return what is odd, the samples, and mails with the headers of the samples and of the corpus."""
    given = [path.read_bytes() for path in SAMPLES.rglob("*.eml")]
    with suppress(pytest.skip.Exception):
        given += [path.read_bytes() for path in corpus().rglob("*.eml")]
    headers = [re.split(rb"\r?\n\r?\n", mail)[0].splitlines(keepends=True) for mail in given]
    made = [b"".join(line for line in header if not may_carry_calendar(line)) + b"\n\nbody" for header in headers]
    return [mail for mail in (*given, *made, *ODD.values()) if not may_carry_calendar(mail) and len(mail) <= LIMIT]


# -- The same as at length


@pytest.mark.usefixtures("left")
def test_every_mail_without_a_sign_of_a_calendar_is_answered_as_by_the_whole_program() -> None:
    words = ("-r", ALICE, "Bob+news@imip.invalid", "-f", BOB, "--passthrough")
    assert len(ordinary()) > 40
    for mail in ordinary():
        assert at_once(mail, *words), mail[:100]
        assert piped(mail, *words) == at_length(mail, *words), mail[:100]


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize("mail", [ODD["over the limit"], ODD["two in one"], reply(BOB, "ACCEPTED")])
def test_any_other_mail_reaches_the_whole_program_to_its_last_byte(mail: bytes) -> None:
    seen: list[bytes] = []

    def whole(_words: object, begun: Begun) -> int:
        assert begun.remembered
        seen.append(pipe.Again(begun.read).read(10**6) + sys.stdin.buffer.read())
        return 0

    with patch.object(main, "_whole", whole):
        piped(mail, "-r", ALICE)
    assert seen == [mail]


@pytest.mark.usefixtures("left")
def test_a_mail_over_the_limit_passes_as_by_the_whole_program() -> None:
    words = ("-r", ALICE, "--passthrough")
    code, out = piped(ODD["over the limit"], *words)
    assert (code, out) == at_length(ODD["over the limit"], *words)
    assert out.endswith(ODD["over the limit"])


@pytest.mark.usefixtures("left")
def test_a_stranger_is_67_and_among_others_not_counted() -> None:
    assert piped(plain(), "-r", "carol@example.com") == (67, b"")
    assert not at_once(plain(), "-r", ALICE, "carol@example.com")
    assert piped(plain(), "-r", ALICE, "carol@example.com") == (0, b"")


@pytest.mark.usefixtures("left")
def test_a_reader_who_has_gone_is_75(capsys: pytest.CaptureFixture[str]) -> None:
    class Gone(io.BytesIO):
        def write(self, _bytes: object) -> int:
            raise BrokenPipeError("gone")

    stdin, stdout = io.TextIOWrapper(io.BytesIO(plain())), io.TextIOWrapper(Gone())
    with patch.object(sys, "stdin", stdin), patch.object(sys, "stdout", stdout):
        assert main.main(["pipe", "-r", ALICE, "--passthrough"]) == 75
    assert "gone" in capsys.readouterr().err


@pytest.mark.usefixtures("left")
def test_stdin_that_breaks_off_is_75() -> None:
    """Half a mail may be plain, and is not done."""

    def pieces() -> Iterator[bytes]:
        yield plain()
        raise OSError("broken off")

    given = pieces()
    stdin = SimpleNamespace(buffer=SimpleNamespace(read=lambda _size: next(given)))
    with patch.object(sys, "stdin", stdin):
        assert main.main(["pipe", "-r", ALICE]) == 75


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("remembered", [False, True])
def test_no_stdin_at_all_is_75(remembered: bool) -> None:
    """1, as Python ends over what nobody has caught, would have an MTA bounce."""
    if remembered:
        assert piped(plain(), "-r", ALICE) == (0, b"")
    with patch.object(sys, "stdin", None), capture_logs():
        assert main.main(["pipe", "-r", ALICE]) == 75


def test_a_folder_that_is_gone_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls may have it removed while we run."""
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    assert piped(plain(), "-c", str(folder / "imipd.toml"), "-r", ALICE) == (0, b"")
    served.remember("imipd.toml", served.Served(1, [], {}), served.Grounds((), (), {}), served.now())


WORDS = st.sampled_from(["-r", "-c", "-f", "--passthrough", "a@b.c", "d", "", "-", "--", "-x", "-rd", "--pass", "-h"])


@given(st.lists(WORDS, max_size=7))
def test_arguments_are_read_as_argparse_reads_them(words: list[str]) -> None:
    call = parsed(words)
    if call:
        by_library = parser().parse_args(["pipe", *words])
        assert (by_library.recipients, by_library.passthrough) == (call.recipients, call.passthrough)
        assert by_library.reverse_path == call.reverse_path
        assert by_library.config == (None if call.config is None else Path(call.config))


@pytest.mark.parametrize(
    ("line", "understood"),
    [
        ("-r a", ("a",)),
        ("-r a b -c x -r c -f f --passthrough", ("a", "b", "c")),
        ("-c x", None),
        ("-r", None),
        ("-r a -f", None),
        ("-r a --passthrough b", None),
        ("-ra", None),
    ],
)
def test_the_usual_arguments_are_understood(line: str, understood: tuple[str, ...] | None) -> None:
    call = parsed(line.split())
    assert (tuple(call.recipients) if call else None) == understood


# -- Who is served


LOCALS = st.sampled_from(["alice", "Alice", "bob", "bob+x", "+x", "", "..", "a/b", "a:b", ".", "a.b", "ä", "-", "_x"])
HOSTS = st.sampled_from(["example.org", "EXAMPLE.org", "example.net", "imip.invalid", "gmail.com", "googlemail.com"])
ADDRESSES = st.builds("{}{}@{}".format, st.sampled_from(["", "mailto:", " ", "%41"]), LOCALS, HOSTS) | st.text(
    max_size=8
)


@given(
    accounts=st.lists(
        st.builds("{}@{}".format, st.sampled_from(["alice", "Alice", "bob+x", "a.b"]), HOSTS), max_size=3
    ),
    names=st.lists(HOSTS, max_size=3, unique_by=str.lower),
    address=ADDRESSES,
)
def test_who_is_surely_served_is_served(accounts: list[str], names: list[str], address: str) -> None:
    document = {
        "account": [{"addresses": [each], "password": "x"} for each in accounts],
        "domain": [{"name": name, "also": also, "password": "x"} for name, *also in filter(None, [names])],
    }
    directory = Directory(Config.model_validate(document), {})
    surely = served.Served(1, *directory.known).surely(address)
    assert directory.serves(address) or not surely


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "address",
    [ALICE, "Alice.Smith+list@Example.org", "anybody@example.net", "bob+x@imip.invalid", "mailto:alice%40example.org"],
)
def test_the_usual_recipient_is_surely_served(address: str) -> None:
    directory = Directory(config.load(None, {}), {})
    assert served.Served(1, *directory.known).surely(address)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("local", ["", "..", ".", "a/../b", "a\\b", "a:b", "a b", "\x07", "ä"])
def test_a_local_part_that_no_template_may_take_is_left_to_the_whole_program(local: str) -> None:
    directory = Directory(config.load(None, {}), {})
    known = served.Served(1, *directory.known)
    assert not known.surely(f"{local}@example.net")
    assert known.surely("a.b-c_d+e@example.net")


# -- What is believed of the past


Change = Callable[[Path, Path], object]


def rewritten(folder: Path, _left: Path) -> None:
    file = folder / "imipd.toml"
    file.write_text(file.read_text().replace(ALICE, "alina@example.org"))


def dated_back(folder: Path, left: Path) -> None:
    """Change who is served, and let size and time be as they were."""
    file, before = folder / "imipd.toml", (folder / "imipd.toml").stat()
    rewritten(folder, left)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def exchanged(folder: Path, left: Path) -> None:
    other = folder / "other"
    other.write_text((folder / "imipd.toml").read_text())
    other.rename(folder / "imipd.toml")


def a_link(folder: Path, left: Path) -> None:
    left.rename(folder / "elsewhere")
    left.symlink_to(folder / "elsewhere")


def a_folder(_folder: Path, left: Path) -> None:
    left.unlink()
    left.mkdir()


def a_pipe(_folder: Path, left: Path) -> None:
    left.unlink()
    os.mkfifo(left, 0o600)


def of_another_version(folder: Path, left: Path) -> None:
    lines = left.read_text().split("\n")
    lines[1] = "0" + lines[1]
    left.write_text("\n".join(lines))


CHANGES: Mapping[str, Change] = {
    "rewritten": rewritten,
    "rewritten and dated back": dated_back,
    "exchanged for its like": exchanged,
    "the configuration is gone": lambda folder, _: (folder / "imipd.toml").rename(folder / "old"),
    "the password is gone": lambda folder, _: (folder / "password").unlink(),
    "the password is another": lambda folder, _: (folder / "password").write_text("wonderlanD"),
    "the password is given away": lambda folder, _: (folder / "password").chmod(0o604),
    "others may write": lambda _, left: left.chmod(0o620),
    "others may read": lambda _, left: left.chmod(0o604),
    "a link": a_link,
    "a folder": a_folder,
    "a pipe": a_pipe,
    "empty": lambda _, left: left.write_bytes(b""),
    "no text": lambda _, left: left.write_bytes(b"\xff\0" * 100),
    "of another version": of_another_version,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_nothing_is_believed_that_something_has_changed_of(folder: Path, left: Path, change: Change) -> None:
    assert at_once(plain(), "-r", ALICE)
    change(folder, left)
    assert not at_once(plain(), "-r", ALICE)


def test_nothing_is_believed_of_somebody_else(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_once(plain(), "-r", ALICE)
    we = left.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: we)
    assert not at_once(plain(), "-r", ALICE)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_half_of_what_was_left_is_nothing(left: Path, cut: int) -> None:
    whole = left.read_bytes()
    left.write_bytes(whole[:-cut])
    assert not at_once(plain(), "-r", ALICE)


def test_a_changed_configuration_is_what_counts(folder: Path, left: Path) -> None:
    rewritten(folder, left)
    assert piped(plain(), "-r", ALICE) == (67, b"")
    assert at_once(plain(), "-r", "alina@example.org")
    (folder / "imipd.toml").write_text("[lmpt]\n")
    assert piped(plain(), "-r", "alina@example.org") == (78, b"")


@pytest.mark.usefixtures("left")
def test_the_same_file_from_another_folder_is_another_configuration(folder: Path) -> None:
    """What is relative in it means other files."""
    (folder / "there").mkdir()
    (folder / "there" / "imipd.toml").symlink_to(folder / "imipd.toml")
    assert at_once(plain(), "-c", "imipd.toml", "-r", ALICE)
    assert not at_once(plain(), "-c", "there/imipd.toml", "-r", ALICE)


PASSWORDS = {
    'password_env = "SECRET"': ("SECRET", "x", ""),
    'password_command = ["true"]': ("PATH", os.environ["PATH"], os.environ["PATH"] + ":/nowhere"),
    'password_credential = "password"': ("CREDENTIALS_DIRECTORY", "{folder}", "/nowhere"),
}


@pytest.mark.parametrize(("key", "variable"), PASSWORDS.items(), ids=list(PASSWORDS))
def test_what_a_password_needs_has_to_be_there_still(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, variable: tuple[str, str, str]
) -> None:
    name, value, otherwise = variable
    file = folder / "imipd.toml"
    file.write_text(file.read_text().replace('password_file = "password"', key.replace("true", f"{folder}/true")))
    (folder / "true").write_text("#!/bin/sh\necho secret\n")
    (folder / "true").chmod(0o700)
    monkeypatch.setenv(name, value.format(folder=folder))
    assert piped(plain(), "-r", ALICE) == (0, b"")
    assert at_once(plain(), "-r", ALICE)
    if "command" in key:
        (folder / "true").chmod(0o600)
        assert not at_once(plain(), "-r", ALICE)
        (folder / "true").chmod(0o700)
    monkeypatch.setenv(name, otherwise)
    assert not at_once(plain(), "-r", ALICE)


def test_a_configuration_that_is_still_being_written_is_not_relied_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "SETTLED", 2 * 10**9)
    assert piped(plain(), "-r", ALICE) == (0, b"")
    assert not (folder / "ledger.db.served").exists()


def test_where_every_mail_is_logged_none_is_let_go_at_once(folder: Path) -> None:
    file = folder / "imipd.toml"
    file.write_text(file.read_text() + '[log]\nlevel = "debug"\n')
    assert piped(plain(), "-r", ALICE) == (0, b"")
    assert not at_once(plain(), "-r", ALICE)


def test_no_secret_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "imipd.toml"
    login = 'password_env = "SECRET"\n[[account]]\naddresses = ["bob@example.org"]\npassword = "in the file"'
    file.write_text(file.read_text().replace('password_file = "password"', login))
    monkeypatch.setenv("SECRET", "of the environment")
    assert piped(plain(), "-r", ALICE) == (0, b"")
    left = (folder / "ledger.db.served").read_text()
    assert (folder / "ledger.db.served").stat().st_mode & 0o777 == 0o600
    assert ALICE in left
    assert not any(secret in left for secret in ("wonderland", "in the file", "of the environment"))


def test_a_folder_that_may_not_be_written_to_is_no_failure(folder: Path, left: Path) -> None:
    left.unlink()
    left.mkdir()
    (left / "inside").touch()
    assert piped(plain(), "-r", ALICE) == (0, b"")
    assert sorted(path.name for path in folder.iterdir() if "served" in path.name) == ["ledger.db.served"]
