"""The table of docs/architecture.md: which room may import which, and which libraries. The table is the house."""

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "imipd"
TABLE = Path(__file__).parent.parent / "docs" / "architecture.md"


@dataclass(frozen=True, slots=True)
class Room:
    """A row of the table."""

    enters: frozenset[str]
    libraries: frozenset[str]
    pure: bool


def rooms() -> dict[str, Room]:
    """Return the rooms that the table names."""
    section = TABLE.read_text().partition("\n## Rooms and walls\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`"): Room(_named(row[2]), _named(row[3]), row[4] == "yes") for row in rows}


def _named(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", cell))


ROOMS = rooms()
PURE = {name for name, room in ROOMS.items() if room.pure}
DOORS = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - {"cli"}
"""Rooms with a door: from outside only the door is entered, except by cli."""
EDGES = {
    "cli/plain.py",  # exit code 75 instead of 1, over which MTAs bounce
    "client.py",  # exit code 75 instead of 1, over which MTAs bounce
    "gateway/deliver.py",  # unknown is temporary: 451
    "ingress/pipe.py",  # exit code 75 instead of 1, over which MTAs bounce
    "itip/moment.py",  # a value of a stranger, read by a library that raises whatever it likes
    "itip/rule.py",
    "itip/lines.py",
    "itip/observance.py",
    "proof/results.py",
    "proof/signature.py",
    "proof/chain.py",
}
IMPURE_MODULES = {
    *("asyncio", "http", "logging", "os", "pathlib", "random", "secrets", "select", "shutil", "smtplib", "socket"),
    *("sqlite3", "ssl", "subprocess", "tempfile", "time", "urllib.request", "uuid"),
}
CLOCKS = {"now", "today", "utcnow"}
FORBIDDEN = {"utils", "helpers", "common", "core", "base", "manager", "service", "processor", "handler", "data", "info"}
DOORPLATES = {"__init__", "__main__"}

# Migrations are scripts that Alembic runs, not modules of the house.
FILES = sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)


def room_of(path: Path) -> str:
    """Return the room that a file is in."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> list[str]:
    """Return the absolute module names that a file imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_the_table_names_every_room() -> None:
    assert set(ROOMS) == {room_of(path) for path in FILES} - DOORPLATES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_what_the_table_allows(path: Path) -> None:
    room = room_of(path)
    if room in DOORPLATES:
        return
    for name in imports_of(path):
        top, *rest = name.split(".")
        if top == "imipd":
            assert room == "cli" or rest[0] in ROOMS[room].enters, f"{room} may not enter {rest[0]}"
        elif top not in sys.stdlib_module_names:
            assert top in ROOMS[room].libraries, f"{room} may not use {top}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_is_entered_by_its_door(path: Path) -> None:
    room = room_of(path)
    if room in ("cli", "__main__"):
        return
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "imipd" and parts[1] in DOORS and len(parts) > 2:
            inside = (SOURCE / parts[1] / f"{parts[2]}.py").exists() and len(parts) > 3
            assert not inside, f"{room} climbs through a window of {parts[1]}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_crossing_shows_in_the_import(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level < 2, "from .x means my room; through a wall it is from imipd.x"
            own = f"imipd.{room_of(path)}"
            assert node.level or not (node.module or "").startswith(f"{own}."), f"{node.module}: my own room is .x"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in PURE], ids=lambda path: path.stem)
def test_a_pure_room_asks_nobody(path: Path) -> None:
    for name in imports_of(path):
        impure = {name, name.split(".")[0], name.rpartition(".")[0]} & IMPURE_MODULES
        assert not impure, f"{name} is not pure"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            assert node.attr not in CLOCKS, f"line {node.lineno}: the clock is an argument"


def test_nobody_enters_cli() -> None:
    for path in FILES:
        if room_of(path) not in ("cli", "__main__"):
            assert not any(name.startswith("imipd.cli.") for name in imports_of(path)), path


def test_everything_is_caught_only_where_a_mail_would_be_lost_otherwise() -> None:
    broad = {str(path.relative_to(SOURCE)) for path in FILES if _catches_everything(path)}
    assert broad == EDGES


def _catches_everything(path: Path) -> bool:
    tree = ast.parse(path.read_text())
    caught = [node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return any(isinstance(kind, ast.Name) and kind.id == "Exception" for kind in caught)


def test_a_name_says_what_it_is() -> None:
    for path in FILES:
        assert path.stem not in FORBIDDEN, path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.name.lower().lstrip("_") not in FORBIDDEN, f"{path}: {node.name}"


def test_files_and_functions_stay_short() -> None:
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, f"{path}: {node.name}"
