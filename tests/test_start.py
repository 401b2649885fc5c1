"""What the program imports before it does something: each mail of a pipe waits for that."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import niquests
import pytest

from correspondence import ALICE, BOB, UID, meeting, plain, reply
from imipd import served
from servers import Server, radicale

CONFIG = """\
[ledger]
url = "sqlite:///{folder}/ledger.db"
[caldav]
url = "{url}"
[[account]]
addresses = ["{address}"]
user = "alice"
password = "{password}"
"""
ENTRY = "import sys; sys.argv[0] = 'imipd'; from imipd.cli.main import main; sys.exit(main())"
PLAIN = {"imipd", "imipd.address", "imipd.cli", "imipd.cli.main", "imipd.cli.plain", "imipd.look", "imipd.served"}
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.dont_write_bytecode = True

def hook(event, args):
    if event in EVENTS:
        caller = sys._getframe(1)
        while caller and caller.f_code.co_filename.startswith(("<frozen", STDLIB)):
            caller = caller.f_back
        if caller and caller.f_code.co_filename.startswith(HOUSE) and "import" not in caller.f_code.co_name:
            if not str(args[0]).endswith((".py", ".pyc", ".so")):
                print(event, args[0], caller.f_code.co_filename)

EVENTS = "open", "socket.bind", "socket.connect", "socket.getaddrinfo", "subprocess.Popen"
STDLIB = importlib.__file__.rpartition("/importlib/")[0] + "/"
import imipd
HOUSE = imipd.__path__[0]
sys.addaudithook(hook)
for module in pkgutil.walk_packages(imipd.__path__, "imipd."):
    if not module.name.startswith(("imipd.ledger.migrations", "imipd.__main__")):
        importlib.import_module(module.name)
print("imported")
"""
NEVER = {
    *("alembic", "mako"),  # only where the tables have to be changed
    *("dkim", "authres", "publicsuffixlist", "dns", "cryptography", "nacl"),  # where a policy asks for proof
    *("aiosmtpd", "smtplib", "prometheus_client", "http.server", "sdnotify"),  # for a daemon
    *("psycopg", "sqlalchemy.dialects.postgresql"),
    *("rich.console", "imipd.egress.hop"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with radicale(tmp_path_factory.mktemp("radicale")) as running:
        yield running


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    """Write the configuration of somebody whose calendar holds a meeting, and let a pipe have read it long after."""
    settled = {"folder": tmp_path, "url": server.url, "address": ALICE, "password": server.users["alice"]}
    file = tmp_path / "imipd.toml"
    file.write_text(CONFIG.format(**settled))
    imported(file, plain())
    served.remember(str(file), served.Served(10**6, [ALICE], {}), served.Grounds((), (), {}), served.now() + 10**10)
    return file


def imported(config: Path, mail: bytes) -> set[str]:
    """Deliver a mail and return the modules that were imported for it."""
    return ran("-c", ENTRY, "pipe", "-c", str(config), "-r", ALICE, mail=mail)


def ran(*words: str, mail: bytes = b"") -> set[str]:
    """Run an interpreter and return the modules that it has imported."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, input=mail, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stderr.decode().splitlines() if line.startswith("import time:")]
    return {row[2].strip() for row in rows}


def test_a_mail_without_a_calendar_waits_for_next_to_nothing(config: Path) -> None:
    assert imported(config, plain()) - ran("-c", "pass") <= {*PLAIN, "binascii", "collections.abc", "gc", "time"}


def test_a_reply_that_is_written_waits_for_nothing_that_it_has_no_use_for(config: Path, server: Server) -> None:
    login = ("alice", server.users["alice"])
    for method, path, body in (("MKCALENDAR", "", None), ("PUT", f"{UID}.ics", meeting())):
        answer = niquests.request(method, f"{server.url}alice/work/{path}", data=body, auth=login, timeout=10)
        assert answer.status_code == 201
    names = imported(config, reply(BOB, "ACCEPTED"))
    stored = niquests.get(f"{server.url}alice/work/{UID}.ics", auth=login, timeout=10).content
    assert b"PARTSTAT=ACCEPTED" in (stored or b"")
    assert NEVER & names == set()


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["pipe", "--help"]])
def test_who_asks_for_help_waits_for_no_library(words: list[str]) -> None:
    names = ran("-c", ENTRY, *words)
    assert "imipd.cli.arguments" in names
    assert {"pydantic", "sqlalchemy", "structlog", "niquests", "icalendar"} & names == set()


def test_no_room_reads_connects_or_runs_anything_when_it_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "imported\n"
