"""A run that succeeded says what was unusual about it, compared with the job's runs before it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lorchestra.cli_run import accounted
from lorchestra.errors import StoreBusyError
from lorchestra.health import AlertKind, alerts_of_ending_run
from lorchestra.jobs.context import JobContext, JobResult
from lorchestra.model import TableNames
from lorchestra.queries import OwnQuery
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import Store
from lorchestra.stores.duckdb import DuckDBStore
from tests.past_runs import past_runs
from tests.project import JOB, Project, new_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose mailbox is read; the next run finds nothing new."""
    project = new_project(tmp_path)
    project.lorchestra("run", JOB)
    return project


def ends(project: Project) -> list[dict[str, Any]]:
    return [event["payload"] for event in project.events() if event["event_type"] == "job.completed"]


def test_a_run_with_nothing_new_where_there_always_was_says_so(project: Project) -> None:
    """In the event of its end and on stderr; what it prints for programs is as always."""
    project.store().append_events(past_runs(JOB, 12))

    ran = project.lorchestra("run", JOB, "--json")

    assert ends(project)[-1]["unusual"] == [{"kind": "quiet", "message": "nothing new, usually 40"}]
    assert "Unusual: nothing new, usually 40." in ran.stderr
    assert "unusual" not in ran.rows[0]
    assert ran.rows[0]["state"] == "succeeded"


def test_a_usual_run_says_nothing(project: Project) -> None:
    """Neither where there is nothing to compare with, nor where it is like those before."""
    project.lorchestra("run", JOB)
    project.store().append_events(past_runs(JOB, 12))
    project.mailbox(8)
    ran = project.lorchestra("run", JOB)

    assert all("unusual" not in end for end in ends(project))
    assert "Unusual" not in ran.stderr


def test_our_own_commands_are_not_compared(project: Project) -> None:
    """A run of `verify` stores nothing new, ever."""
    project.store().append_events(past_runs("verify", 12))
    assert project.lorchestra("verify", "--store-only").code == 0
    assert "unusual" not in ends(project)[-1]


@pytest.mark.parametrize(("seconds", "kinds"), [(1.0, []), (6.9, []), (7.1, [AlertKind.SLOW])])
def test_slow_is_three_times_and_five_seconds_longer_than_usual(
    duckdb_store: Store, seconds: float, kinds: list[AlertKind]
) -> None:
    """Judged as if the run had ended just now, though its end is not logged yet."""
    now = datetime.now(UTC)
    run_id = f"mail-{now:%Y%m%d%H%M%S}"
    started = make_event(
        event_type="job.started",
        source_system="lorchestra",
        correlation_id=run_id,
        payload={"job_name": "mail", "package_name": "lorchestra"},
    )
    duckdb_store.create_tables()
    duckdb_store.append_events([*past_runs("mail", 12), replace(started, created_at=now)])

    # Something new was stored, so nothing is quiet.
    merged = make_event(
        event_type="ingestion.completed",
        source_system="acct1",
        correlation_id=run_id,
        payload={"inserted": 40},
    )
    duckdb_store.append_events([merged])
    alerts = alerts_of_ending_run(duckdb_store, "mail", run_id=run_id, seconds=seconds, inserted=40)

    assert [alert.kind for alert in alerts] == kinds
    if alerts:
        assert alerts[0].message == "took 7.1 s, usually 2.0 s"


class MuteStore(DuckDBStore):
    """Does everything but answer how a job is."""

    asked = 0

    def query_rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        if isinstance(sql, OwnQuery) and sql.name == "internal/run_health":
            self.asked += 1
            raise StoreBusyError("store: is used by another process")
        return super().query_rows(sql, parameters)


def test_a_store_that_does_not_answer_fails_no_run(tmp_path: Path) -> None:
    """The run succeeds, and its end is logged in the store, without what was not answered."""
    store = MuteStore(tmp_path / "a.duckdb", tables=TableNames(), busy_timeout_seconds=1)
    store.create_tables()
    now = datetime.now(UTC)
    context = JobContext(
        job_name="mail",
        run_id=f"mail-{now:%Y%m%d%H%M%S}",
        store=store,
        spool=tmp_path / "spool",
        seen_at=now,
        base=tmp_path,
    )

    outcome = accounted(
        lambda _: JobResult(counts={"inserted": 0}),
        context,
        package_name="test",
        parameters={},
        has_usual=True,
    )

    assert (outcome["state"], store.asked) == ("succeeded", 1)
    rows = store.query("SELECT event_type FROM `events_dev.event_log`").to_pylist()
    assert [row["event_type"] for row in rows] == ["job.started", "job.completed"]
