"""Draws the plots of the page: `python plots.py FOLDER`, the parts' reports on stdin; prints what it drew.

It runs in an environment that has matplotlib and nothing of ours. Colours are neither light nor dark, and the
ground is transparent, so that the plots can be read on both.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS, RAW = "lorchestra", "raw DuckDB"
FIRST, AGAIN = "first load", "identical re-run"

BLUE, ORANGE, GREY, FAINT = "#2f7fd6", "#d9772b", "#7a828c", "#7a828c55"
#: As wide as a page's column, in inches of 96 pixels.
WIDTH = 8.6

mpl.rcParams.update(
    {
        "svg.hashsalt": "lorchestra",
        # Text stays text: small files, and the reader's own font.
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "lines.linewidth": 2,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "legend.labelcolor"), GREY),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    }
)


def loads(report: dict[str, Any]) -> Figure:
    """Bars of both works: how many times the raw insert each contender takes."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.6), sharey=True, layout="constrained")
    for axes, work in zip(panels, report["works"], strict=True):
        ratios = {(one["contender"], one["step"]): one["ratio"] for one in work["results"]}
        names = [contender for contender, step in ratios if step == FIRST]
        for row, name in enumerate(names):
            for step, place, shade in ((FIRST, -0.2, 1.0), (AGAIN, 0.2, 0.55)):
                ratio = ratios.get((name, step))
                if ratio is None:
                    continue
                colour = BLUE if name == OURS else ORANGE if name == RAW else GREY
                axes.barh(row + place, ratio, height=0.36, color=colour, alpha=shade)
                axes.text(ratio, row + place, f" {ratio:.2f}", va="center", size=9)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(f"{work['messages']:,} messages of {work['bytes'] / work['messages'] / 1000:.0f} KB")
        axes.set_xlabel("times the raw insert")
        axes.margins(x=0.12)
    panels[0].invert_yaxis()
    figure.suptitle("First load (full colour) and identical re-run (pale)", x=0.01, ha="left", size=10.5)
    return figure


def growth(report: dict[str, Any]) -> Figure:
    """Curves over the rows that are there, and over the messages that come, as ratios to the smallest."""
    figure, (over_rows, over_messages) = plt.subplots(1, 2, figsize=(WIDTH, 3.7), layout="constrained")
    rows = [point["rows"] for point in report["tables"]]
    messages = [point["messages"] for point in report["batches"]]
    # None is among the rows, and each of the others is ten times the one before.
    places = range(len(rows))
    _curves(over_rows, places, report["tables"])
    over_rows.set_xticks(places, [_short(number) for number in rows])
    over_rows.set_title(f"{_short(report['messages'])} messages into a table of so many rows")
    _curves(over_messages, messages, report["batches"])
    over_messages.plot(
        messages,
        [number / messages[0] for number in messages],
        color=GREY,
        linewidth=1,
        linestyle=":",
        label="in proportion",
    )
    over_messages.set_xticks(messages, [_short(number) for number in messages])
    over_messages.set_title("So many messages into an empty table")
    for axes in (over_rows, over_messages):
        _floor(axes)
        axes.set_ylabel("times the smallest")
    figure.legend(*over_messages.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _curves(axes: Axes, places: Sequence[int], points: list[dict[str, Any]]) -> None:
    for contender, step, colour, style in (
        (OURS, FIRST, BLUE, "-"),
        (OURS, AGAIN, BLUE, "--"),
        (RAW, FIRST, ORANGE, "-"),
    ):
        seconds = [
            one["seconds"]
            for point in points
            for one in point["results"]
            if (one["contender"], one["step"]) == (contender, step)
        ]
        axes.plot(
            places,
            [one / seconds[0] for one in seconds],
            color=colour,
            linestyle=style,
            marker="o",
            markersize=4,
            label=f"{contender}, {step}",
        )


def memory(report: dict[str, Any]) -> Figure:
    """Curves of memory over the time of a load, a panel for each size."""
    scales = sorted({one["scale"] for one in report["loads"]})
    figure, [panels] = plt.subplots(
        1, len(scales), figsize=(WIDTH, 3.5), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, scale in zip(panels, scales, strict=True):
        for one in report["loads"]:
            if one["scale"] != scale:
                continue
            colour = BLUE if one["contender"] == OURS else ORANGE
            seconds = [at for at, _ in one["course"]]
            held = [size / 1e6 for _, size in one["course"]]
            axes.plot(seconds, held, color=colour, linewidth=1.5, label=one["contender"])
            axes.set_title(f"{one['messages']:,} messages, {one['bytes'] / 1e6:,.0f} MB")
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds")
    for axes in panels:
        _floor(axes)
    panels[0].set_ylabel("resident memory, MB")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _floor(axes: Axes) -> None:
    """From nothing up to what was drawn; called when all is."""
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_ylim(bottom=0)


def _short(number: int) -> str:
    """4,000,000 as 4M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return str(number)


PLOTS: dict[str, Callable[[dict[str, Any]], Figure]] = {"upsert": loads, "growth": growth, "memory": memory}
FILES = {"upsert": "speed-loads.svg", "growth": "speed-growth.svg", "memory": "speed-memory.svg"}


def main() -> None:
    reports = json.load(sys.stdin)
    for part, draw in PLOTS.items():
        if "failed" in reports.get(part, {"failed": ""}):
            continue
        figure = draw(reports[part])
        metadata = dict.fromkeys(("Date", "Creator"))
        figure.savefig(Path(sys.argv[1]) / FILES[part], metadata=metadata, transparent=True)
        plt.close(figure)
        print(part)


if __name__ == "__main__":
    main()
