"""No secret leaves imipd, whatever goes wrong: not in a log, a traceback, an answer, a command's words, the ledger.

Each account has its password in another place and its calendar on a server that fails in another way. Every secret
has a mark in it, which is looked for as it is (percent-encoding leaves it alone) and within Base64.
"""

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from certificates import certified
from correspondence import BOB, reply
from daemons import PATIENCE, Daemon, free_place, serving
from faults import Asked, Liar, Says, liar
from imipd.cli import logs, veil
from imipd.cli.main import main
from test_store_tls import context

MARKS = {name: f"{name}0Sesame7{name[::-1]}" for name in ("Plain", "File", "Env", "Command", "Credential", "Ledger")}
SECRETS = {name: f"{mark}/:+ %&'\"ß" for name, mark in MARKS.items()}
SOURCES = {
    "Plain": f"password = {json.dumps(SECRETS['Plain'])}",
    "File": 'password_file = "secret"',
    "Env": 'password_env = "IMIPD_TEST_SECRET"',
    "Command": 'password_command = ["/bin/sh", "secret.sh"]',
    "Credential": 'password_credential = "imipd.secret"',
}
ECHOING = ("echo-401", "echo-403", "echo-500", "echo-redirect", "echo-login-page")
FAILURES = ("fine", "closed", *ECHOING, "nowhere", "tls", "bug")
ADDRESSES = {failure: f"{failure}@example.org" for failure in FAILURES}
# The daemon with a library in it that puts all that it was handed into its error.
DEFECTIVE = """\
import base64, sys
from urllib.parse import quote
from imipd.store.caldav import CalDavStore
find = CalDavStore.find
def found(self, home, *more):
    if not home.username.startswith("bug"):
        return find(self, home, *more)
    basic = base64.b64encode(f"{home.username}:{home.password}".encode())
    forms = [basic, home, home.password, quote(home.password)]
    raise RuntimeError(f"Invalid header {basic!r} {forms!r} {home.password}")
CalDavStore.find = found
from imipd.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def server() -> Iterator[Liar]:
    """Run a server that says back what it was told, in whatever way it refuses."""
    with liar() as running:
        for kind, answer in ECHOES.items():
            running.answers["PROPFIND", f"/{kind}/"] = answer
        yield running


def _authorization(asked: Asked) -> str:
    return asked.headers.get("Authorization", "")


def _echo(status: int) -> Callable[[Asked], Says]:
    def answer(asked: Asked) -> Says:
        told = _authorization(asked)
        return Says(status, told.encode(), (("WWW-Authenticate", f'Basic realm="{told}"'), ("X-Echo", told)))

    return answer


ECHOES: dict[str, Callable[[Asked], Says]] = {
    **{f"echo-{status}": _echo(status) for status in (401, 403, 500)},
    "echo-redirect": lambda asked: Says(
        302, b"", (("Location", f"http://other.example.net/?{_authorization(asked)}"),)
    ),
    "echo-login-page": _echo(200),
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Put each secret into its place, and return the environment that leads there."""
    (tmp_path / "secret").write_text(SECRETS["File"] + "\n")
    (tmp_path / "secret.sh").write_text(f"cat <<'END'\n{SECRETS['Command']}\nEND\n")
    (tmp_path / "imipd.secret").write_text(SECRETS["Credential"])
    for name in ("secret", "secret.sh", "imipd.secret"):
        (tmp_path / name).chmod(0o644)  # check warns, and must not quote
    return {"IMIPD_TEST_SECRET": SECRETS["Env"], "CREDENTIALS_DIRECTORY": str(tmp_path)}


def accounts(folder: Path, server: Liar, tls: Liar) -> str:
    """Return an account for each failure; the sources of the passwords take turns."""
    urls = {"fine": server.url, "closed": f"http://{free_place()}/", "tls": tls.url, "bug": server.url}
    found = []
    for number, failure in enumerate(FAILURES):
        source = list(SOURCES.values())[number % len(SOURCES)].replace("secret.sh", f"{folder}/secret.sh")
        url = urls.get(failure, f"{server.url}{failure}/")
        found.append(f'[[account]]\naddresses = "{ADDRESSES[failure]}"\nuser = "{failure}"\nurl = "{url}"\n{source}\n')
    return "".join(found)


def configuration(folder: Path, more: str, ledger: str) -> Path:
    config = folder / "again.toml"
    place = free_place()
    config.write_text(f'[lmtp]\nlisten = "{place}"\n[ledger]\nurl = "{ledger}"\n[caldav]\npatience = "1ms"\n{more}')
    return config


