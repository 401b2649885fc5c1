"""Draws answers a second against the size of the calendar: `plot.py FIGURES.json PLOT.svg`, and a PNG beside it.

Run with .venv-bench, which alone has matplotlib; it imports nothing of ours.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

WHO = {
    "floor": ("bare GET and PUT", "#8a8f98", "--", "s"),
    "own LMTP": ("the server's own listener", "#d9822b", "-.", "^"),
    "imipd": ("imipd", "#1f5fae", "-", "o"),
}
"""Label, colour, line and marker of each."""
NAMES = {"radicale": "Radicale", "xandikos": "Xandikos", "cyrus": "Cyrus", "sogo": "SOGo", "davical": "DAViCal"}


def main(figures: Path, plot: Path) -> None:
    """Draw one panel for each server."""
    found = json.loads(figures.read_text())
    rows = [
        one for one in found["figures"] if one["work"] == "replies" and not one["shape"] and one["connections"] == 1
    ]
    servers = list(dict.fromkeys(one["server"] for one in rows))
    if not servers:
        return
    mpl.rcParams.update({"font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "imipd"})
    width = 3.0 * len(servers) + 1
    page, panels = pyplot.subplots(1, len(servers), figsize=(width, 3.6), sharex=True, sharey=True, squeeze=False)
    for panel, server in zip(panels[0], servers, strict=True):
        _draw(panel, [one for one in rows if one["server"] == server], f"{NAMES[server]} {_short(found, server)}")
    panels[0][0].set_xticks(sorted({one["events"] for one in rows}))  # shared by all
    panels[0][0].set_ylabel("answers a second")
    lines = {line.get_label(): line for panel in panels[0] for line in panel.get_lines()}
    page.legend(lines.values(), lines.keys(), loc="upper center", ncols=3, frameon=False)
    page.tight_layout(rect=(0, 0, 1, 0.92))
    page.savefig(plot, metadata={"Date": None})
    page.savefig(plot.with_suffix(".png"), dpi=100, metadata={"Software": None})


def _draw(panel: Axes, rows: list[dict[str, Any]], title: str) -> None:
    for who, (label, colour, style, marker) in WHO.items():
        points = sorted(
            (one["events"], one["per second"], one["lowest"], one["highest"]) for one in rows if one["contender"] == who
        )
        if points:
            events, rates, lowest, highest = zip(*points, strict=True)
            panel.plot(events, rates, style, color=colour, marker=marker, markersize=5, label=label)
            panel.fill_between(events, lowest, highest, color=colour, alpha=0.12, linewidth=0)
    panel.set_title(title, fontsize=10)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("events in the calendar")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    panel.grid(visible=True, which="major", color="#dddddd", linewidth=0.7)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _short(found: dict[str, Any], server: str) -> str:
    return str(found["servers"].get(server, "")).partition("-")[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
