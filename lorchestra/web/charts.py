"""Charts as SVG inside of the page, drawn by pygal on the server.

Colours are the stylesheet's, so that they follow light and dark; what pygal puts into a chart for pages of
its own (styles, scripts, comments) is taken out, as the page's policy of content allows none of it.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup
from pygal.style import Style

from lorchestra.spans import span

# For maps of other packages pygal hooks into all imports, in a form that Python warns of.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

#: A number at a place; `link` is a page of ours, `text` what is said of it.
Point = Mapping[str, Any]

_FONT = 13
_SIZE: Mapping[str, Any] = {"width": 520, "height": 190}
#: Of less, the axis has times instead of days.
_SHORT = timedelta(days=2)
_PLAIN: Mapping[str, Any] = {
    "css": (),
    "js": (),
    # For the layout; what is seen is the stylesheet's.
    "style": Style(label_font_size=_FONT, major_label_font_size=_FONT),
    "classes": ("chart",),
    "disable_xml_declaration": True,
    "show_legend": False,
    "margin": 12,
    "max_scale": 6,
    "truncate_label": -1,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart, and its numbers as a table for who cannot see it or wants to copy them."""

    svg: Markup
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def counts_chart(counts: dict[str, int], label: str) -> Chart:
    """A few counts as bars side by side, each in the colour of its name."""
    chart = pygal.HorizontalStackedBar(**_PLAIN, width=520, height=44 + 26 * len(counts))
    chart.x_labels = list(reversed(counts))
    for number, (name, count) in enumerate(reversed(counts.items())):
        values: list[Any] = [None] * len(counts)
        values[number] = count
        chart.add(name, values)
    chart.value_formatter = lambda value: f"{value:,.0f}"
    names = [f"bar-{name.replace(' ', '-')}" for name in reversed(counts)]
    return Chart(
        svg=_svg(chart, label, series=names), columns=("count", "records"), rows=list(counts.items())
    )


def rate_chart(points: Sequence[tuple[float, int]], label: str) -> Chart:
    """Records read by each second of a run."""
    chart = pygal.XY(**_PLAIN, **_SIZE, show_dots=len(points) < 3)
    chart.value_formatter = lambda value: f"{value:,.0f}"
    chart.x_value_formatter = lambda seconds: f"{seconds:.2g} s" if seconds < 10 else span(seconds)
    chart.add("records", [(seconds, records) for seconds, records in points])
    rows = [
        (span(seconds), records, _per_second(before, (seconds, records)))
        for before, (seconds, records) in zip([(0.0, 0), *points], points, strict=False)
        if seconds
    ]
    return Chart(svg=_svg(chart, label, series=["line"]), columns=("after", "records", "a second"), rows=rows)


def durations_chart(
    points: Sequence[Point], usual: tuple[float, float] | None, label: str, columns: Sequence[str]
) -> Chart:
    """How long runs took, over time: successes as a line, failures as dots of their own, and what is usual.

    A point has `at`, `seconds` (None: none that succeeded), `failed`, `text`, `link`.
    """
    chart = pygal.DateTimeLine(**_PLAIN, **_SIZE, show_dots=True, dots_size=3)
    short = len(points) > 1 and points[-1]["at"] - points[0]["at"] < _SHORT
    chart.x_value_formatter = lambda moment: f"{moment:%H:%M}" if short else f"{moment:%m-%d}"
    chart.value_formatter = span
    chart.range = (0, _top([point["seconds"] for point in points], usual))
    series = []
    if usual is not None and points:
        first, last = points[0]["at"], points[-1]["at"]
        low, high = usual
        band = [(first, low), (last, low), (last, high), (first, high), (first, low)]
        chart.add("usual", band, fill=True, show_dots=False)
        series.append("band")
    good = [_dot(point, point["seconds"]) for point in points if point["seconds"] is not None]
    chart.add("seconds", good)
    # On the axis, where nothing covers them.
    bad = [_dot(point, 0) for point in points if point["failed"]]
    chart.add("failed", bad, stroke=False, dots_size=4)
    series += ["line", "failures"]
    rows = [[point["text"], point["seconds"], point["failed"]] for point in points]
    return Chart(svg=_svg(chart, label, series=series), columns=columns, rows=rows)


