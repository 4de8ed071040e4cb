"""What running a job promises: its events, its exit code, and an account of every end it can come to."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.project import JOB, Project, new_project, wait_until

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
MARKER = "secret-marker-4711"

JOBS = f'''
import sys
import time

from lorchestra.errors import DailyQuotaError
from lorchestra.jobs.context import JobResult


def fine(context):
    """Nothing to do, and nothing to say."""


def counts(context):
    return JobResult(counts={{"records_extracted": 2, "inserted": 2}})


def talks(context):
    context.log_event(
        event_type="report.sent", source_system="acme", payload={{"options": dict(context.options)}}
    )
    context.upsert_objects(
        objects=[{{"id": 1}}, {{"id": 2}}],
        source_system="acme",
        object_type="page",
        idem_key_fn=lambda page: f"acme:page:{{page['id']}}",
    )


def raises(context):
    raise ValueError("{MARKER}")


def raises_ours(context):
    raise DailyQuotaError("the quota of today is used up", next_step="Wait until tomorrow.")


def raises_base(context):
    raise BaseException("{MARKER}")


def exits_0(context):
    sys.exit(0)


def exits_3(context):
    sys.exit(3)


def exits_text(context):
    sys.exit("{MARKER}")


def sleeps(context):
    (context.base / "begun").touch()
    time.sleep(60)


def outlives_a_hangup(context):
    (context.base / "begun").touch()
    for _ in range(600):
        if (context.base / "go-on").exists():
            return
        time.sleep(0.05)


def swallows(context):
    """Catches everything that a careless author catches."""
    (context.base / "begun").touch()
    try:
        time.sleep(60)
    except Exception:
        time.sleep(60)
'''
JOB_NAMES = (
    "fine",
    "counts",
    "talks",
    "raises",
    "raises_ours",
    "raises_base",
    "exits_0",
    "exits_3",
    "exits_text",
    "sleeps",
    "outlives_a_hangup",
    "swallows",
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three mails to ingest, and a package that brings jobs."""
    project = new_project(tmp_path)
    project.install("acme-jobs", JOBS, jobs=JOB_NAMES)
    return project


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The DuckDB file as a program of the user's would keep it: open for writing, in another process."""
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [Path(os.sys.executable), "-c", program, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        yield
    finally:
        holder.communicate("\n", timeout=30)


def said(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The end of a command that was left running, and what it said."""
    stdout, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    return process.returncode, stdout + stderr


# --- Ends of a run


def test_gmail_run_logs_job_started_before_its_source_is_opened(project: Project) -> None:
    (project.folder / "takeout.mbox").unlink()

    outcome = project.lorchestra("run", JOB, code=1)

    started, ingestion, failed = project.events()
    assert [started["event_type"], ingestion["event_type"], failed["event_type"]] == [
        "job.started",
        "ingestion.failed",
        "job.failed",
    ]
    assert failed["payload"]["error_code"] == ingestion["payload"]["error_code"] == "source.unreadable"
    assert failed["payload"]["error_type"] == "SourceUnreadableError"
    assert failed["payload"]["retryable"] is False
    assert (failed["status"], ingestion["status"]) == ("failed", "failed")
    assert failed["error_message"] == ingestion["error_message"]
    assert f"Error: {failed['error_message']}" in outcome.stderr
    assert ingestion["payload"]["resume"] == {"segments_kept": 0, "cursor": None}
    assert failed["payload"].keys() >= {"job_name", "package_name", "duration_seconds"}


def test_gmail_mistakes_in_options_are_refused_before_anything_is_logged(project: Project) -> None:
    config = project.folder / "lorchestra.toml"
    good = config.read_text()
    mistakes = {
        good.replace(
            "path =", "paht ="
        ): "lorchestra.toml, line 8, jobs.gmail_ingest_acct1.paht: unknown key",
        good.replace('"takeout.mbox"', "7"): "lorchestra.toml, line 8, jobs.gmail_ingest_acct1.path",
        good.replace('"takeout"', '"takeaway"'): "source: no installed package provides this source",
        good.replace("source_system", "# source_system"): "jobs.gmail_ingest_acct1.source_system: is missing",
    }
    for text, complaint in mistakes.items():
        config.write_text(text)
        assert complaint in project.lorchestra("run", JOB, code=2).stderr
    config.write_text(good)
    for arguments in (["--since", "yesterdy"], ["--since", "-1d", "--until", "-2d"], ["--limit", "0"]):
        assert (
            "ince" in (words := project.lorchestra("run", JOB, *arguments, code=2).stderr) or "limit" in words
        )
    assert not project.database.exists()
    assert not project.spool.exists()


def test_gmail_run_with_a_limit_or_a_window_takes_only_that(project: Project) -> None:
    assert project.lorchestra("run", JOB, "--limit", "2", "--json").rows[0]["inserted"] == 2
    assert project.lorchestra("run", JOB, "--until", "2025-11-20", "--json").rows[0]["records_extracted"] == 0
    [row] = project.lorchestra("run", JOB, "--since", "2025-11-21T02:00Z", "--json").rows
    assert (row["records_extracted"], row["inserted"]) == (1, 1)
    assert row["state"] == "succeeded"
    assert isinstance(row["duration_seconds"], float)
    assert len(project.objects()) == 3


def test_a_job_of_a_package_may_say_nothing_or_counts_or_log_events_of_its_own(project: Project) -> None:
    (project.folder / "lorchestra.toml").write_text(
        '[jobs.talks]\npages = "all"\napi_key = "' + MARKER + '"\n'
    )

    assert " fine-" in " " + project.lorchestra("run", "fine").stdout
    assert "2 records: 2 new" in project.lorchestra("run", "counts").stdout
    [told] = project.lorchestra("run", "talks", "--json", "--trace-id", TRACE_ID).rows

    started, report, completed = project.events(told["run_id"])
    assert [started["event_type"], report["event_type"], completed["event_type"]] == [
        "job.started",
        "report.sent",
        "job.completed",
    ]
    assert {event["trace_id"] for event in (started, report, completed)} == {TRACE_ID}
    assert started["payload"]["package_name"] == "acme-jobs"
    # What is secret in the options is masked where the run says what it was given, and given to the job.
    assert started["payload"]["parameters"]["options"] == {"pages": "all", "api_key": "***"}
    assert report["payload"]["options"]["api_key"] == MARKER
    assert [row["idem_key"] for row in project.objects()] == ["acme:page:1", "acme:page:2"]


@pytest.mark.parametrize(
    ("job", "error_type", "error_code", "retryable"),
    [
        ("raises", "ValueError", "job.raised", False),
        ("raises_ours", "DailyQuotaError", "quota.daily", True),
        ("raises_base", "BaseException", "job.raised", False),
        ("exits_0", "SystemExit", "job.exited", False),
        ("exits_3", "SystemExit", "job.exited", False),
        ("exits_text", "SystemExit", "job.exited", False),
    ],
)
def test_a_job_that_raises_or_exits_has_failed(
    project: Project, job: str, error_type: str, error_code: str, retryable: bool
) -> None:
    outcome = project.lorchestra("run", job, code=1)

    started, failed = project.events()
    assert (started["event_type"], failed["event_type"]) == ("job.started", "job.failed")
    assert failed["status"] == "failed"
    assert failed["correlation_id"] == started["correlation_id"]
    payload = failed["payload"]
    assert (payload["error_type"], payload["error_code"], payload["retryable"]) == (
        error_type,
        error_code,
        retryable,
    )
    assert isinstance(payload["duration_seconds"], float)
    assert failed["error_message"] in outcome.stderr
    # Where it was raised is told; what was raised may quote data.
    assert payload["stack_hint"].startswith("acme_jobs.py:")
    assert MARKER not in json.dumps([started["payload"], failed["payload"], failed["error_message"]])
    assert MARKER not in outcome.words
    assert " failed in " in outcome.stdout
    if job == "raises_ours":
        assert "the quota of today is used up\nWait until tomorrow." in outcome.stderr


def test_traceback_shows_at_the_terminal_what_is_stored_nowhere(project: Project) -> None:
    outcome = project.lorchestra("run", "raises", "--traceback", code=1)

    assert f"ValueError: {MARKER}" in outcome.stderr
    assert MARKER not in outcome.stdout
    assert MARKER not in json.dumps(project.events(), default=str)


@pytest.mark.parametrize(
    ("job", "number"),
    [
        ("sleeps", signal.SIGINT),
        ("sleeps", signal.SIGTERM),
        ("sleeps", signal.SIGHUP),
        ("swallows", signal.SIGTERM),
    ],
)
def test_a_signal_ends_the_run_and_its_account(project: Project, job: str, number: signal.Signals) -> None:
    process = project.start("run", job)
    wait_until((project.folder / "begun").exists, "the job had begun")
    process.send_signal(number)
    code, words = said(process)

    assert code == 1
    assert "interrupted" in words
    assert f"`lorchestra run {job}` goes on" in words
    started, failed = project.events()
    assert (started["event_type"], failed["event_type"]) == ("job.started", "job.failed")
    assert failed["payload"]["error_code"] == "run.interrupted"
    assert failed["payload"]["retryable"] is True
    assert list((project.spool / "runs").glob("*.json")) == []


def test_a_hangup_that_nohup_ignores_does_not_end_the_run(project: Project) -> None:
    process = project.start("run", "outlives_a_hangup", prefix=["nohup"])
    wait_until((project.folder / "begun").exists, "the job had begun")
    process.send_signal(signal.SIGHUP)
    (project.folder / "go-on").touch()

    assert said(process)[0] == 0
    assert project.event_types() == ["job.started", "job.completed"]


def test_a_killed_run_is_found_and_closed_once(project: Project) -> None:
    process = project.start("run", "sleeps", "--trace-id", TRACE_ID)
    wait_until((project.folder / "begun").exists, "the job had begun")
    assert [run["state"] for run in project.lorchestra("runs", "--json").rows] == ["running"]
    process.kill()
    process.communicate(timeout=30)

    [run] = project.lorchestra("runs", "--json").rows
    project.lorchestra("runs")
    project.lorchestra("query", "latest_runs")

    assert (run["state"], run["error_code"]) == ("failed", "run.interrupted")
    started, failed = project.events()
    assert (started["event_type"], failed["event_type"]) == ("job.started", "job.failed")
    assert failed["payload"]["error_code"] == "run.interrupted"
    assert failed["payload"]["retryable"] is True
    assert failed["payload"]["pid"] == started["payload"]["pid"]
    assert isinstance(failed["payload"]["duration_seconds"], float)
    assert {started["trace_id"], failed["trace_id"]} == {TRACE_ID}


def test_a_killed_run_is_closed_when_its_own_job_runs_next(project: Project) -> None:
    process = project.start("run", "outlives_a_hangup")
    wait_until((project.folder / "begun").exists, "the job had begun")
    process.kill()
    process.communicate(timeout=30)
    (project.folder / "go-on").touch()

    project.lorchestra("run", "outlives_a_hangup")

    states = [run["state"] for run in project.lorchestra("runs", "--json").rows]
    assert states == ["succeeded", "failed"]
    assert project.event_types() == ["job.started", "job.failed", "job.started", "job.completed"]


def test_a_run_that_had_ended_is_not_closed_again(project: Project) -> None:
    process = project.start("run", "sleeps")
    wait_until((project.folder / "begun").exists, "the job had begun")
    marker = project.spool / "runs" / "sleeps.json"
    kept = marker.read_bytes()
    process.terminate()
    said(process)
    # Killed after its last event, before it took its marker away.
    marker.write_bytes(kept)

    project.lorchestra("runs")

    assert project.event_types() == ["job.started", "job.failed"]
    assert not marker.exists()


def test_a_dead_run_does_not_stand_in_the_way_when_the_store_is_new(project: Project) -> None:
    process = project.start("run", "sleeps")
    wait_until((project.folder / "begun").exists, "the job had begun")
    process.kill()
    process.communicate(timeout=30)
    project.database.unlink()

    project.lorchestra("run", "fine")

    assert [run["job_name"] for run in project.lorchestra("runs", "--json").rows] == ["fine"]


def test_a_second_run_of_a_job_is_refused_while_the_first_one_goes_on(project: Project) -> None:
    process = project.start("run", "outlives_a_hangup")
    wait_until((project.folder / "begun").exists, "the job had begun")
    [running] = project.events()

    refused = project.lorchestra("run", "outlives_a_hangup", code=3)
    project.lorchestra("run", "fine")

    assert f"by process {process.pid} on " in refused.stderr
    assert running["correlation_id"] in refused.stderr
    (project.folder / "go-on").touch()
    assert said(process)[0] == 0
    of_the_job = [e for e in project.events() if e["payload"]["job_name"] == "outlives_a_hangup"]
    assert {event["correlation_id"] for event in of_the_job} == {running["correlation_id"]}


def test_runs_within_one_second_have_ids_of_their_own(project: Project) -> None:
    for _ in range(4):
        project.lorchestra("run", "fine")

    runs = [event["correlation_id"] for event in project.events() if event["event_type"] == "job.started"]
    assert len(set(runs)) == 4
    assert sorted(project.event_types()) == ["job.completed"] * 4 + ["job.started"] * 4


# --- Traces and secrets


def test_gmail_run_carries_its_trace_id_on_every_event(project: Project) -> None:
    parent = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
    cases: list[tuple[list[str], str, str | None]] = [
        (["--trace-id", "given-by-hand"], parent, "given-by-hand"),
        ([], parent, TRACE_ID),
        ([], f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
    ]
    for options, traceparent, expected in cases:
        outcome = project.lorchestra("run", JOB, "--json", *options, env={"TRACEPARENT": traceparent})
        events = project.events(outcome.rows[0]["run_id"])
        assert len(events) == 3
        assert {event["trace_id"] for event in events} == {expected}


def test_a_trace_id_that_cannot_be_stored_is_wrong_use(project: Project) -> None:
    assert "trace_id" in project.lorchestra("run", "fine", "--trace-id", "  ", code=2).stderr
    project.lorchestra("run", "fine")
    assert project.event_types() == ["job.started", "job.completed"]


# --- A store that cannot be reached


def test_gmail_run_does_nothing_while_the_store_is_locked(project: Project) -> None:
    config = project.folder / "lorchestra.toml"
    config.write_text(config.read_text().replace("busy_timeout_seconds = 10", "busy_timeout_seconds = 0.2"))
    project.lorchestra("setup")

    with locked(project.database):
        refused = project.lorchestra("run", JOB, code=1)
        assert "the file is in use by process" in refused.stderr
        assert "busy_timeout_seconds" in refused.stderr
        started, failed = project.waiting()
        assert (started["event_type"], failed["event_type"]) == ("job.started", "job.failed")
        assert failed["payload"]["error_code"] == "store.busy"
        assert failed["payload"]["retryable"] is True
        assert not (project.spool / "segments").exists()
        # Reading is no way around the lock, and loses nothing.
        project.lorchestra("runs", code=1)
        assert len(project.waiting()) == 2

    [run] = project.lorchestra("runs", "--json").rows
    assert (run["state"], run["error_code"]) == ("failed", "store.busy")
    assert project.waiting() == []
    project.lorchestra("runs")
    assert project.event_types() == ["job.started", "job.failed"]
    assert project.objects() == []


def test_runs_that_reach_no_store_have_ids_of_their_own(project: Project) -> None:
    """Three runs within a second, none of which can ask the store which ids are taken."""
    project.database.write_bytes(b"junk")

    for _ in range(3):
        project.lorchestra("run", JOB, code=1)

    ids = [event["correlation_id"] for event in project.waiting()]
    assert len(ids) == 6
    assert len(set(ids)) == 3


def test_an_end_that_the_locked_store_cannot_take_waits_in_the_outbox(project: Project) -> None:
    (project.folder / "lorchestra.toml").write_text("[store]\nbusy_timeout_seconds = 0.2\n")
    process = project.start("run", "outlives_a_hangup")
    wait_until((project.folder / "begun").exists, "the job had begun")
    with locked(project.database):
        (project.folder / "go-on").touch()
        code, words = said(process)
        assert code == 0
        assert "waits for the next command" in words
        [end] = project.waiting()
        assert end["event_type"] == "job.completed"

    [run] = project.lorchestra("runs", "--json").rows
    assert run["state"] == "succeeded"
    assert project.event_types() == ["job.started", "job.completed"]
