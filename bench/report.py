"""A run as text, Markdown and JSON, and as a plot; and the page whose table is written from it."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .book import NAMES, Book, Row
from .plan import Plan
from .progress import said
from .stands import versions

ROOT = Path(__file__).parent.parent
PLOTTER = ROOT / ".venv-bench" / "bin" / "python"
BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench has written -->"
REACHED = {True: "yes", False: "**no**", None: ""}


def tell(plan: Plan, book: Book, folder: Path | None) -> int:
    """Print everything, keep it in a folder where one is given, and return the exit code."""
    found = collected(plan, book)
    print(text(found))
    for remark in book.remarks:
        print(f"remark: {remark}")
    for problem in book.problems:
        print(f"FAILED: {problem}")
    if folder and not book.problems:
        write(found, folder)
    return 1 if book.problems else 0


def collected(plan: Plan, book: Book) -> dict[str, Any]:
    """Return the run as it is kept in JSON."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit_of(ROOT),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": _system(),
            "load": round(os.getloadavg()[2], 2),
        },
        "servers": versions(plan.servers),
        "not installed": plan.left_out,
        "rounds": plan.rounds,
        "rows": [_row(row) for row in book.rows],
        "figures": [
            {
                "work": key.work,
                "server": key.server,
                "events": key.events,
                "connections": key.connections,
                "shape": key.shape,
                "contender": contender,
                "per second": _round(figures.rate),
                "lowest": _round(min(figures.rates)),
                "highest": _round(max(figures.rates)),
                "jobs": len(figures.latencies),
                **{f"p{part}": _round(figures.percentile(part / 100)) for part in (50, 95, 99)},
                "cpu ms": _round(sorted(figures.costs)[len(figures.costs) // 2]),
            }
            for (key, contender), figures in book.figures.items()
        ],
        "remarks": book.remarks,
    }


def write(found: Mapping[str, Any], folder: Path) -> None:
    """Keep the JSON, draw the plot, and write the table into the page beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    page = folder / "README.md"
    if page.exists():
        page.write_text(with_tables(page.read_text(), found))
    if PLOTTER.exists():
        plot = Path(__file__).parent / "plot.py"
        subprocess.run([PLOTTER, plot, folder / "figures.json", folder / "rates.svg"], check=True)
    said(f"written to {folder}")


def with_tables(page: str, found: Mapping[str, Any]) -> str:
    """Return the page with the tables of this run between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{markdown(found)}{END}{after}"


def markdown(found: Mapping[str, Any]) -> str:
    """Return facts, rows and figures in Markdown."""
    parts = [f"{_facts(found)}\n", _table(_ROWS, _row_cells(found)), _table(_FIGURES, _figure_cells(found))]
    return "\n" + "\n".join(parts) + "\n"


def text(found: Mapping[str, Any]) -> str:
    """Return the same for a terminal."""
    rows = _aligned(_ROWS, _row_cells(found))
    return (
        f"{_facts(found)}\n\n{rows}\n\n{_aligned(_FIGURES, _figure_cells(found))}\n\n{_table(_ROWS, _row_cells(found))}"
    )


_ROWS = ("what", "median", "lowest and highest", "target", "reached")
_FIGURES = ("case", "who", "a second", "p50 ms", "p95 ms", "p99 ms", "CPU ms")


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "median": _round(row.value),
        "lowest": _round(min(row.values)),
        "highest": _round(max(row.values)),
        "unit": row.unit,
        "at least": row.at_least,
        "at most": row.at_most,
        "reached": row.is_reached,
    }


def _row_cells(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            row["name"],
            f"{row['median']:g} {row['unit']}",
            f"{row['lowest']:g} – {row['highest']:g}",
            _target(row),
            REACHED[row["reached"]],
        )
        for row in found["rows"]
    ]


def _target(row: Mapping[str, Any]) -> str:
    if row["at least"] is not None:
        return f"≥ {row['at least']:g}"
    return "" if row["at most"] is None else f"≤ {row['at most']:g}"


def _figure_cells(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            _case(one),
            one["contender"],
            f"{one['per second']:g}",
            *(f"{one[name]:g}" for name in ("p50", "p95", "p99")),
            f"{one['cpu ms']:g}" if one["cpu ms"] else "",
        )
        for one in found["figures"]
    ]


def _case(one: Mapping[str, Any]) -> str:
    where = f"{one['work']} on {NAMES[one['server']]}, {one['events']:,} events" if one["server"] else one["work"]
    return ", ".join(part for part in (where, one["shape"], f"{one['connections']} conn.") if part)


def _facts(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    servers = ", ".join(f"{NAMES[name]} {version}" for name, version in found["servers"].items())
    return (
        f"Commit {found['commit']}, {found['date']}: {machine['cores']} cores, {machine['system']},"
        f" Python {machine['python']}; {servers}; medians of {found['rounds']} rounds, load {machine['load']}."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )


def _round(value: float) -> float:
    """Return three significant digits."""
    return float(f"{value:.3g}")


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def commit_of(checkout: Path) -> str:
    """Return what is checked out there, and whether its programs were changed since."""
    commit = _git(checkout, "describe", "--always", "--exclude=*") or "unknown"
    return f"{commit} and changes" if _git(checkout, "status", "--porcelain", "src", "bench") else commit


def _git(checkout: Path, *words: str) -> str:
    if not shutil.which("git"):
        return ""
    command = ["git", "-c", "safe.directory=*", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout).stdout.strip()
