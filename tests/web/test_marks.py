"""Marks of runs: each run is in exactly one, and each mark within its span."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lorchestra.web.marks import PIECES, STRIP_HEIGHT, STRIP_RUNS, STRIP_WIDTH, Bar, strip, ticks, timeline
from lorchestra.web.svg import lane_svg, strip_svg

FIRST = datetime(2025, 11, 21, tzinfo=UTC)
LENGTHS = st.sampled_from([timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7)])
HOSTILE = st.text(max_size=20) | st.sampled_from(["<script>", '"><img src=x>', "javascript:x", "a&b?c#d%2f"])


@st.composite
def some_runs(draw: st.DrawFn, length: timedelta) -> list[dict[str, Any]]:
    """Runs that touch the span, as the query gives them: oldest first."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        ended = FIRST + length * draw(st.integers(0, 1500)) / 1000
        started = min(ended - length * draw(st.integers(0, 500)) / 1000, FIRST + length * 0.999999)
        ended = max(ended, started)
        state = draw(st.sampled_from(["succeeded", "failed", "running"]))
        runs = state == "running"
        found.append(
            {
                "run_id": f"{draw(HOSTILE)}-{number}",
                "job_name": draw(st.sampled_from(["a", "b", "<i>c"])),
                "state": state,
                "started_at": started,
                "ended_at": None if runs else ended,
                "duration_seconds": None if runs else (ended - started).total_seconds(),
                "inserted": draw(st.none() | st.integers(0, 9)),
            }
        )
    return sorted(found, key=lambda run: run["started_at"])


def runs_of(bar: Bar) -> int:
    return 1 if bar.run_id is not None else int(re.search(r"· (\d+) runs", bar.text)[1])  # type: ignore[index]


@given(st.data(), LENGTHS)
def test_every_run_is_in_exactly_one_mark_of_its_job(data: st.DataObject, length: timedelta) -> None:
    """However many share a piece of time; a mark of several counts them, and no failure is hidden."""
    runs = data.draw(some_runs(length))
    lanes = timeline(runs, FIRST, FIRST + length, FIRST + length)

    assert list(lanes) == sorted({run["job_name"] for run in runs})
    for name, bars in lanes.items():
        of_job = [run for run in runs if run["job_name"] == name]
        assert sum(runs_of(bar) for bar in bars) == len(of_job)
        alone = [bar.run_id for bar in bars if bar.run_id is not None]
        assert len(set(alone)) == len(alone)
        assert set(alone) <= {run["run_id"] for run in of_job}
        assert len(bars) <= PIECES
        some_failed = any(run["state"] == "failed" for run in of_job)
        assert some_failed == any(bar.state == "failed" for bar in bars)


@given(st.data(), LENGTHS)
def test_marks_lie_within_the_span_and_can_be_seen(data: st.DataObject, length: timedelta) -> None:
    runs = data.draw(some_runs(length))
    for bars in timeline(runs, FIRST, FIRST + length, FIRST + length).values():
        for bar in bars:
            assert bar.x >= 0
            assert bar.x + bar.width <= 100.01
            assert bar.width >= 0.3
            assert FIRST <= bar.at <= FIRST + length


@given(st.data(), LENGTHS)
def test_a_strip_has_a_bar_for_each_of_the_newest_runs(data: st.DataObject, length: timedelta) -> None:
    """Oldest left, side by side, none out of the picture, each with the run that it stands for."""
    runs = list(reversed(data.draw(some_runs(length))))
    bars = strip(runs)

    assert [bar.run_id for bar in bars] == [run["run_id"] for run in reversed(runs[:STRIP_RUNS])]
    assert [bar.state for bar in bars] == [run["state"] for run in reversed(runs[:STRIP_RUNS])]
    for before, after in pairwise(bars):
        assert before.x + before.width < after.x
    for bar in bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= STRIP_WIDTH
        assert bar.y >= 0
        assert bar.height > 0
        assert round(bar.y + bar.height, 6) == STRIP_HEIGHT


@given(LENGTHS, st.timedeltas(-timedelta(days=20_000), timedelta(days=2_000_000)))
def test_ticks_are_few_even_and_within_the_span(length: timedelta, since: timedelta) -> None:
    first = FIRST + since
    found = ticks(first, first + length)

    assert 5 <= len(found) <= 14
    assert all(0 <= x < 100 and first <= at < first + length for x, at, _ in found)
    assert len({after[1] - before[1] for before, after in pairwise(found)}) == 1
    assert all(midnight == (f"{at:%H%M%S}" == "000000") for _, at, midnight in found)


@given(st.data(), LENGTHS)
def test_drawn_marks_hold_no_markup_of_others(data: st.DataObject, length: timedelta) -> None:
    """Names and ids are text and parts of addresses, whatever is in them."""
    runs = data.draw(some_runs(length))
    drawn = [
        strip_svg(strip(list(reversed(runs))), "<b>", linked=True),
        *(
            lane_svg(bars, lambda at: f"/timeline?until={at:%Y}")
            for bars in timeline(runs, FIRST, FIRST + length, FIRST).values()
        ),
    ]
    for svg in drawn:
        assert set(re.findall(r"<([a-z]+)", svg)) <= {"svg", "a", "title", "rect"}
        for address in re.findall(r'href="([^"]*)"', svg):
            assert re.fullmatch(r"/run\?id=[A-Za-z0-9._~%-]*|/timeline\?until=\d+", address)
