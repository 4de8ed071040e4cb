"""The receipt: whatever is missing is found and named, and nothing else is."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorchestra.idem_keys import dataverse_row_idem_key
from lorchestra.jobs.context import JobContext
from lorchestra.jobs.ingest import ingest
from lorchestra.jobs.merging import DistinctKeys
from lorchestra.model import Cursor, Progress, Record, Rejection, Window
from lorchestra.run_lock import Run
from lorchestra.runs import RunLog
from lorchestra.sources.base import Item, SourceOptions, SourceType
from lorchestra.stores import Store
from lorchestra.stores.duckdb import DuckDBStore
from lorchestra.verification import Check, verify_run
from tests.project import JOB, Project, new_project, takeout

WHEN = datetime(2025, 11, 24, 14, 30, tzinfo=UTC)
KEYS = st.lists(st.integers(0, 12), max_size=30)


class Given:
    """A source of these ids; None is one that cannot be read."""

    def __init__(self, ids: list[int | None]) -> None:
        self.ids = ids

    def records(self, window: Window, cursor: Cursor | None) -> Iterator[Item]:  # noqa: ARG002
        for place, number in enumerate(self.ids):
            if number is None:
                yield Rejection(reason="unreadable", position=f"{place}")
            else:
                yield Record(data={"id": str(number)}, position=f"{place}")

    def next_cursor(self) -> None:
        return None

    def progress(self) -> Progress:
        return Progress()


KIND = SourceType(
    summary="Ids.",
    object_type="thing",
    options=SourceOptions,
    open=lambda options, context: Given([]),  # noqa: ARG005
    idem_key_fn=lambda system: dataverse_row_idem_key(system, table="thing", id_field="id"),
)


def ran(store: Store, spool: Path, number: int, ids: list[int | None]) -> str:
    """A whole run of these ids, each run later than those before; its id."""
    run_id, started = f"things-2025112414{number:04}", WHEN + timedelta(minutes=number)
    run = Run(run_id=run_id, job_name="things", package_name="lorchestra", started_at=started)
    log = RunLog(run, {}, store=store, spool=spool)
    log.started()
    context = JobContext(
        job_name="things",
        run_id=run_id,
        store=store,
        spool=spool,
        seen_at=started,
        base=spool,
        source_system="acme",
    )
    ingest(context, source=Given(ids), kind=KIND, idem_key_fn=KIND.idem_key_fn("acme"))
    log.completed({})
    return run_id


def missing(checks: list[Check]) -> set[str]:
    return {one.check for one in checks if one.ok is False}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(KEYS, min_size=1, max_size=3), gone=st.sets(st.integers(0, 12), max_size=4))
def test_of_whole_runs_nothing_is_missing_until_rows_are_taken_away(
    runs: list[list[int]], gone: set[int], tmp_path: Path, open_file: Callable[..., Store]
) -> None:
    """Whatever keys come how often in how many runs; and of the newest run every lost row is missed."""
    name = uuid4().hex
    store, spool = open_file(f"{name}.duckdb"), tmp_path / name
    assert isinstance(store, DuckDBStore)
    run_ids = [ran(store, spool, number, list(ids)) for number, ids in enumerate(runs)]
    for run_id in run_ids:
        checks = verify_run(run_id, store=store, spool=spool)
        assert missing(checks) == set()
        assert all(one.ok for one in checks)

    keys = [f"acme:thing:{number}" for number in gone]
    store._write(
        lambda connection: connection.execute(
            "DELETE FROM events_dev.raw_objects WHERE idem_key IN (SELECT unnest($keys))", {"keys": keys}
        )
    )
    lost = gone.intersection(runs[-1])
    assert ("all objects" in missing(verify_run(run_ids[-1], store=store, spool=spool))) is bool(lost)


def test_each_kind_of_loss_is_named(tmp_path: Path, open_file: Callable[..., Store]) -> None:
    def checks_after(statement: str) -> set[str]:
        store, spool = open_file(f"{uuid4().hex}.duckdb"), tmp_path / uuid4().hex
        assert isinstance(store, DuckDBStore)
        run_id = ran(store, spool, 1, [1, 2, 2, 3])
        store._write(lambda connection: connection.execute(statement))
        return missing(verify_run(run_id, store=store, spool=spool))

    log, rows = "events_dev.event_log", "events_dev.raw_objects"
    assert checks_after(f"DELETE FROM {rows} WHERE external_id = '1'") == {"new objects", "all objects"}
    assert checks_after(f"INSERT INTO {rows} FROM {rows} WHERE external_id = '1'") == {"each once"}
    assert checks_after(f"INSERT INTO {log} FROM {log} WHERE event_type = 'job.completed'") == {"log"}
    assert checks_after(f"DELETE FROM {log} WHERE event_type = 'job.started'") == {"log"}
    change = "payload = json_merge_patch(payload, '{\"duplicates\": 0}')"
    assert checks_after(f"UPDATE {log} SET {change} WHERE event_type = 'ingestion.completed'") == {"records"}


def test_rejects_are_missing_until_they_are_resolved(tmp_path: Path, duckdb_store: Store) -> None:
    spool = tmp_path / "spool"
    run_id = ran(duckdb_store, spool, 1, [1, None, 2])
    [rejects] = [one for one in verify_run(run_id, store=duckdb_store, spool=spool) if one.check == "rejects"]
    assert (rejects.ok, rejects.next_step) == (False, f"Type: lorchestra retry {run_id}")
    # On another host nobody can tell.
    assert missing(verify_run(run_id, store=duckdb_store, spool=tmp_path / "other")) == set()


@pytest.fixture(params=["duckdb", "bigquery"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """Three mails, stored; in each kind of store."""
    url = None
    if request.param == "bigquery":
        service = request.getfixturevalue("bigquery_service")
        url = f"bigquery://p{uuid4().hex[:20]}/events_dev"
    made = new_project(tmp_path, store_url=url)
    if url is not None:
        made.variables["BIGQUERY_EMULATOR_HOST"] = service.endpoint
        made.lorchestra("setup")
    made.lorchestra("run", JOB)
    return made


def test_the_command_gives_a_receipt_and_an_account_of_itself(project: Project) -> None:
    outcome = project.lorchestra("verify", "--json")
    assert {row["state"] for row in outcome.rows} == {"ok"}
    assert {row["check"] for row in outcome.rows} >= {"log", "new objects", "all objects", "source", "spool"}
    assert "8 checks, 0 missing" in outcome.stderr
    [*_, started, completed] = project.events()
    assert (started["event_type"], completed["event_type"]) == ("job.started", "job.completed")
    assert completed["payload"]["job_name"] == "verify"
    assert (completed["payload"]["checks"], completed["payload"]["missing"]) == (8, 0)

    # One mail more at the source, one file less to ask: what is missing is said, with the way to get it.
    (project.folder / "takeout.mbox").write_bytes(takeout(range(4)))
    [run_id] = {row["run_id"] for row in outcome.rows}
    failed = project.lorchestra("verify", run_id, code=1)
    assert "1 of them not in the table" in failed.stdout
    assert f"source: Type: lorchestra run {JOB}" in failed.stdout
    [*_, ended] = project.events()
    assert (ended["event_type"], ended["payload"]["error_code"]) == ("job.failed", "verify.missing")
    assert (ended["payload"]["missing"], ended["payload"]["checks"]) == (1, 8)

    (project.folder / "takeout.mbox").unlink()
    assert "source" not in [
        row["check"] for row in project.lorchestra("verify", "--store-only", "--json").rows
    ]
    unknown = [row for row in project.lorchestra("verify", JOB, "--json").rows if row["state"] == "unknown"]
    assert [row["check"] for row in unknown] == ["source"]


def test_a_wrong_name_is_refused_and_leaves_no_run(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    assert "lorchestra setup" in project.lorchestra("verify", JOB, code=1).words
    project.lorchestra("run", JOB)
    before = len(project.events())
    for name in ("nonsense", f"{JOB}-20250101000000", "x' OR '1'='1"):
        told = project.lorchestra("verify", name, code=2)
        assert "lorchestra runs" in told.stderr
    assert len(project.events()) == before


def test_the_newest_run_counts_and_the_newest_success_where_it_failed(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.lorchestra("run", JOB)
    (project.folder / "takeout.mbox").rename(project.folder / "elsewhere")
    project.lorchestra("run", JOB, code=1)

    rows = json.loads(project.lorchestra("verify", "--store-only", "--json", code=1).stdout)

    assert len({row["run_id"] for row in rows}) == 2
    assert [row["check"] for row in rows if row["state"] == "missing"] == ["log"]


@pytest.mark.parametrize("number", [0, 1, 99_999, 100_000, 250_000])
def test_keys_are_counted_once(number: int) -> None:
    keys = DistinctKeys()
    for again in (number, number // 2):
        for key in range(again):
            keys.add(f"acme:thing:{key}")
    assert len(keys) == number
