"""`lorchestra prune`: it looks first, deletes whole old runs, and accounts for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from lorchestra.cli import main
from lorchestra.errors import StoreBusyError
from lorchestra.jobs.context import JobContext
from lorchestra.retention import prune
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import Store, open_store
from tests.emulator.front import Fault, ServiceFront, answer, service_error
from tests.project import Project, new_project

Command = Callable[..., Result]


def put_run(store: Store, days: int, *, end: str | None = "job.completed") -> str:
    """A run that was so many days ago; its id."""
    moment = datetime.now(UTC) - timedelta(days=days)
    run_id = f"old-{moment:%Y%m%d%H%M%S}"
    kinds = ["job.started", "ingestion.completed", *([end] if end else [])]
    store.append_events(
        [
            replace(
                make_event(
                    event_type=kind,
                    source_system="lorchestra",
                    correlation_id=run_id,
                    payload={"job_name": "old", "cursor": None},
                ),
                created_at=moment + timedelta(seconds=number),
            )
            for number, kind in enumerate(kinds)
        ]
    )
    return run_id


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path)


@pytest.fixture
def command(project: Project, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `lorchestra prune` here, in this process."""
    monkeypatch.chdir(project.folder)
    return lambda *arguments: CliRunner().invoke(main, ["prune", *arguments])


def test_it_looks_then_deletes_then_accounts_for_it(project: Project, command: Command) -> None:
    with project.store() as store:
        gone, stays = put_run(store, 401), [put_run(store, 399), put_run(store, 500, end=None)]
    before = project.events()

    look = command()
    assert (look.exit_code, project.events()) == (0, before)
    assert look.stdout.startswith("prune dry run: 3 events of 1 runs would be deleted, from 20")
    assert "lorchestra prune --events 400d --yes" in look.stderr
    assert not project.spool.exists()

    done = project.lorchestra("prune", "--yes", "--json")
    [run] = done.rows
    assert (run["state"], run["events_deleted"], run["runs_deleted"]) == ("succeeded", 3, 1)
    assert {event["correlation_id"] for event in project.events()} == {*stays, run["run_id"]}
    assert gone not in stays
    started, completed = project.events(run["run_id"])
    assert (started["event_type"], completed["event_type"]) == ("job.started", "job.completed")
    assert started["payload"]["parameters"] == {"events": "400d"}
    payload = completed["payload"]
    assert payload.pop("duration_seconds") >= 0
    assert datetime.fromisoformat(payload.pop("before")) < datetime.now(UTC) - timedelta(days=399)
    assert payload == {
        "job_name": "prune",
        "package_name": "lorchestra",
        "events_deleted": 3,
        "runs_deleted": 1,
    }
    assert list((project.spool / "runs").glob("*.json")) == []

    assert command().stdout.startswith("nothing to prune: no run ended before ")
    again = command("--events", "50w", "--yes")
    assert again.exit_code == 0
    assert "succeeded in" in again.stdout
    assert "3 events deleted, 1 runs deleted" in again.stdout


@pytest.mark.parametrize("arguments", [(), ("--yes",), ("--json",)])
def test_without_a_store_there_is_nothing_to_prune(
    project: Project, command: Command, arguments: tuple[str, ...]
) -> None:
    told = command(*arguments)
    assert (told.exit_code, project.database.exists()) == (0, False)
    assert '"events": 0' in told.stdout or told.stdout.startswith("nothing to prune")


@pytest.mark.parametrize(
    "age", ["", "400", "d", "-3d", "1h", "0d", "1.5d", "999999999w", "999999w", "400 d", "4d\n"]
)
def test_a_wrong_age_is_explained(project: Project, command: Command, age: str) -> None:
    told = command("--events", age, "--yes")
    assert told.exit_code == 2
    assert told.stderr.startswith("Error: --events: ")
    assert not project.database.exists()


def test_a_refused_deletion_is_explained(bigquery_service: ServiceFront, tmp_path: Path) -> None:
    """BigQuery deletes no rows that have just come in, such as a late event of an old run."""
    store = open_store(f"bigquery://p{uuid4().hex[:20]}/events_dev", busy_timeout_seconds=3)
    store.create_tables()
    put_run(store, 500)
    message = "UPDATE or DELETE statement over table p.d.t would affect rows in the streaming buffer"
    bigquery_service.fail(
        Fault(
            method="POST",
            path=r"/projects/[^/]+/jobs",
            body=r'"query": ?"DELETE',
            action=answer(400, service_error(400, "invalidQuery", message)),
        )
    )
    now = datetime.now(UTC)
    context = JobContext(
        job_name="prune", run_id="prune-1", store=store, spool=tmp_path, seen_at=now, base=tmp_path
    )
    with pytest.raises(StoreBusyError, match="90 minutes"):
        prune(context, now - timedelta(days=400))
    [left] = store.query("SELECT COUNT(*) AS n FROM `events_dev.event_log`").to_pylist()
    assert left["n"] == 3
