"""What every store promises of the quiet guard: what is unusual for a job, and that nothing else alarms."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from lorchestra.health import job_healths
from lorchestra.queries import internal_query
from lorchestra.stores.base import query_rows
from tests.stores.conftest import Bench
from tests.stores.histories import (
    DAY,
    HOUR,
    MINUTE,
    GivenRun,
    daily,
    every,
    job_health,
    log_history,
    then,
    this_second,
    unusual,
    without_moving,
)

# By scenario


def with_zeros(number: int, zeros: int) -> list[GivenRun]:
    """Daily runs, some of them without anything new."""
    return [replace(run, new=0 if n < zeros else 40) for n, run in enumerate(daily(number, last=DAY))]


WORKDAYS = [day for day in range(28) if day % 7 < 5]

SCENARIOS: dict[str, tuple[list[GivenRun], set[str]]] = {
    "one run": (daily(1), set()),
    "regular": (daily(20), set()),
    # Failing
    "failed": (then(daily(5, last=DAY), GivenRun(ago=HOUR, end="failed", new=0)), {"is_failing"}),
    "only ever failed": (daily(3, end="failed"), {"is_failing"}),
    "failed and recovered": (then(daily(5, last=DAY, end="failed"), GivenRun(ago=HOUR)), set()),
    "failed and runs again": (
        then(daily(5, last=DAY), GivenRun(ago=HOUR, end="failed"), GivenRun(ago=3, end=None)),
        {"is_failing"},
    ),
    # Late
    "not yet late": (daily(10, last=DAY * 3 // 2 - 3 * MINUTE), set()),
    "late": (daily(10, last=DAY * 3 // 2 + MINUTE), {"is_late"}),
    "late with five gaps": (daily(6, last=2 * DAY), {"is_late"}),
    "not late with four gaps": (daily(5, last=2 * DAY), set()),
    "not late with two days": (every(10 * MINUTE, 20, last=5 * DAY), set()),
    "late with thirty that are alike": (every(10 * MINUTE, 31, last=20 * MINUTE), {"is_late"}),
    "not late with thirty that are not": (
        [GivenRun(ago=11 * HOUR - 10 * MINUTE * (n + 3 * (n // 4))) for n in range(31)],
        set(),
    ),
    "not late over a weekend": (
        [GivenRun(ago=3 * DAY + DAY * (25 - day)) for day in WORKDAYS],
        set(),
    ),
    "late after a weekend": (
        [GivenRun(ago=5 * DAY + DAY * (25 - day)) for day in WORKDAYS],
        {"is_late"},
    ),
    "not late while it runs": (then(daily(10, last=5 * DAY), GivenRun(ago=20, end=None)), set()),
    "late however a run failed": (daily(10, last=3 * DAY, end="failed"), {"is_late", "is_failing"}),
    "late though a run long ago never ended": (
        then([GivenRun(ago=13 * DAY, end=None)], *daily(10, last=3 * DAY)),
        {"is_late"},
    ),
    # Slow
    "three times as long": (then(daily(5, last=DAY), GivenRun(ago=HOUR, seconds=30)), set()),
    "more than three times as long": (then(daily(5, last=DAY), GivenRun(ago=HOUR, seconds=31)), {"is_slow"}),
    "five seconds more": (then(daily(5, last=DAY, seconds=1), GivenRun(ago=HOUR, seconds=6)), set()),
    "more than five seconds more": (
        then(daily(5, last=DAY, seconds=1), GivenRun(ago=HOUR, seconds=6.5)),
        {"is_slow"},
    ),
    "slow with few runs before": (then(daily(4, last=DAY), GivenRun(ago=HOUR, seconds=99)), set()),
    "three times as much to do": (
        then(daily(5, last=DAY), GivenRun(ago=HOUR, seconds=99, unchanged=80)),
        {"is_slow"},
    ),
    "more than three times as much to do": (
        then(daily(5, last=DAY), GivenRun(ago=HOUR, seconds=99, unchanged=81)),
        set(),
    ),
    "slow and recovered": (
        then(daily(5, last=2 * DAY), GivenRun(ago=DAY, seconds=99), GivenRun(ago=HOUR)),
        set(),
    ),
    # Runs long
    "runs": (then(daily(6, last=DAY), GivenRun(ago=80 - 60, end=None)), set()),
    "runs long": (then(daily(6, last=DAY), GivenRun(ago=100, end=None)), {"runs_long"}),
    "runs long with few runs before": (then(daily(5, last=DAY), GivenRun(ago=HOUR, end=None)), set()),
    "ran long until another came": (
        then(daily(6, last=2 * DAY), GivenRun(ago=DAY, end=None), GivenRun(ago=HOUR)),
        set(),
    ),
    # Quiet
    "nothing new": (then(daily(8, last=DAY), GivenRun(ago=HOUR, new=0)), {"is_quiet"}),
    "something new": (then(daily(8, last=DAY), GivenRun(ago=HOUR, new=1)), set()),
    "nothing new with few runs before": (then(daily(7, last=DAY), GivenRun(ago=HOUR, new=0)), set()),
    "nothing new as always": (daily(20, new=0), set()),
    "nothing new as once in eight": (then(with_zeros(8, 1), GivenRun(ago=HOUR, new=0)), set()),
    "nothing new as once in twenty": (then(with_zeros(20, 1), GivenRun(ago=HOUR, new=0)), {"is_quiet"}),
    "nothing new as twice in thirty": (then(with_zeros(30, 2), GivenRun(ago=HOUR, new=0)), set()),
    "nothing new, then something": (
        then(daily(8, last=2 * DAY), GivenRun(ago=DAY, new=0), GivenRun(ago=HOUR)),
        set(),
    ),
    "nothing new, then a failure": (
        then(daily(8, last=2 * DAY), GivenRun(ago=DAY, new=0), GivenRun(ago=HOUR, end="failed")),
        {"is_quiet", "is_failing"},
    ),
    # A part
    "nothing new in a retry": (
        then(daily(8, last=DAY), GivenRun(ago=HOUR, new=0, seconds=99, part="retry_of")),
        set(),
    ),
    "nothing new in a limited run": (
        then(daily(8, last=DAY), GivenRun(ago=HOUR, new=0, part="limit")),
        set(),
    ),
    "nothing new, then a retry": (
        then(daily(8, last=2 * DAY), GivenRun(ago=DAY, new=0), GivenRun(ago=HOUR, part="retry_of")),
        {"is_quiet"},
    ),
    "nothing new where parts had none": (
        then(
            daily(8, last=DAY), *every(HOUR, 8, last=2 * HOUR, new=0, part="limit"), GivenRun(ago=HOUR, new=0)
        ),
        {"is_quiet"},
    ),
    # Trying it out
    "tried out": (
        [
            GivenRun(ago=5 * DAY - 3 * MINUTE * n, seconds=[1, 50, 3][n % 3], new=[400, 0][n % 2])
            for n in range(12)
        ],
        set(),
    ),
    "tried out just now": (every(3 * MINUTE, 12, last=4 * MINUTE), set()),
}
NAMES = {name: f"job{number}" for number, name in enumerate(SCENARIOS)}


def all_scenarios(bench: Bench) -> None:
    log_history(bench, {NAMES[name]: runs for name, (runs, _) in SCENARIOS.items()}, this_second())


@cache
def judged(bench: Bench) -> dict[str, dict[str, Any]]:
    """The rule's answers right after the scenarios were logged: what is asked later is judged otherwise."""
    return job_health(bench)


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_unusual(shared_bench: Callable[[Callable[[Bench], None]], Bench], name: str) -> None:
    """What the rule says, and what it does not say, of a job with this history."""
    bench = shared_bench(all_scenarios)
    assert unusual(judged(bench)[NAMES[name]]) == SCENARIOS[name][1]