def leaks(*texts: str | bytes) -> list[str]:
    """Return which secrets stand in these texts."""
    whole = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    return [name for name, mark in MARKS.items() if any(form in whole for form in _forms(mark.encode()))]


def _forms(mark: bytes) -> Iterator[bytes]:
    yield mark
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + mark)
        yield encoded[4 if before else 0 : (before + len(mark)) // 3 * 4]


def test_what_is_looked_for_would_be_found() -> None:
    for name, secret in SECRETS.items():
        for user in ("a", "bb", "ccc"):
            assert leaks(base64.b64encode(f"{user}:{secret}".encode())) == [name]
        assert leaks(secret) == leaks(json.dumps(secret)) == [name]


@pytest.mark.parametrize("form", ["json", "text"])
def test_pipe_and_the_ledger(
    tmp_path: Path, server: Liar, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Every kind of failure, and again, when patience is over and the ledger says why."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with liar(context(certified(tmp_path / "tls", "dav.example.org"))) as tls:
        more = f'[log]\nformat = "{form}"\nlevel = "debug"\n{accounts(tmp_path, server, tls)}'
        config = configuration(tmp_path, more, f"sqlite:///{tmp_path}/ledger.db")
        piped = [_pipe(config) for _ in range(2)]
    assert [run.returncode for run in piped] == [os.EX_TEMPFAIL, os.EX_OK], piped[-1].stderr
    kept = _kept(tmp_path / "ledger.db")
    assert leaks(*(run.stdout + run.stderr for run in piped), *kept) == []
    # The failures were those that are meant.
    told = "\n".join(kept)
    assert all(ADDRESSES[failure] in told for failure in FAILURES)
    signs = (
        "unknown-uid",
        "certificate is not accepted",
        "unexpected",
        "401",
        "403",
        "500",
        "302",
        "login page",
        "no whole answer",
    )
    for sign in signs:
        assert sign in told + piped[0].stderr.decode(), sign
    assert re.search(rb"Invalid header b'[^']*\*\*\*[^']*' \[.*\*\*\*.*\] \*\*\*", piped[0].stderr)
    assert _authorization(server.asked[0]).startswith("Basic ")


def test_serve(tmp_path: Path, server: Liar, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with (
        liar(context(certified(tmp_path / "tls", "dav.example.org"))) as tls,
        serving(tmp_path, server.url, (free_place(),), accounts(tmp_path, server, tls)) as daemon,
    ):
        answers = [_answer(daemon, address) for address in ADDRESSES.values()]
        assert daemon.end() == 0
    assert [code for code, _ in answers] == [250] + [451] * (len(FAILURES) - 2) + [250]  # of `bug` see the pipe
    assert leaks(daemon.log.read_bytes(), repr(answers), *_kept(tmp_path / "ledger.db")) == []
    assert "certificate is not accepted" in daemon.log.read_text()


def _answer(daemon: Daemon, recipient: str) -> tuple[int, bytes]:
    with daemon.connection() as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        lmtp.mail(BOB)
        lmtp.rcpt(recipient)
        return lmtp.data(reply(BOB, "ACCEPTED"))


Run = Callable[..., str]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process and return what it said."""
    monkeypatch.setattr(logs, "begin", lambda _config: None)  # it would outlive the test
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def ran(command: str, config: Path, *more: str | Path, code: int = 0) -> str:
        assert main([command, "-c", str(config), *map(str, more)]) == code
        return "".join(capfd.readouterr())

    return ran


def test_check_explain_and_log(
    tmp_path: Path, server: Liar, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "mail").write_bytes(reply(BOB, "ACCEPTED"))
    with liar(context(certified(tmp_path / "tls", "dav.example.org"))) as tls:
        config = configuration(tmp_path, accounts(tmp_path, server, tls), f"sqlite:///{tmp_path}/ledger.db")
        config.chmod(0o644)
        told = [run("check", config, code=1)]
        for failure in FAILURES:
            code = 0 if failure in ("fine", "bug") else os.EX_TEMPFAIL
            told.append(run("explain", config, "-r", ADDRESSES[failure], tmp_path / "mail", code=code))
        told += [run("log", config), run("log", config, "--json")]
    assert told[0].count("FAIL  calendar of ") == len(FAILURES) - 2
    assert "again.toml: holds a password and its mode 0644" in told[0]
    assert leaks(*told) == []


@pytest.mark.parametrize("command", ["serve", "pipe", "check", "explain", "log"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://imipd:{}@127.0.0.1:1/imipd",
        "postgresql://127.0.0.1:1/imipd?user=imipd&password={}",
        "postgresql://imipd:{}@no-such-host.invalid/imipd",
        "postgresql://imipd:{}@127.0.0.1:1/imipd?sslmode=nonsense",
        "sqlite:////dev/null?password={}",
    ],
)
def test_the_password_of_a_ledger_that_is_away(
    tmp_path: Path, server: Liar, monkeypatch: pytest.MonkeyPatch, run: Run, command: str, url: str
) -> None:
    (tmp_path / "mail").write_bytes(reply(BOB, "ACCEPTED"))
    account = f'url = "{server.url}"\n[[account]]\naddresses = "a@example.org"\npassword = "x"\n'
    config = configuration(tmp_path, account, url.format(MARKS["Ledger"]))
    more: dict[str, tuple[str | Path, ...]] = {
        "pipe": ("-r", "a@example.org"),
        "explain": ("-r", "a@example.org", tmp_path / "mail"),
    }
    monkeypatch.setattr(sys, "stdin", (tmp_path / "mail").open())
    told = run(command, config, *more.get(command, ()), code=1 if command == "check" else os.EX_TEMPFAIL)
    assert "ledger" in told
    assert leaks(told) == []


@pytest.mark.parametrize(
    "broken",
    [
        'url = "https://alice:{}@dav.example.org/"',
        'url = "https://dav.example.org/?token={}"',
        'url = "https://dav.example.org/#{}"',
        'url = "https://alice:{}@dav.example.org:99999/"',
        'url = "ftp://alice:{}@dav.example.org/"',
        'username = "alice:{}"',
        'password = ["{}"]',
        'password_command = "echo {}"',
        'password_command = ["/nonexistent/pass", "{}"]',
        'password_command = ["/bin/sh", "-c", "echo {}; echo {} >&2; exit 1"]',
        'password_env = "{}"',
        'password_credential = "{}"',
        'password_credential = "../{}"',
        'password = "{}"\npassword_env = "{}"',
        'password = "{}"\npasword = "{}"',
        'password = "{}',
        'password = "{}"\npassword = "{}"',
        'timeout = "soon"\n[ledger]\nurl = "mysql://imipd:{}@db.example.org/imipd"',
        '[ledger]\nurl = "postgresql://imipd:{}@x@db.example.org/imipd"',
        '[ledger]\nurl = "postgresql://imipd:x/{}@db.example.org/imipd"',
        '[ledger]\nurl = "postgresql://imipd:x:{}@db.example.org:{}/imipd"',
        '[ledger]\nurl = ["postgresql://imipd:{}@db.example.org/imipd"]',
    ],
)
@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_broken_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, command: str, broken: str
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    caldav = broken.replace("{}", MARKS["Plain"])
    config = tmp_path / "imipd.toml"
    url = "" if "url = " in caldav.partition("[")[0] else 'url = "https://127.0.0.1:1/"\n'
    account = '[[account]]\naddresses = "a@example.org"\n'
    config.write_text(f'[lmtp]\nlisten = "{free_place()}"\n[caldav]\n{url}{caldav}\n{account}')
    told = run(command, config, code=os.EX_CONFIG)
    assert "problem" in told
    assert leaks(told) == []


def test_a_program_that_ends_with_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    """What Python prints at the end is looked through, too; a short secret would blacken words, and stays."""
    veil.conceal([SECRETS["Plain"], "the"], [f"postgresql://imipd:{MARKS['Ledger']}@db.example.org/imipd"])
    error = ValueError(f"the {SECRETS['Plain']} and {MARKS['Ledger']}")
    veil.exception_told(ValueError, error, None)
    told = capsys.readouterr().err
    assert told.endswith("ValueError: the *** and ***\n")


@pytest.mark.parametrize(
    "place",
    ["//imipd:{}@db.example.org/imipd", "/imipd?user=imipd&password={}", "/imipd?sslpassword={}&sslmode=require"],
)
def test_a_password_in_a_url(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(veil, "_hidden", set())
    veil.conceal((), [f"postgresql:{place.format('open%40sesame')}"])
    assert veil.veiled("open@sesame, open%40sesame") == "***, ***"


def _pipe(config: Path) -> "subprocess.CompletedProcess[bytes]":
    words = [sys.executable, "-c", DEFECTIVE, "pipe", "-c", str(config), "-f", BOB, "-r", *ADDRESSES.values()]
    return subprocess.run(words, input=reply(BOB, "ACCEPTED"), capture_output=True, timeout=PATIENCE * 5, check=False)


def _kept(ledger: Path) -> list[str]:
    """Return everything that the ledger holds, as text."""
    with closing(sqlite3.connect(ledger)) as connection:
        return [*connection.iterdump(), ledger.read_bytes().decode("latin-1")]
