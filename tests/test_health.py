"""How each job is, in words: what is wrong first, why, and what to type."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lorchestra.errors import LorchestraError
from lorchestra.health import AlertKind, JobHealth, job_healths, needs_a_human
from lorchestra.jobs.failure import explained, next_step_of
from lorchestra.jobs.record_rate import POINTS_MAX, RecordRate
from lorchestra.spans import span
from tests.project import JOB, new_project, wait_until
from tests.stores.conftest import DUCKDB, Bench
from tests.stores.histories import (
    DAY,
    HOUR,
    GivenRun,
    History,
    daily,
    log_history,
    then,
    this_second,
)


def healths(folder: Path, history: History, configured: Sequence[str] = ()) -> list[JobHealth]:
    bench = Bench(DUCKDB, folder)
    log_history(bench, history, this_second())
    return job_healths(bench.store, configured)


def one(folder: Path, runs: Sequence[GivenRun], *, configured: bool = True) -> JobHealth:
    [health] = healths(folder, {"mail": runs}, ["mail"] if configured else [])
    return health


FAILED = GivenRun(ago=HOUR, end="failed")
SLOW = then(daily(5, last=DAY), GivenRun(ago=HOUR, seconds=90))
QUIET = then(daily(8, last=DAY), GivenRun(ago=HOUR, new=0))


# Which jobs, and in which order


def test_what_is_wrong_comes_first(tmp_path: Path) -> None:
    """By how bad it is, then by name; what never ran, or is of the past, is there and comes last."""
    history = {
        "a": daily(3),
        "b": SLOW,
        "c": QUIET,
        "d": then(daily(6, last=DAY), GivenRun(ago=HOUR, end=None)),
        "e": daily(6, last=3 * DAY),
        "g": [FAILED],
        "f": [FAILED],
        "h": [GivenRun(ago=2, end=None)],
    }
    past = {"past": daily(3, last=40 * DAY)}
    found = healths(tmp_path, history | past, [*history, "z", "y"])
    assert [(health.job_name, health.state) for health in found] == [
        ("f", "failing"),
        ("g", "failing"),
        ("e", "late"),
        ("d", "running long"),
        ("c", "quiet"),
        ("b", "slow"),
        ("h", "running"),
        ("a", "ok"),
        ("y", "never ran"),
        ("z", "never ran"),
        ("past", "retired"),
    ]
    assert needs_a_human(found)
    assert not needs_a_human(found[3:])
    assert needs_a_human(found[2:3])
    for health in found:
        assert health.state in {alert.kind for alert in health.alerts} or not health.alerts


def test_a_store_without_tables_knows_of_no_run(tmp_path: Path) -> None:
    """The configured jobs never ran, whether there is no file or an empty one; nothing is made."""
    bench = Bench(DUCKDB, tmp_path)
    expected = [
        JobHealth(job_name=name, configured=True, state="never ran", alerts=(), runs=()) for name in "ab"
    ]
    assert job_healths(bench.store, ["b", "a"]) == expected
    assert expected[0].last_run is None
    assert list(tmp_path.iterdir()) == []
    bench.run_sql("SELECT 1")
    assert job_healths(bench.store, ["b", "a"]) == expected
    bench.store.create_tables()
    assert job_healths(bench.store, ["b", "a"]) == expected
    assert job_healths(bench.store, []) == []


def test_a_job_knows_its_newest_runs(tmp_path: Path) -> None:
    """At most 50, newest first, with when it last succeeded and what is usual."""
    now = this_second()
    health = one(tmp_path, daily(60, last=HOUR))
    assert len(health.runs) == 50
    started = [run["started_at"] for run in health.runs]
    assert started == sorted(started, reverse=True)
    assert health.last_run is health.runs[0]
    assert (health.usual_gap_seconds, health.usual_seconds, health.usual_new) == (DAY, 10, 40)
    assert health.last_success_at is not None
    assert abs(now - timedelta(seconds=HOUR - 10) - health.last_success_at) < timedelta(minutes=1)
    assert health.age_seconds is not None
    assert HOUR - 60 < health.age_seconds < HOUR + 60


def test_who_is_not_configured_is_never_late(tmp_path: Path) -> None:
    """Another machine may run it, or nobody any more."""
    assert one(tmp_path, daily(10, last=5 * DAY)).state == "late"
    other = one(tmp_path, daily(10, last=5 * DAY), configured=False)
    assert (other.state, other.configured) == ("ok", False)


@pytest.mark.parametrize(("days", "alarms"), [(29, True), (31, False)])
def test_what_is_of_the_past_alarms_nobody(tmp_path: Path, days: int, alarms: bool) -> None:
    """A job that is configured nowhere and has not run for 30 days; one that is configured still does."""
    runs = [GivenRun(ago=days * DAY, end="failed")]
    gone = one(tmp_path, runs, configured=False)
    assert gone.state == ("failing" if alarms else "retired")
    assert bool(gone.alerts) is alarms
    assert one(tmp_path, runs).state == "failing"


# What is said


@pytest.mark.parametrize(
    ("runs", "kind", "message", "step"),
    [
        ([FAILED], AlertKind.FAILING, "It failed.", "lorchestra runs show {last}"),
        (
            then(daily(3, last=DAY), *daily(3, last=HOUR - 60 * 3, end="failed")[-1:], FAILED),
            AlertKind.FAILING,
            "2 runs in a row: It failed.",
            "lorchestra runs show",
        ),
        (
            then([FAILED], GivenRun(ago=2, end=None)),
            AlertKind.FAILING,
            "It failed.",
            "lorchestra runs show",
        ),
        (
            daily(10, last=5 * DAY),
            AlertKind.LATE,
            "last started 5 d ago, usually every 24 h",
            "Type: lorchestra run mail. Then look at what starts it",
        ),
        (
            then(daily(6, last=DAY), GivenRun(ago=3 * HOUR, end=None)),
            AlertKind.RUNNING_LONG,
            "runs for 3 h, usually 10 s",
            "lorchestra runs show {last}",
        ),
        (QUIET, AlertKind.QUIET, "nothing new, usually 40", "lorchestra run mail --dry-run"),
        (SLOW, AlertKind.SLOW, "took 90 s, usually 10 s", "lorchestra runs show {last}"),
    ],
    ids=["failing", "twice", "failing and running", "late", "running long", "quiet", "slow"],
)
def test_what_is_said(
    tmp_path: Path, runs: Sequence[GivenRun], kind: AlertKind, message: str, step: str
) -> None:
    """One sentence with the figures, and the next command with the names in it."""
    health = one(tmp_path, runs)
    [alert] = health.alerts
    assert (alert.kind, alert.message, health.state) == (kind, message, kind.value)
    assert health.last_run is not None
    assert step.format(last=health.last_run["run_id"]) in alert.next_step
    for placeholder in ("JOB", "RUN_ID"):
        assert placeholder not in alert.next_step


def test_a_failure_says_what_its_event_says(tmp_path: Path) -> None:
    """The command of the event itself; else that of its error code; a code of others' is no error."""
    bench = Bench(DUCKDB, tmp_path)
    told = {
        "own": {"next_step": "Wait until tomorrow."},
        "coded": {"error_code": "run.interrupted"},
        "foreign": {"error_code": "acme.broken"},
    }
    for job, payload in told.items():
        run_id = f"{job}-20260101000000"
        bench.log(correlation_id=run_id, object_type="job_run", payload={"job_name": job})
        bench.log(event_type="job.failed", correlation_id=run_id, status="failed", payload=payload)
    said = {health.job_name: health.alerts[0] for health in job_healths(bench.store, [])}
    assert said["own"].message == "it does not say why"
    assert said["own"].next_step == "Wait until tomorrow."
    assert said["coded"].message == "run.interrupted"
    assert said["coded"].next_step == "What was read until then is kept; `lorchestra run coded` goes on."
    assert "lorchestra runs show foreign-20260101000000" in said["foreign"].next_step


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True).filter(lambda name: name != "RUN_ID")