def test_what_is_unusual_comes_first(shared_bench: Callable[[Callable[[Bench], None]], Bench]) -> None:
    """One row for each job, then by name."""
    bench = shared_bench(all_scenarios)
    found = list(judged(bench).values())
    assert {row["job_name"] for row in found} == set(NAMES.values())
    assert found == sorted(found, key=lambda row: (not row["is_unusual"], row["job_name"]))


def test_the_rule_can_be_asked_of_an_empty_store(empty_bench: Bench) -> None:
    """Without runs there are no jobs."""
    assert job_health(empty_bench) == {}
    assert query_rows(empty_bench.store, internal_query("overview", empty_bench.store.tables)) == []


def test_a_store_without_tables_has_jobs_that_never_ran(bare_bench: Bench) -> None:
    """Asking how jobs are needs no tables, and makes none."""
    [health] = job_healths(bare_bench.store, ["mail"])
    assert (health.state, health.runs, health.alerts) == ("never ran", (), ())
    assert any(difference.column is None for difference in bare_bench.store.check_tables())


def test_running_runs_say_how_far_they_are(bench: Bench) -> None:
    """Also the one that has stored nothing yet."""
    log_history(bench, {"a": [GivenRun(ago=5, end=None)], "b": daily(2)}, this_second())
    found = {health.job_name: health for health in job_healths(bench.store, [])}
    assert {name: health.state for name, health in found.items()} == {"a": "running", "b": "ok"}
    [running] = found["a"].running
    assert (running.seen, running.inserted) == (0, 0)
    assert found["b"].running == ()


