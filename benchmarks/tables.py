"""The tables of the page, each from the report of one part, and the sentences that only figures can say."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from benchmarks.comparing import AGAIN, CHANGED, FIRST
from benchmarks.environments import OURS, RAW
from benchmarks.events import RUN, TRACKED, UNTRACKED

Report = Mapping[str, Any]

_ORDER = {FIRST: 0, AGAIN: 1, CHANGED: 2}
_MAILBOXES = {"mixed": "a mailbox", "text": "lists, text alone"}
_COLUMNS = ("seconds", "of raw", "processor, of raw", "peak memory, MB", "file, MB")
_LONGEST = 120
_WIDTH = 120


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A table whose first columns are texts, and the others numbers."""
    rules = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rules, *rows))


def upsert(report: Report) -> str:
    """Both works, and who could not take part."""
    told = [f"{_medians(report)} {_versions(report)}"]
    for work in report["works"]:
        mean = work["bytes"] / work["messages"] / 1000
        told.append(f"### {work['messages']:,} messages of {mean:.1f} KB ({_mb(work['bytes'])} MB)")
        rows = sorted(work["results"], key=lambda one: _ORDER[one["step"]])
        told.append(table(("", "", *_COLUMNS), [(one["step"], *_compared(one)) for one in rows], texts=2))
    failed = [
        (name, f"{work['messages']:,} messages: {why}")
        for work in report["works"]
        for name, why in work["failed"].items()
    ]
    failed += report["unable"].items()
    return "\n\n".join([*told, *_not_measured(failed)])


def shapes(report: Report) -> str:
    """A row for each shape, contender and step."""
    rows = [
        (f"{shape['objects']:,} {shape['shape']}, {_mb(shape['bytes'])} MB", one["step"], *_compared(one))
        for shape in report["shapes"]
        for one in shape["results"]
    ]
    return f"{_medians(report)}\n\n{table(('', '', '', *_COLUMNS), rows, texts=3)}"


def growth(report: Report) -> str:
    """Both curves, and how far they rise."""
    tables, batches = report["tables"], report["batches"]
    first, last = tables[0], tables[-1]
    rises = [f"{_rise(tables, OURS.name, step):.2f} times as long ({step})" for step in (FIRST, AGAIN)]
    over_tables = (
        f"{_medians(report)} Between a table of {first['rows']:,} rows and one of {last['rows']:,},"
        f" {report['messages']:,} messages take lorchestra {' and '.join(rises)}; the raw insert, which"
        f" looks at nothing that is there, takes {_rise(tables, RAW.name, FIRST):.2f} times as long."
    )
    over_batches = (
        f"{batches[-1]['messages'] / batches[0]['messages']:.0f} times the messages at once, into an empty"
        f" table, take lorchestra {_rise(batches, OURS.name, FIRST):.1f} times as long ({FIRST}) and"
        f" {_rise(batches, OURS.name, AGAIN):.1f} times ({AGAIN}); the raw insert takes"
        f" {_rise(batches, RAW.name, FIRST):.1f} times. The start of a process is in all of them."
    )
    told = [_filled(over_tables), _curve("rows there", "rows", tables)]
    told += [_filled(over_batches), _curve("messages", "messages", batches)]
    return "\n\n".join(told)


def seconds_of(point: Report, contender: str, step: str) -> float:
    """What a contender took for a step at one point of a curve."""
    [found] = [
        one["seconds"] for one in point["results"] if (one["contender"], one["step"]) == (contender, step)
    ]
    return float(found)


def _rise(points: Sequence[Report], contender: str, step: str) -> float:
    return seconds_of(points[-1], contender, step) / seconds_of(points[0], contender, step)


def _curve(title: str, name: str, points: Sequence[Report]) -> str:
    turns = ((RAW.name, FIRST), (OURS.name, FIRST), (OURS.name, AGAIN))
    head = [title, *(f"{contender}, {step}, s" for contender, step in turns), "lorchestra, peak memory, MB"]
    rows = []
    for point in points:
        peak = max(one["peak_bytes"] for one in point["results"] if one["contender"] == OURS.name)
        rows.append(
            [f"{point[name]:,}", *(f"{seconds_of(point, *turn):.2f}" for turn in turns), _mb(peak)],
        )
    return table(head, rows, texts=0)


