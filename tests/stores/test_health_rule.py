"""The rule of the quiet guard, said once more in Python: both say the same of any history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lorchestra.queries import internal_query
from lorchestra.stores.base import query_rows
from tests.stores.conftest import DUCKDB, Bench
from tests.stores.histories import (
    DAY,
    HOUR,
    MINUTE,
    GivenRun,
    History,
    job_health,
    log_history,
    this_second,
    unusual,
    without_moving,
)

#: Names that begin like others, or end like a run id.
JOBS = ("a", "a-b", "a-2025", "a2025", "a-20250101000000", "a-b-20250101000000")


def percentile(values: Sequence[float], part: float) -> float:
    """Between the two values that it lies between, in proportion."""
    place = (len(values) - 1) * part
    low = int(place)
    ordered = sorted(values)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def expected_health(runs: Sequence[GivenRun], now: datetime) -> tuple[dict[str, Any], list[float]]:
    """What has to be said of a job, and how far it is from being said otherwise as time goes on."""
    recent = sorted(runs, key=lambda run: run.ago)[:50]
    newest, margins = recent[0], [1e9]
    good = [run for run in recent if run.end == "completed"]
    bad = [run for run in recent if run.end == "failed"]
    whole = [run for run in good if run.part is None]
    last, before = (whole[0], whole[1:31]) if whole else (None, [])
    usual_seconds = median([run.seconds for run in before]) if before else None
    usual_new = median([run.new for run in before]) if before else None
    gaps = [older.ago - newer.ago for newer, older in pairwise(recent)][:30]
    # The day of a run whose gap is known.
    days = {run.started_at(now).date() for run, _ in zip(recent, gaps, strict=False)}
    running = newest.end is None

    late = rhythm = False
    if gaps:
        long, usual = percentile(gaps, 0.9), median(gaps)
        margins.append(abs(newest.ago - 1.5 * long))
        if len(gaps) >= 29:
            margins.append(1e9 if long == usual else 1000 * abs(long - 3 * usual))
        rhythm = (len(gaps) >= 5 and len(days) >= 3) or (len(gaps) >= 29 and long <= 3 * usual)
        late = rhythm and not running and newest.ago > 1.5 * long
    runs_long = False
    if running and usual_seconds is not None and len(before) >= 5:
        margins.append(abs(newest.ago - 3 * usual_seconds - 60))
        runs_long = newest.ago > 3 * usual_seconds + 60
    slow = quiet = False
    if last is not None and len(before) >= 5 and usual_seconds is not None:
        usual_work = median([run.new + run.unchanged for run in before])
        slow = (
            last.seconds > max(3 * usual_seconds, usual_seconds + 5)
            and last.new + last.unchanged <= 3 * usual_work
        )
    if last is not None and len(before) >= 8:
        quiet = last.new == 0 and sum(run.new == 0 for run in before) <= len(before) / 20
    said = {
        "is_failing": bool(bad) and (not good or bad[0].ago < good[0].ago),
        "is_late": late,
        "is_slow": slow,
        "runs_long": runs_long,
        "is_quiet": quiet,
        "usual_seconds": usual_seconds,
        "usual_new": usual_new,
        "usual_gap_seconds": median(gaps) if rhythm else None,
        "last_state": {"completed": "succeeded", "failed": "failed", None: "running"}[newest.end],
        "last_new": None if last is None else last.new,
    }
    return said, margins


@st.composite
def histories(draw: st.DrawFn) -> list[GivenRun]:
    """Runs of a job: in a rhythm or without one, mostly alike, and something at the end."""
    step = draw(st.sampled_from([MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY]))
    uneven = draw(st.booleans())
    usual = draw(st.sampled_from([1, 4, 10, 600]))
    new = draw(st.sampled_from([0, 1, 40]))
    ago = draw(st.sampled_from([10, 90, step // 2, step * 5 // 4, step * 7 // 4, 4 * step, 30 * DAY])) + 7
    number = draw(st.integers(1, 12) | st.integers(28, 34) | st.integers(49, 54))
    spoilt = draw(st.sets(st.integers(0, number - 1), max_size=3))
    runs = []
    for n in range(number):
        is_odd = n in spoilt or (n == 0 and draw(st.booleans()))
        runs.append(
            GivenRun(
                ago=ago,
                end=draw(st.sampled_from(["completed", "completed", "failed", None]))
                if is_odd
                else "completed",
                seconds=draw(st.sampled_from([0.5, 2, 3 * usual, 3 * usual + 6, 20 * usual]))
                if is_odd
                else usual,
                new=draw(st.sampled_from([0, 1, 500])) if is_odd else new,
                part=draw(st.sampled_from([None, None, "limit", "retry_of"])) if is_odd else None,
                unchanged=draw(st.sampled_from([0, 10])),
            )
        )
        # Never two in the same second.
        ago += step * draw(st.sampled_from([1, 1, 2, 5])) if uneven else step
    return runs


given_histories = st.dictionaries(st.sampled_from(JOBS), histories(), min_size=1, max_size=4)
laws = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
    print_blob=True,
)


@laws
@given(history=given_histories)
def test_the_rule_is_what_it_is_said_to_be(tmp_path: Path, history: History) -> None:
    """Every answer is that of a second telling; the newest runs and a job's own answer agree with it."""
    now = this_second()
    expected = {job: expected_health(runs, now) for job, runs in history.items()}
    # The rule is asked some seconds later.
    assume(all(min(margins) > 30 for _, margins in expected.values()))
    bench = Bench(DUCKDB, tmp_path)
    log_history(bench, history, now)

    found = job_health(bench)

    assert {job: {name: row[name] for name in expected[job][0]} for job, row in found.items()} == {
        job: said for job, (said, _) in expected.items()
    }
    for job, row in found.items():
        unusual(row)
        newest = min(history[job], key=lambda run: run.ago)
        assert (row["last_run"], row["last_started_at"]) == (newest.id_of(job, now), newest.started_at(now))
    check_overview(bench, found)
    check_ending_runs(bench, history, now)