@given(
    job=names,
    code=st.sampled_from([kind.code for kind in [LorchestraError, *LorchestraError.__subclasses__()]]),
)
@example(job="MYJOB", code="run.interrupted")
@example(job="JOB", code="run.interrupted")
@example(job="NIGHT-JOB", code="run.interrupted")
@example(job="JOB.x", code="run.interrupted")
@example(job="x.JOB", code="run.interrupted")
def test_a_name_is_put_in_once(job: str, code: str) -> None:
    """Whatever the name is made of, and however often the command is asked for."""
    run_id = f"{job}-20260101000000"
    plain = next_step_of(code, job_name="plainname", run_id="plainname-20260101000000")
    assert next_step_of(code, job_name=job, run_id=run_id) == plain.replace("plainname", job)
    error = LorchestraError("x", next_step="Type: lorchestra run JOB, or look at RUN_ID. NAME stays.")
    for _ in range(2):
        expected = f"Type: lorchestra run {job}, or look at {run_id}. NAME stays."
        assert explained(error, job, run_id).next_step == expected


# A run that goes on, and what real runs leave

WAITING_JOB = """
import time
from pathlib import Path


def waits(context):
    keys = lambda page: f"acme:page:{page['id']}"
    where = {"source_system": "acme", "object_type": "page", "idem_key_fn": keys}
    context.upsert_objects(objects=[{"id": 1}, {"id": 2}], **where)
    (context.base / "begun").touch()
    while not (context.base / "go-on").exists():
        time.sleep(0.02)
"""


