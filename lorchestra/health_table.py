"""How the jobs are, as a table for people; what is wrong stands first, and below the table what to do."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lorchestra.health import NEEDS_A_HUMAN, AlertKind, JobHealth, RunningRun
from lorchestra.spans import span
from lorchestra.terminal import cell, one_line

BARS = "▁▂▃▄▅▆▇█"
FAILED = "\N{MULTIPLICATION SIGN}"
UNFINISHED = "…"
_BAD, _ODD, _GOOD, _BUSY = "red", "yellow", "green", "cyan"


def health_table(healths: Sequence[JobHealth]) -> RenderableType:
    """All jobs, what runs, and what needs a human."""
    now = datetime.now(UTC)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="none", show_edge=False)
    # What is too long for the terminal is the job's name; below the table it stands whole.
    table.add_column("job", overflow="ellipsis")
    for title in ("state", "last run", "last success"):
        table.add_column(title, no_wrap=True)
    for one in healths:
        name = Text(cell(one.job_name), no_wrap=True, overflow="ellipsis")
        table.add_row(name, _state(one), Text(_last_run(one, now)), Text(_last_success(one, now)))
    parts: list[RenderableType] = [table]
    running = [(one, run) for one in healths for run in one.running]
    if running:
        parts += [Text(), Text("running")]
        parts += [Padding(Text(_progress(one, run, now)), (0, 0, 0, 2), expand=False) for one, run in running]
    told = [(one, alert) for one in healths for alert in one.alerts]
    for one, alert in told:
        text = Text(f"{one_line(one.job_name)}: {alert.kind}: ", style=_colour(alert.kind))
        text.append(one_line(alert.message), style="default")
        parts += [Text(), text, Padding(Text(one_line(alert.next_step)), (0, 0, 0, 2), expand=False)]
    return Group(*parts)


def job_lines(one: JobHealth) -> RenderableType:
    """How the last runs of one job were."""
    pairs = [
        ("state", _state(one)),
        ("last success", Text(f"{cell(one.last_success_at)} UTC" if one.last_success_at else "never")),
        ("usually", Text(", ".join(_usually(one)) or "not known yet")),
        ("last runs", duration_bars(one.runs)),
    ]
    lines = [Text(f"{name:<14}").append(text) for name, text in pairs]
    lines += [Text(f"{alert.kind}: {one_line(alert.message)}") for alert in one.alerts]
    return Group(Text(), *lines)


def _usually(one: JobHealth) -> Iterator[str]:
    if one.usual_seconds is not None:
        yield f"takes {span(one.usual_seconds)}"
    if one.usual_new is not None:
        yield f"{one.usual_new:g} new"
    if one.usual_gap_seconds is not None:
        yield f"every {span(one.usual_gap_seconds)}"


def duration_bars(runs: Sequence[Mapping[str, Any]]) -> Text:
    """A bar for the duration of each run, oldest first, the longest at full height; a cross for a failure."""
    longest = max((run["duration_seconds"] or 0 for run in runs), default=0) or 1
    text = Text()
    for run in reversed(runs):
        if run["state"] == "failed":
            text.append(FAILED, style=_BAD)
        elif run["duration_seconds"] is None:
            text.append(UNFINISHED)
        else:
            text.append(BARS[int(run["duration_seconds"] / longest * (len(BARS) - 1))])
    return text


def _state(one: JobHealth) -> Text:
    return Text(one.state, style=_colour(one.state))


def _colour(state: str) -> str:
    if state in set(NEEDS_A_HUMAN):
        return _BAD
    if state in set(AlertKind):
        return _ODD
    return {"ok": _GOOD, "running": _BUSY}.get(state, "none")


def _last_run(one: JobHealth, now: datetime) -> str:
    """The newest run that has ended, and since when; what runs stands below the table."""
    last = next((run for run in one.runs if run["state"] != "running"), None)
    if last is None:
        return "-"
    ago = f"{span(_seconds(now, last['ended_at'] or last['started_at']))} ago"
    if last["state"] != "succeeded":
        return f"{last['state']} {ago}"
    return f"ok {ago}" + (f", {last['inserted']:,} new" if last["inserted"] is not None else "")


def _last_success(one: JobHealth, now: datetime) -> str:
    if one.last_success_at is None:
        return "-"
    usual = f", usually {span(one.usual_gap_seconds)}" if one.usual_gap_seconds is not None else ""
    return f"{span(_seconds(now, one.last_success_at))} ago{usual}"


def _progress(one: JobHealth, run: RunningRun, now: datetime) -> str:
    usual = f", usually {span(one.usual_seconds)}" if one.usual_seconds is not None else ""
    since = span(_seconds(now, run.started_at))
    return f"{one_line(one.job_name)} for {since}{usual}: {run.seen:,} objects seen, {run.inserted:,} new"


def _seconds(now: datetime, moment: datetime) -> float:
    # Clocks of hosts differ.
    return max(0.0, (now - moment).total_seconds())