def test_ids_of_others_break_nothing(bench: Bench) -> None:
    """A run id need not be one of ours: too short for a time, without one, or with the name of a job."""
    now = this_second()
    ids = ["x", "1", "manual", "é", "mail", "mail-", "-20260101000000", "20260101000000", str(uuid.uuid4())]
    foreign = [GivenRun(ago=HOUR + n, run_id=run_id) for n, run_id in enumerate(ids)]
    log_history(bench, {"mail": daily(3), "other": foreign}, now)
    # An event that names no job, and one whose run never began.
    bench.log(correlation_id="y", object_type="job_run")
    bench.log(event_type="job.failed", correlation_id="z", status="failed", error_message="x")

    found = job_health(bench)

    assert set(found) == {"mail", "other"}
    assert [unusual(row) for row in found.values()] == [set(), set()]
    assert found["other"]["last_run"] == "x"
    seen = query_rows(bench.store, internal_query("overview", bench.store.tables))
    assert {row["run_id"] for row in seen if row["job_name"] == "other"} == set(ids)
    for run_id in ids:
        given_values = {"job": "other", "run_id": run_id, "seconds": 1.0}
        query_rows(bench.store, internal_query("run_health", bench.store.tables), given_values)


# A run that ends, and one that runs


@pytest.mark.parametrize("seconds", [9.5, 40.0])
def test_the_health_of_an_ending_run_is_that_of_the_ended_run(bench: Bench, seconds: float) -> None:
    """What is said before `job.completed` is logged is what is said after."""
    now = this_second()
    jobs = {"a": [*daily(9, last=DAY), GivenRun(ago=30, end=None)], "a-b": daily(5)}
    log_history(bench, jobs, now)
    run_id = jobs["a"][-1].id_of("a", now)
    counts = {"inserted": 0, "unchanged": 40}
    bench.log(event_type="ingestion.completed", object_type="email", correlation_id=run_id, payload=counts)
    given_values = {"job": "a", "run_id": run_id, "seconds": seconds}

    [before] = query_rows(bench.store, internal_query("run_health", bench.store.tables), given_values)

    bench.log(
        event_type="job.completed",
        object_type="job_run",
        correlation_id=run_id,
        payload={"job_name": "a", "duration_seconds": seconds},
    )
    after = job_health(bench)["a"]
    assert without_moving(before) == without_moving(after)
    assert unusual(after) == ({"is_quiet"} if seconds < 30 else {"is_quiet", "is_slow"})
    assert abs(before["last_success_at"] - after["last_success_at"]) < timedelta(minutes=1)


def test_the_progress_of_running_runs(bench: Bench) -> None:
    """What they stored and saw by now, each for itself; nothing of what others saw."""
    bench.store.create_tables()
    seen: dict[str, datetime] = {}
    for number, run_id in enumerate(["a-20260101000000", "b-20260101000000", "c-20260101000000"]):
        source = f"acct{number}"
        bench.upsert(
            [{"id": "old"}], source_system=source, idem_key_fn=lambda one, s=source: f"{s}:email:{one['id']}"
        )
        if number == 2:
            seen[run_id] = datetime.now(UTC)
            continue
        objects = [{"id": str(n)} for n in range(number + 2)]
        seen[run_id] = bench.upsert(
            [*objects, {"id": "old"}],
            source_system=source,
            correlation_id=run_id,
            idem_key_fn=lambda one, s=source: f"{s}:email:{one['id']}",
        ).seen_at
    for number, (run_id, moment) in enumerate(seen.items()):
        told = {"seen_at": moment.isoformat(), "parameters": {"source_system": f"acct{number}"}}
        bench.log(correlation_id=run_id, object_type="job_run", payload={"job_name": "x", **told})
    # Of a run of before, which did not say when it saw what, nothing is known.
    bench.log(correlation_id="d-20260101000000", object_type="job_run", payload={"job_name": "x"})
    seen["d-20260101000000"] = datetime.now(UTC)

    given_values = {"run_ids": [*seen], "first": datetime.now(UTC) - timedelta(hours=1)}
    rows = query_rows(bench.store, internal_query("running_progress", bench.store.tables), given_values)

    assert {row["run_id"]: (row["seen"], row["inserted"]) for row in rows} == {
        "a-20260101000000": (3, 2),
        "b-20260101000000": (4, 3),
        "c-20260101000000": (0, 0),
        "d-20260101000000": (0, 0),
    }
    assert len(rows) == 4