def test_a_run_that_goes_on_says_how_far_it_is(tmp_path: Path) -> None:
    """What it stored can be counted before it has ended; once it has, nothing runs."""
    project = new_project(tmp_path)
    project.configure('[jobs.waits]\nsource_system = "acme"')
    project.install("acme-jobs", WAITING_JOB, jobs=["waits"])
    process = project.start("run", "waits")
    wait_until((tmp_path / "begun").exists, "the job had begun")

    with project.store() as store:
        [health] = job_healths(store, ["waits"])

    (tmp_path / "go-on").touch()
    assert process.wait(30) == 0
    process.communicate()
    assert (health.state, health.alerts) == ("running", ())
    [running] = health.running
    assert health.last_run is not None
    assert (running.run_id, running.started_at) == (health.last_run["run_id"], health.last_run["started_at"])
    assert (running.seen, running.inserted) == (2, 2)
    with project.store() as store:
        [health] = job_healths(store, ["waits"])
    assert (health.state, health.running) == ("ok", ())


def test_a_run_tells_its_rate_and_its_time(tmp_path: Path) -> None:
    """`records_over_time` goes from nothing to all records; `seen_at` is known from the beginning."""
    project = new_project(tmp_path, messages=7)
    project.lorchestra("run", JOB)
    started, ingested, _ = [event["payload"] for event in project.events()]
    points = ingested["records_over_time"]
    assert points[0] == [0.0, 0]
    assert points[-1] == [ingested["duration_seconds"], ingested["records_extracted"]]
    assert ingested["records_extracted"] == 7
    assert started["seen_at"] == ingested["seen_at"]
    assert {row["last_seen"] for row in project.objects()} == {datetime.fromisoformat(started["seen_at"])}


def test_a_failure_keeps_what_the_terminal_said(tmp_path: Path) -> None:
    """What to type stands in the event and so in the view; later it is still known."""
    project = new_project(tmp_path)
    (tmp_path / "takeout.mbox").unlink()
    said = project.lorchestra("run", JOB, code=1).stderr
    failed = project.events()[-1]
    assert failed["event_type"] == "job.failed"
    step = failed["payload"]["next_step"]
    assert step
    assert step in said
    [row] = project.table("SELECT next_step FROM `events_dev.job_runs`")
    assert row["next_step"] == step
    with project.store() as store:
        [health] = job_healths(store, [JOB])
    assert health.alerts[0].next_step == step
    assert health.alerts[0].message == failed["error_message"]


# Points and spans


steps = st.lists(st.tuples(st.floats(0, 1e5, allow_nan=False), st.integers(0, 10**6)), max_size=300)


@given(steps=steps)
@example(steps=[(0.1, 1)] * 300)
@example(steps=[(0.0, 1)] * 300)
@example(steps=[(0.15, 1)] * 300)
@example(steps=[])
def test_a_rate_is_few_points_that_never_fall(steps: list[tuple[float, int]]) -> None:
    """However long it takes: from (0, 0) to the end, times and records in order."""
    rate, seconds, records = RecordRate(), 0.0, 0
    for more_seconds, more_records in steps:
        seconds, records = seconds + more_seconds, records + more_records
        rate.note(seconds, records)
    points = rate.points(seconds, records)
    assert len(points) <= POINTS_MAX + 2
    assert points[0] == (0.0, 0)
    assert points[-1] == (round(seconds, 3), records)
    assert points == sorted(points)
    assert [count for _, count in points] == sorted(count for _, count in points)
    assert len(json.dumps(points)) < 4096


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(seconds=st.floats(0, 1e9))
def test_a_span_is_one_unit_and_near(seconds: float) -> None:
    """Right to a quarter, and never less than two of a unit that is larger than a second."""
    number, unit = span(seconds).split(" ")
    size = {"s": 1, "min": 60, "h": 3600, "d": 86_400}[unit]
    assert abs(float(number) * size - seconds) <= max(size / 2, 0.05) + 1e-6
    if size > 1:
        assert float(number) >= 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.3, "0.3 s"),
        (9.94, "9.9 s"),
        (42, "42 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (26 * 3600, "26 h"),
        (48 * 3600, "2 d"),
        (9 * 86_400, "9 d"),
    ],
)
def test_spans_as_people_say_them(seconds: float, text: str) -> None:
    """The largest unit of which there are two."""
    assert span(seconds) == text


def test_times_are_in_utc(tmp_path: Path) -> None:
    """As all times are."""
    health = one(tmp_path, daily(1))
    assert health.last_success_at is not None
    assert health.last_success_at.utcoffset() == timedelta(0)
    assert health.last_success_at <= datetime.now(UTC)