def volume_chart(days: Sequence[Mapping[str, Any]], names: Mapping[str, str], label: str) -> Chart:
    """Numbers of each day, one above the other: `names` are the keys of `days`, and their titles."""
    chart = pygal.StackedBar(**_PLAIN, **_SIZE, x_labels_major_every=max(1, len(days) // 4))
    chart.show_minor_x_labels = False
    chart.value_formatter = lambda value: f"{value:,.0f}"
    chart.x_labels = [f"{day['day']:%m-%d}" for day in days]
    for name, title in names.items():
        chart.add(
            title, [{"value": day[name], "label": f"{day['day']}: {day[name]:,} {title}"} for day in days]
        )
    series = [f"bar-{title.replace(' ', '-')}" for title in names.values()]
    return Chart(
        svg=_svg(chart, label, series=series),
        columns=("day", *names.values()),
        rows=[[str(day["day"]), *(day[name] for name in names)] for day in days],
    )


def growth_chart(days: Sequence[Mapping[str, Any]], label: str) -> Chart:
    """How many objects there were at the end of each day."""
    chart = pygal.DateLine(**_PLAIN, **_SIZE, show_dots=len(days) < 32, dots_size=2, fill=True)
    chart.x_value_formatter = lambda day: f"{day:%m-%d}"
    chart.value_formatter = lambda value: f"{value:,.0f}"
    chart.add("objects", [(day["day"], day["objects_until_then"]) for day in days])
    rows = [[str(day["day"]), day["objects"], day["objects_until_then"]] for day in days]
    return Chart(svg=_svg(chart, label, series=["area"]), columns=("day", "new", "objects"), rows=rows)


def _dot(point: Point, seconds: float) -> dict[str, Any]:
    dot: dict[str, Any] = {"value": (point["at"], seconds), "label": point["text"]}
    if point.get("link"):
        dot["xlink"] = {"href": point["link"], "target": "_self"}
    return dot


def _per_second(before: tuple[float, int], point: tuple[float, int]) -> int | None:
    seconds = point[0] - before[0]
    return round((point[1] - before[1]) / seconds) if seconds > 0 else None


def _top(values: Iterable[float | None], usual: tuple[float, float] | None) -> float:
    known = [value for value in values if value is not None]
    highest: float = max([*known, *(usual or ()), 1.0])
    return highest * 1.05


def _svg(chart: Any, label: str, *, series: Sequence[str]) -> Markup:
    """The chart's SVG, its series named for the stylesheet."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in {"script", "style"}:
                parent.remove(child)
    for child in root.findall("title"):
        root.remove(child)
    for number, name in enumerate(series):
        for element in root.iter("g"):
            classes = element.get("class", "").split()
            if f"serie-{number}" in classes:
                element.set("class", " ".join([*classes, name]))
    _tell(root)
    root.attrib.pop("id", None)
    for element in root.iter():
        element.attrib.pop("style", None)
    linked = next(root.iter("a"), None) is not None
    root.set("role", "group" if linked else "img")
    root.set("aria-label", label)
    # What ElementTree writes is escaped.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704


def _tell(root: Any) -> None:
    """What pygal keeps for its script becomes what a browser shows of itself: a title of each mark."""
    for mark in list(root.iter()):
        told = {child.get("class", ""): child for child in mark.findall("desc")}
        if not told:
            continue
        texts = {name: child.text for name, child in told.items() if child.text}
        for child in told.values():
            mark.remove(child)
        title = ET.Element("title")
        # A label of ours says it all; else the place and the number.
        place_and_number = [texts[name] for name in ("x_label", "value") if name in texts]
        title.text = texts.get("label", ": ".join(place_and_number))
        mark.insert(0, title)
    for overlay in root.findall("g"):
        if "tooltip-overlay" in overlay.get("class", ""):
            root.remove(overlay)
