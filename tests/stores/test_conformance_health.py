"""What every store promises of the quiet guard: what is unusual for a job, and that nothing else alarms."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lorchestra.health import job_healths
from lorchestra.model import Event
from lorchestra.queries import internal_query, named_query
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores.base import query_rows
from tests.stores.conftest import DUCKDB, SOURCE, Bench

FLAGS = ("is_failing", "is_late", "is_slow", "runs_long", "is_quiet")
MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True, kw_only=True)
class GivenRun:
    """A run that began so many seconds ago; `end` is None while it runs."""

    ago: int
    end: str | None = "completed"
    seconds: float = 10
    new: int = 40
    unchanged: int = 0
    #: `limit` or `retry_of`: it read a part only.
    part: str | None = None
    #: In place of an id of our own.
    run_id: str | None = None

    def started_at(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.ago)

    def id_of(self, job: str, now: datetime) -> str:
        return self.run_id or f"{job}-{self.started_at(now):%Y%m%d%H%M%S}"

    def events(self, job: str, now: datetime) -> list[Event]:
        of_job = {"job_name": job, "package_name": "lorchestra"}
        took = {"duration_seconds": self.seconds}
        counts = {"records_extracted": self.new + self.unchanged, "inserted": self.new}
        parameters = {"limit": None, "since": "-7d"} | ({self.part: 3} if self.part else {})
        told: list[tuple[str, dict[str, Any]]] = [("job.started", of_job | {"parameters": parameters})]
        if self.end is not None:
            told.append((f"ingestion.{self.end}", counts | {"unchanged": self.unchanged} | took))
            told.append((f"job.{self.end}", of_job | took))
        began = self.started_at(now)
        return [
            replace(
                make_event(
                    event_type=kind,
                    source_system=SOURCE if kind.startswith("ingestion") else "lorchestra",
                    object_type="email" if kind.startswith("ingestion") else "job_run",
                    correlation_id=self.id_of(job, now),
                    status="failed" if kind.endswith("failed") else "ok",
                    error_message="It failed." if kind.endswith("failed") else None,
                    payload=payload,
                ),
                created_at=began if kind == "job.started" else began + timedelta(seconds=self.seconds),
            )
            for kind, payload in told
        ]


History = Mapping[str, Sequence[GivenRun]]


def this_second() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def log_history(bench: Bench, history: History, now: datetime) -> None:
    events = [event for job, runs in history.items() for run in runs for event in run.events(job, now)]
    bench.store.create_tables()
    bench.store.append_events(sorted(events, key=lambda event: event.created_at))


def job_health(bench: Bench) -> dict[str, dict[str, Any]]:
    """The row of each job."""
    rows = query_rows(bench.store, named_query("job_health", bench.store.tables))
    found = {row["job_name"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def unusual(row: Mapping[str, Any]) -> set[str]:
    flags = {name for name in FLAGS if row[name]}
    assert all(row[name] in {True, False} for name in FLAGS)
    assert row["is_unusual"] is bool(flags)
    return flags


# By scenario


def every(step: int, number: int, *, last: int, **run: Any) -> list[GivenRun]:
    """So many runs in steps of so many seconds, the last so long ago."""
    return [GivenRun(ago=last + step * n, **run) for n in reversed(range(number))]


def daily(number: int, *, last: int = 2 * HOUR, **run: Any) -> list[GivenRun]:
    return every(DAY, number, last=last, **run)


def then(runs: Iterable[GivenRun], *more: GivenRun) -> list[GivenRun]:
    return [*runs, *more]


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

MOVING = {"age_seconds", "last_success_at"}


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


def without_moving(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in MOVING}


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


# The rule, said once more

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