def memory(report: Report) -> str:
    """Peaks at one and at ten times the messages."""
    loads = report["loads"]
    rows = [
        (
            one["contender"],
            f"{one['messages']:,}",
            _mb(one["bytes"]),
            f"{one['seconds']:.1f}",
            _mb(one["peak_bytes"]),
            _mb(one["file_bytes"]),
        )
        for one in loads
    ]
    head = ("", "messages", "MB", "seconds", "peak memory, MB", "file, MB")
    told = [table(head, rows)]
    peaks = {(one["contender"], one["scale"]): one["peak_bytes"] for one in loads}
    scale = max(one["scale"] for one in loads)
    rises = [
        f"{peaks[contender.name, scale] / peaks[contender.name, 1]:.2f} times ({contender.name})"
        for contender in (OURS, RAW)
        if {(contender.name, scale), (contender.name, 1)} <= peaks.keys()
    ]
    if rises:
        raised = f"{scale} times the messages raise the peak of memory to {' and '.join(rises)}."
        told.insert(0, _filled(raised))
    failed = [
        (one["contender"], f"{one['messages']:,} messages: {one['why']}") for one in report["failed_loads"]
    ]
    return "\n\n".join([*told, *_not_measured(failed)])


def events(report: Report) -> str:
    """What the events of a run add to its work."""
    names = {UNTRACKED: "the work alone", TRACKED: "with three events by `log_event()`", RUN: f"`{RUN}`"}
    rows = [
        (
            names[one["contender"]],
            f"{one['seconds'] * 1000:,.0f}",
            f"{one['cpu_seconds'] * 1000:,.0f}",
            *(
                "" if one["contender"] == UNTRACKED else f"{one[name] * 1000:+,.0f}"
                for name in ("more_seconds", "more_cpu_seconds")
            ),
        )
        for one in report["results"]
    ]
    head = ("", "ms", "processor, ms", "more, ms", "more processor, ms")
    return f"{_medians(report)}\n\n{table(head, rows)}"


def runs(report: Report) -> str:
    """Commands over a log of many events."""
    rows = [
        (_as_code(one["contender"]), f"{one['seconds']:.2f}", f"{one['ratio']:.1f}")
        for one in report["results"]
    ]
    told = f"{report['events']:,} events. {_medians(report)}"
    return f"{told}\n\n{table(('', 'seconds', 'of Click'), rows)}"


def bigquery(report: Report) -> str:
    """What the client's process took."""
    rows = [
        (
            one["contender"].replace("upsert_objects()", "`upsert_objects()`"),
            f"{one['seconds']:.2f}",
            f"{one['ratio']:.2f}",
            f"{one['cpu_seconds']:.2f}",
            f"{one['cpu_ratio']:.2f}",
            _mb(one["peak_bytes"]),
        )
        for one in report["results"]
    ]
    head = ("", "seconds", "of Google's", "processor, s", "of Google's", "peak memory, MB")
    told = f"{report['messages']:,} messages, {_mb(report['bytes'])} MB. {_medians(report)}"
    return f"{told}\n\n{table(head, rows)}"


def mail(report: Report) -> str:
    """Mailboxes of one and of ten times the size, each read by both programs."""
    rows = [
        (
            _MAILBOXES.get(one["work"], one["work"]),
            name,
            _mb(one["file_bytes"]),
            f"{program['messages']:,}",
            f"{program['messages_a_second']:,}",
            # The ratios compare the two programs, so they stand once.
            *((f"{one['ratio']:.2f}", f"{one['cpu_ratio']:.2f}") if name == OURS.name else ("", "")),
            _mb(program["peak_bytes"]),
        )
        for one in report["comparisons"]
        for name, program in one["programs"].items()
    ]
    head = ("", "", "MB", "messages", "a second", "times as fast", "by processor time", "peak memory, MB")
    return table(head, rows, texts=2)


TABLES: Mapping[str, Callable[[Report], str]] = MappingProxyType(
    {
        "upsert": upsert,
        "shapes": shapes,
        "growth": growth,
        "memory": memory,
        "events": events,
        "runs": runs,
        "bigquery": bigquery,
        "mail": mail,
    }
)


def _compared(one: Report) -> tuple[str, ...]:
    return (
        one["contender"],
        f"{one['seconds']:.2f}",
        f"{one['ratio']:.2f}",
        f"{one['cpu_ratio']:.2f}",
        _mb(one["peak_bytes"]),
        _mb(one["file_bytes"]),
    )


def _as_code(command: str) -> str:
    if command.startswith("a "):
        return command
    name, comma, rest = command.partition(",")
    return f"`{name}`{comma}{rest}"


def _medians(report: Report) -> str:
    return "One round." if report["rounds"] == 1 else f"Medians of {report['rounds']} rounds."


def _versions(report: Report) -> str:
    return ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + "."


def _not_measured(failed: Sequence[tuple[str, str]]) -> list[str]:
    """Who failed, and why; nothing where nobody did."""
    lines = [f"- **{name}**: {why[:_LONGEST]}" for name, why in failed]
    return ["\n".join(["Not measured:", "", *lines])] if lines else []


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH)


def _mb(number: float) -> str:
    return f"{number / 1e6:,.0f}"