def check_overview(bench: Bench, found: Mapping[str, Mapping[str, Any]]) -> None:
    """The newest 50 runs of each job as `job_runs` has them, and beside the newest what `job_health` says."""
    view = bench.rows("SELECT * FROM `events_dev.job_runs` ORDER BY started_at DESC, run_id DESC")
    seen = query_rows(bench.store, internal_query("overview", bench.store.tables))
    assert [(row["started_at"], row["run_id"]) for row in seen] == sorted(
        ((row["started_at"], row["run_id"]) for row in seen), reverse=True
    )
    for job, health in found.items():
        runs = [row for row in seen if row["job_name"] == job]
        wanted = [row for row in view if row["job_name"] == job][:50]
        assert [{name: row[name] for name in row if name in wanted[0]} for row in runs] == [
            {name: row[name] for name in row if name in runs[0]} for row in wanted
        ]
        for row in runs[1:]:
            assert {row[name] for name in health if name != "job_name"} == {None}
        assert without_moving({name: runs[0][name] for name in health}) == without_moving(health)
    assert {row["job_name"] for row in seen} == set(found)


def check_ending_runs(bench: Bench, history: History, now: datetime) -> None:
    """What `run_health` says of the newest run of each job is what is said of the job once it has ended."""
    before = {}
    for job, runs in history.items():
        newest = min(runs, key=lambda run: run.ago)
        if newest.end is None:
            given_values = {"job": job, "run_id": newest.id_of(job, now), "seconds": 7.5}
            [before[job]] = query_rows(
                bench.store, internal_query("run_health", bench.store.tables), given_values
            )
            bench.log(
                event_type="job.completed",
                object_type="job_run",
                correlation_id=newest.id_of(job, now),
                payload={"job_name": job, "duration_seconds": 7.5},
            )
    after = job_health(bench)
    for job, row in before.items():
        assert without_moving(row) == without_moving(after[job])
