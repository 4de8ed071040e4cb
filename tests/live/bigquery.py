"""The real BigQuery: `make test-bigquery PROJECT=… DATASET=…`. Never part of the usual tests.

It makes the dataset, which must not exist, and removes it whatever happens. It runs the specification's step
5 through the installed command, and then looks at what no emulator shows.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.api_core.exceptions import BadRequest, NotFound

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.setup import googlesql_statements
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import open_store
from lorchestra.stores.bigquery import BigQueryStore
from tests.acceptance.test_specification import MESSAGES, STEP_5
from tests.project import JOB, Project, new_project

PROJECT = os.environ.get("LORCHESTRA_LIVE_PROJECT", "")
DATASET = os.environ.get("LORCHESTRA_LIVE_DATASET", "")
URL = f"bigquery://{PROJECT}/{DATASET}"


@pytest.fixture(scope="module")
def store() -> Iterator[BigQueryStore]:
    """A dataset of its own, with tables, removed at the end."""
    assert PROJECT, "make test-bigquery PROJECT=my-project DATASET=a_new_dataset"
    assert DATASET, "make test-bigquery PROJECT=my-project DATASET=a_new_dataset"
    with open_store(URL) as store:
        assert isinstance(store, BigQueryStore)
        client = store.connection.client
        with pytest.raises(NotFound):
            client.get_dataset(DATASET)
        try:
            yield store
        finally:
            client.delete_dataset(DATASET, delete_contents=True, not_found_ok=True)


@pytest.fixture(scope="module")
def project(store: BigQueryStore, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project on that dataset."""
    made = new_project(tmp_path_factory.mktemp("live"), messages=MESSAGES, store_url=URL)
    made.lorchestra("setup")
    return made


def test_step_5_of_the_specification(project: Project) -> None:
    """Two runs, its queries, the same counts, last_seen advanced, no event per object."""
    script = STEP_5.replace("events_dev.", f"{DATASET}.")
    counts, last_seen, first_seen = project.shell(script).splitlines()
    assert counts == f"Before: {MESSAGES}, After: {MESSAGES} (should be equal)"
    before, after = last_seen.split(" ")[0], last_seen.split(" ")[-1]
    assert before < after
    assert first_seen.split(" ")[0] == first_seen.split(" ")[-1]
    assert (project.folder / "per-object-events.csv").read_text() == "per_object_events\n0\n"
    runs = project.lorchestra("runs", "--json").rows
    assert [(run["inserted"], run["unchanged"]) for run in runs] == [(0, MESSAGES), (MESSAGES, 0)]


def test_a_run_tells_what_it_cost(project: Project, store: BigQueryStore) -> None:
    """Bytes come from the service's statistics."""
    project.lorchestra("run", JOB)
    rows = store.query(
        f"SELECT payload FROM `{DATASET}.event_log` WHERE event_type = 'ingestion.completed'"
    ).to_pylist()
    payloads = [json.loads(row["payload"]) for row in rows]
    assert all(payload["bytes_billed"] > 0 for payload in payloads)
    assert all(payload["load_jobs"] == payload["batches"] == 1 for payload in payloads)


def test_json_is_an_object_in_both_tables(project: Project, store: BigQueryStore) -> None:
    """Neither the load nor the streaming insert stores a string that holds JSON."""
    for table in ("event_log", "raw_objects"):
        rows = store.query(f"SELECT DISTINCT JSON_TYPE(payload) AS kind FROM `{DATASET}.{table}`").to_pylist()
        assert rows == [{"kind": "object"}]


def test_the_tables_are_partitioned_and_clustered(project: Project, store: BigQueryStore) -> None:
    """The service reports what the statements asked for."""
    client = store.connection.client
    log = client.get_table(f"{DATASET}.event_log")
    assert log.time_partitioning.field == "created_at"
    assert client.get_table(f"{DATASET}.raw_objects").clustering_fields[0] == "idem_key"


def test_the_same_event_twice_is_one_row(project: Project, store: BigQueryStore) -> None:
    """At once by its insertId, later because it is looked for."""
    now = make_event(event_type="live.checked", source_system="lorchestra", correlation_id="live-1")
    old = replace(now, event_id=f"{now.event_id}-old", created_at=datetime.now(UTC) - timedelta(hours=1))
    for _ in range(2):
        store.append_events([now])
        store.append_events([old])
    [row] = store.query(
        f"SELECT COUNT(*) AS n FROM `{DATASET}.event_log` WHERE event_type = 'live.checked'"
    ).to_pylist()
    assert row["n"] == 2


def test_keys_are_bounded_in_the_order_of_the_service(project: Project, store: BigQueryStore) -> None:
    """Python's smallest and largest key are the service's, for any characters."""
    ids = ["1", "10", "a", "A", "é", "e\u0301", "\U0001f600", "\uffff", "~", " "]
    for expected in ((len(ids), 0), (0, len(ids))):
        result = upsert_objects(
            objects=[{"id": natural_id} for natural_id in ids],
            source_system="live",
            object_type="note",
            correlation_id="live-20251124143000",
            idem_key_fn=lambda obj: f"live:note:{obj['id']}",
            bq_client=store,
        )
        assert (result.inserted, result.unchanged) == expected


def test_a_plain_client_is_a_bq_client(
    project: Project, store: BigQueryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the specification has it."""
    monkeypatch.setenv("EVENTS_BQ_DATASET", DATASET)
    result = upsert_objects(
        objects=[{"id": "plain"}],
        source_system="live",
        object_type="email",
        correlation_id="live-20251124143001",
        idem_key_fn=gmail_idem_key("live"),
        bq_client=store.connection.client,
    )
    assert result.inserted == 1


def test_the_migration_can_be_run_again(project: Project, store: BigQueryStore) -> None:
    """What the service says of each statement of alter_event_log.sql on a table that needs none of them."""
    refused = []
    for statement in googlesql_statements("alter_event_log", store.tables):
        try:
            store.connection.client.query(statement, job_retry=None).result(job_retry=None)
        except BadRequest:
            refused.append(statement)
    assert refused == []
    assert store.check_tables() == []


def test_doctor_and_price(project: Project) -> None:
    """All is well, and a query has a price."""
    assert {row["state"] for row in project.lorchestra("doctor", "--json").rows} == {"ok"}
    [row] = project.lorchestra("query", "latest_objects", "--dry-run", "--format", "json").rows
    assert row["bytes_read"] > 0


def test_a_copy_arrives_whole(project: Project, store: BigQueryStore, tmp_path: Path) -> None:
    """A DuckDB file copied over is verified, and again has nothing to do."""
    file = new_project(tmp_path, messages=10)
    file.lorchestra("run", JOB)
    file.lorchestra("copy", "--to", URL)
    again = file.lorchestra("copy", "--to", URL, "--json").rows[0]
    assert (again["events_copied"], again["objects_copied"]) == (0, 0)


def test_no_staging_table_is_left(project: Project, store: BigQueryStore) -> None:
    """Every batch dropped its own."""
    names = [item.table_id for item in store.connection.client.list_tables(DATASET)]
    assert [name for name in names if name.startswith("temp_objects_")] == []
