"""Marks of runs drawn by hand: the strip of a job's newest runs, and the timeline of all jobs.

A run is a bar; its colour is its state, its length how long it took. Places are numbers of an SVG.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from lorchestra.spans import span

STRIP_RUNS = 30
STRIP_HEIGHT = 28
_BAR_WIDTH, _BAR_GAP = 5, 2
STRIP_WIDTH = STRIP_RUNS * (_BAR_WIDTH + _BAR_GAP)
_BAR_MIN = 4.0
#: A span of time is looked at in so many pieces: runs of a job in one piece become one mark.
PIECES = 120
#: The least width of a mark, in per cent.
_MARK_MIN = 0.35
_STATES = ("failed", "running", "succeeded")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One run, or several of one piece of time: place and size, state, and what is said of it."""

    x: float
    y: float
    width: float
    height: float
    state: str
    text: str
    #: The run; None for several.
    run_id: str | None
    #: When the first began, for looking closer.
    at: datetime


def strip(runs: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """The newest runs of a job (newest first), oldest to the left; the highest is the longest of them."""
    shown = list(reversed(runs[:STRIP_RUNS]))
    longest = max((run["duration_seconds"] or 0 for run in shown), default=0) or 1
    left = (STRIP_RUNS - len(shown)) * (_BAR_WIDTH + _BAR_GAP)
    bars = []
    for number, run in enumerate(shown):
        share = (run["duration_seconds"] or 0) / longest
        height = round(
            _BAR_MIN + (STRIP_HEIGHT - _BAR_MIN) * (1.0 if run["state"] == "running" else share), 1
        )
        bars.append(
            Bar(
                x=left + number * (_BAR_WIDTH + _BAR_GAP),
                y=STRIP_HEIGHT - height,
                width=_BAR_WIDTH,
                height=height,
                state=run["state"],
                text=run_text(run),
                run_id=run["run_id"],
                at=run["started_at"],
            )
        )
    return bars


def strip_text(runs: Sequence[Mapping[str, Any]]) -> str:
    """What a strip shows, in words."""
    shown = runs[:STRIP_RUNS]
    counts = {state: sum(run["state"] == state for run in shown) for state in _STATES}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"The last {len(shown)} runs: {said}" if len(shown) > 1 else f"The last run: {said}"


def timeline(
    runs: Sequence[Mapping[str, Any]], first: datetime, last: datetime, now: datetime
) -> dict[str, list[Bar]]:
    """For each job, sorted by name, its runs in a span of time; x and width are per cent of it."""
    of_jobs: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        of_jobs.setdefault(run["job_name"], []).append(run)
    return {name: list(_bars(of_job, first, last - first, now)) for name, of_job in sorted(of_jobs.items())}


def ticks(first: datetime, last: datetime) -> list[tuple[float, datetime, bool]]:
    """Places (per cent) and times of an axis; the last of each says whether a day begins there."""
    length = last - first
    days = timedelta(days=1 + length.days // 13)
    steps = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=3))
    step = next((one for one in steps if length / one <= 13), days)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    moment = midnight + step * -(-(first - midnight) // step)
    while moment < last:
        found.append(((moment - first) / length * 100, moment, moment.hour == moment.minute == 0))
        moment += step
    return found


def run_text(run: Mapping[str, Any]) -> str:
    """A run in a line."""
    parts = [f"{run['started_at']:%Y-%m-%d %H:%M} UTC", run["state"]]
    if run["duration_seconds"] is not None:
        parts.append(span(run["duration_seconds"]))
    if run["inserted"] is not None:
        parts.append(f"{run['inserted']:,} new")
    return " · ".join(parts)


def _bars(
    runs: Sequence[Mapping[str, Any]], first: datetime, length: timedelta, now: datetime
) -> Iterator[Bar]:
    piece = length / PIECES
    for group in _by_piece(runs, first, piece):
        begin = max(group[0]["started_at"], first)
        end = min(max(_end(run, now) for run in group), first + length)
        # Also what began just now is seen.
        x = round(min((begin - first) / length * 100, 100 - _MARK_MIN), 3)
        states = {run["state"] for run in group}
        one = group[0] if len(group) == 1 else None
        yield Bar(
            x=x,
            y=4,
            width=round(min(max((end - begin) / length * 100, _MARK_MIN), 100 - x), 3),
            height=16,
            state=next((state for state in _STATES if state in states), group[0]["state"]),
            text=run_text(one) if one else _group_text(group),
            run_id=one["run_id"] if one else None,
            at=begin,
        )


def _by_piece(
    runs: Sequence[Mapping[str, Any]], first: datetime, piece: timedelta
) -> Iterator[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    number = None
    for run in runs:
        here = max(0, (run["started_at"] - first) // piece)
        if group and here != number:
            yield group
            group = []
        number = here
        group.append(run)
    if group:
        yield group


def _end(run: Mapping[str, Any], now: datetime) -> datetime:
    end, start = cast("datetime", run["ended_at"] or now), cast("datetime", run["started_at"])
    return max(end, start)


def _group_text(group: Sequence[Mapping[str, Any]]) -> str:
    failed = sum(run["state"] == "failed" for run in group)
    said = f", {failed} failed" if failed else ""
    return f"{group[0]['started_at']:%Y-%m-%d %H:%M} UTC · {len(group)} runs{said} · look closer"
