"""The installed command on BigQuery: set-up, migration, a killed run, copies, permissions, equal answers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lorchestra.model import TableNames
from lorchestra.queries import named_query, query_names
from lorchestra.store_url import parse_bigquery_url
from lorchestra.stores import Store, open_store
from lorchestra.stores.bigquery import BigQueryStore
from lorchestra.stores.bigquery_client import make_client
from tests.emulator.front import Fault, ServiceFront, answer, delay, rewrite, service_error
from tests.project import JOB, Project, new_project, wait_until

OLD_EVENT_LOG = """
CREATE TABLE `events_dev.event_log` (
  event_id STRING NOT NULL, event_type STRING NOT NULL, source_system STRING NOT NULL,
  object_type STRING NOT NULL, idem_key STRING NOT NULL, correlation_id STRING NOT NULL,
  created_at TIMESTAMP NOT NULL, status STRING NOT NULL, error_message STRING)
"""
OLD_ROW = """
INSERT INTO `events_dev.event_log`
  (event_id, event_type, source_system, object_type, idem_key, correlation_id, created_at, status)
VALUES ('e1', 'email.received', 'tap-gmail--acct1', 'email', 'k1', 'run-1',
        TIMESTAMP '2025-11-20 08:00:00+00', 'ok')
"""


@pytest.fixture
def project(tmp_path: Path, bigquery_service: ServiceFront) -> Project:
    """A project whose store is an empty dataset that does not exist yet."""
    url = f"bigquery://p{uuid4().hex[:20]}/events_dev"
    made = new_project(tmp_path, store_url=url)
    made.variables["BIGQUERY_EMULATOR_HOST"] = bigquery_service.endpoint
    return made


@pytest.fixture
def store(project: Project) -> Iterator[BigQueryStore]:
    """The project's store."""
    with project.store() as store:
        assert isinstance(store, BigQueryStore)
        yield store


def run_sql(store: BigQueryStore, statement: str) -> list[dict[str, Any]]:
    job = store.connection.client.query(statement, job_retry=None)
    return [dict(row) for row in job.result(job_retry=None)]


def staging_tables(store: BigQueryStore) -> list[str]:
    names = [item.table_id for item in store.connection.client.list_tables("events_dev")]
    return [name for name in names if name.startswith("temp_objects_")]


def refused(reason: str = "accessDenied") -> Any:
    return answer(403, service_error(403, reason, "Permission denied."))


# Set-up


def test_a_run_without_tables_names_the_command(project: Project) -> None:
    """Nothing is read, the next step is told; after it the failed run is in the log like any other."""
    failed = project.lorchestra("run", JOB, code=1)
    assert "not there" in failed.stderr
    assert "lorchestra setup" in failed.stderr
    assert [event["event_type"] for event in project.waiting()] == ["job.started", "job.failed"]

    project.lorchestra("setup")
    ran = project.lorchestra("run", JOB, "--json").rows[0]

    assert ran["inserted"] == 3
    states = [row["state"] for row in project.lorchestra("runs", "--json").rows]
    assert states == ["succeeded", "failed"]
    assert project.event_types(ran["run_id"]) == ["job.started", "ingestion.completed", "job.completed"]


def test_setup_can_be_repeated_and_checked(project: Project) -> None:
    """`--check` makes nothing and tells what is missing; `setup` makes it, and again changes nothing."""
    for _ in range(2):
        missing = project.lorchestra("setup", "--check", code=2)
        assert "lorchestra setup" in missing.words
    for arguments in (["setup"], ["setup"], ["setup", "--check"]):
        assert "as they should be" in project.lorchestra(*arguments).stderr


def test_an_older_event_log_is_brought_up_to_date(project: Project, store: BigQueryStore) -> None:
    """idem_key becomes nullable, payload and trace_id are added, the rows stay; each statement is shown."""
    client = store.connection.client
    client.create_dataset("events_dev")
    run_sql(store, OLD_EVENT_LOG)
    run_sql(store, OLD_ROW)

    told = project.lorchestra("setup", "--check", code=2).stdout
    for statement in (
        "ALTER TABLE `events_dev.event_log` ADD COLUMN IF NOT EXISTS payload JSON;",
        "ALTER TABLE `events_dev.event_log` ADD COLUMN IF NOT EXISTS trace_id STRING;",
        "ALTER TABLE `events_dev.event_log` ALTER COLUMN idem_key DROP NOT NULL;",
    ):
        assert statement in told
    assert store.check_tables() != []

    project.lorchestra("setup")
    project.lorchestra("setup")

    assert store.check_tables() == []
    modes = {field.name: field.mode for field in client.get_table("events_dev.event_log").schema}
    assert (modes["idem_key"], modes["payload"], modes["trace_id"]) == ("NULLABLE",) * 3
    assert project.lorchestra("run", JOB, "--json").rows[0]["inserted"] == 3
    [old] = run_sql(store, "SELECT * FROM `events_dev.event_log` WHERE event_id = 'e1'")
    assert (old["idem_key"], old["status"], old["payload"], old["trace_id"]) == ("k1", "ok", None, None)
    assert len(project.events()) == 4


def test_a_new_dataset_is_made_where_the_url_says(project: Project, store: BigQueryStore) -> None:
    """The location is that of the URL."""
    project.lorchestra("setup", "--store-url", f"{project.store_url}?location=EU")
    assert store.connection.client.get_dataset("events_dev").location == "EU"


def test_raw_objects_are_never_altered(project: Project, store: BigQueryStore) -> None:
    """A table of objects that differs is told of, with the statement, and left as it is."""
    store.create_tables()
    run_sql(store, "ALTER TABLE `events_dev.raw_objects` DROP COLUMN external_id")

    told = project.lorchestra("setup", code=2)

    assert "ADD COLUMN IF NOT EXISTS external_id STRING;" in told.stdout
    assert "by hand" in told.stderr
    [difference] = store.check_tables()
    assert (difference.table, difference.column) == ("raw_objects", "external_id")


def test_tables_are_partitioned_and_clustered(project: Project, store: BigQueryStore) -> None:
    """Events by day and kind, objects by key: what a query names narrows what it reads."""
    project.lorchestra("setup")
    client = store.connection.client
    log, objects = client.get_table("events_dev.event_log"), client.get_table("events_dev.raw_objects")
    assert log.time_partitioning is not None
    assert log.time_partitioning.field == "created_at"
    assert log.clustering_fields == ["source_system", "object_type", "event_type"]
    assert (objects.clustering_fields or [])[0] == "idem_key"


# A run that is killed, a service that is away


@pytest.fixture
def killed_run(project: Project, store: BigQueryStore, bigquery_service: ServiceFront) -> None:
    """A run whose process was killed when a batch was staged."""
    store.create_tables()
    bigquery_service.fail(Fault(method="POST", path="/jobs", body="COUNTIF", action=delay(20)))
    process = project.start("run", JOB)
    wait_until(lambda: staging_tables(store), "a batch is staged")
    wait_until(lambda: bigquery_service.seen("PUT", "^/upload/"), "it is loaded")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert len(staging_tables(store)) == 1
    bigquery_service.reset()


@pytest.mark.usefixtures("killed_run")
def test_a_run_killed_over_its_merge_leaves_nothing_staged(project: Project, store: BigQueryStore) -> None:
    """The next run closes it, drops its staging table, and stores what it had read."""
    again = project.lorchestra("run", JOB, "--json").rows[0]

    assert (again["inserted"] + again["updated"], again["recovered"]) == (3, 3)
    assert staging_tables(store) == []
    assert len(project.objects()) == 3
    runs = project.lorchestra("runs", "--json").rows
    assert [run["state"] for run in runs] == ["succeeded", "failed"]
    assert runs[1]["error_code"] == "run.interrupted"


@pytest.mark.usefixtures("killed_run")
def test_a_killed_run_is_closed_by_who_may_not_list_tables(
    project: Project, bigquery_service: ServiceFront
) -> None:
    """What is staged has its time; the account of the run does not wait for it."""
    bigquery_service.fail(Fault(method="GET", path=r"/tables(\?|$)", action=refused(), times=99))
    runs = project.lorchestra("runs", "--json").rows
    assert [(run["state"], run["error_code"]) for run in runs] == [("failed", "run.interrupted")]


def test_a_service_that_goes_away_leaves_the_account_in_the_outbox(
    project: Project, bigquery_service: ServiceFront
) -> None:
    """The run fails with the service's error; what it read and how it ended wait for the next command."""
    project.configure(
        f"""
        [jobs.{JOB}]
        source = "takeout"
        source_system = "tap-gmail--acct1-personal"
        path = "takeout.mbox"
        """,
        store="busy_timeout_seconds = 2",
    )
    project.lorchestra("setup")
    down = answer(503, service_error(503, "backendError", "Service unavailable."))
    bigquery_service.fail(Fault(method="POST", path=r"/tables\?", action=down, times=999))
    bigquery_service.fail(Fault(method="POST", path="/insertAll", action=down, after=1, times=999))

    failed = project.lorchestra("run", JOB, code=1)

    assert "BigQuery did not answer" in failed.stderr
    assert [event["event_type"] for event in project.waiting()] == ["ingestion.failed", "job.failed"]
    bigquery_service.reset()
    runs = project.lorchestra("runs", "--json").rows
    assert [(run["state"], run["error_code"]) for run in runs] == [("failed", "store.unreachable")]
    assert project.lorchestra("run", JOB, "--json").rows[0]["recovered"] == 3
    assert len(project.events()) == 6


# The same answers


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            name: json.loads(value) if name == "payload" and isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def file_project(tmp_path: Path, project: Project, messages: int) -> Project:
    """A project on a DuckDB file, after a run, that can reach the dataset of `project`."""
    folder = tmp_path / "file"
    folder.mkdir()
    file = new_project(folder, messages=messages)
    file.variables.update(project.variables)
    file.lorchestra("run", JOB)
    return file


def copied(tmp_path: Path, project: Project, messages: int) -> tuple[Project, Store]:
    """A project on a DuckDB file, after two runs, copied to the dataset of `project`."""
    file = file_project(tmp_path, project, messages)
    file.mailbox(messages + 2)
    file.lorchestra("run", JOB)
    assert project.store_url is not None
    file.lorchestra("copy", "--to", project.store_url)
    return file, file.store()


def test_every_named_query_gives_the_same_on_both_stores(
    tmp_path: Path, project: Project, store: BigQueryStore
) -> None:
    """Value by value and type by type, in the same order where the query has one."""
    file, file_store = copied(tmp_path, project, 30)
    run_id = file.events()[0]["correlation_id"]
    texts = {name: named_query(name, TableNames()) for name in query_names()}
    texts["runs"] = "SELECT * FROM `events_dev.job_runs` ORDER BY run_id"
    texts["types"] = """
        SELECT COUNT(*) AS n, SUM(LENGTH(idem_key)) AS letters, MIN(first_seen) AS first,
               DATE(MAX(last_seen)) AS day, AVG(LENGTH(idem_key)) AS mean, LOGICAL_AND(TRUE) AS yes
        FROM `events_dev.raw_objects`"""
    texts["labels"] = """
        SELECT label, COUNT(*) AS mails
        FROM `events_dev.raw_objects`, UNNEST(JSON_VALUE_ARRAY(payload, '$.labelIds')) AS label
        GROUP BY label ORDER BY mails DESC, label"""
    for name, text in texts.items():
        parameters = {"run_id": run_id} if "@run_id" in text else {}
        here, there = file_store.query(text, parameters), store.query(text, parameters)
        assert there.column_names == here.column_names, name
        kinds = [str(kind) for kind in here.schema.types]
        assert [str(kind) for kind in there.schema.types] == kinds, name
        moving = [column for column in here.column_names if column == "age_seconds"]
        ordered = "ORDER BY" in text and "latest_objects" not in name
        # How long ago something was depends on when it is asked.
        rows = [plain(table.drop_columns(moving).to_pylist()) for table in (here, there)]
        if not ordered:
            rows = [sorted(one, key=repr) for one in rows]
        assert rows[1] == rows[0], name
    command = file.lorchestra("runs", "--json").rows
    assert project.lorchestra("runs", "--json").rows == command


# Copying


def test_a_copy_is_the_same_row_by_row(tmp_path: Path, project: Project, store: BigQueryStore) -> None:
    """Every row of both tables, with its times; again it copies nothing; then only what is new."""
    file, file_store = copied(tmp_path, project, 40)
    for table, key in (("raw_objects", "idem_key"), ("event_log", "event_id")):
        sql = f"SELECT * FROM `events_dev.{table}` ORDER BY {key}"
        assert plain(store.query(sql).to_pylist()) == plain(file_store.query(sql).to_pylist())
    assert project.store_url is not None

    again = file.lorchestra("copy", "--to", project.store_url, "--json").rows[0]
    assert (again["events_copied"], again["objects_copied"]) == (0, 0)
    assert (again["objects"], again["objects_verified"], again["events_verified"]) == (42, 42, 6)

    file.mailbox(45)
    file.lorchestra("run", JOB)
    later = file.lorchestra("copy", "--to", project.store_url, "--json").rows[0]
    assert (later["events_copied"], later["objects_copied"], later["objects_verified"]) == (3, 45, 45)
    # The run after the move goes on where the file stopped.
    (project.folder / "takeout.mbox").write_bytes((file.folder / "takeout.mbox").read_bytes())
    moved = project.lorchestra("run", JOB, "--json").rows[0]
    assert (moved["inserted"], moved["unchanged"]) == (0, 45)
    assert staging_tables(store) == []


def test_a_copy_that_failed_goes_on(
    tmp_path: Path, project: Project, store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """What arrived before the fault is not sent again, and the end is complete."""
    file = file_project(tmp_path, project, 150)
    assert project.store_url is not None
    bigquery_service.fail(Fault(method="POST", path="^/upload/", after=1, times=999, action=refused()))

    failed = file.lorchestra("copy", "--to", project.store_url, code=1)
    assert f"lorchestra doctor --store-url {project.store_url}" in failed.stderr
    arrived = len(run_sql(store, "SELECT 1 AS one FROM `events_dev.raw_objects`"))
    assert 0 < arrived < 150
    bigquery_service.reset()

    done = file.lorchestra("copy", "--to", project.store_url, "--json").rows[0]
    assert (done["events_copied"], done["objects_copied"]) == (0, 150 - arrived)
    assert (done["objects_verified"], done["events_verified"]) == (150, 3)
    assert staging_tables(store) == []


def test_two_copies_at_the_same_time_double_nothing(tmp_path: Path, project: Project) -> None:
    """Into a dataset that neither finds; who finds the other's rows leaves them, or says: run it again."""
    file = file_project(tmp_path, project, 150)
    assert project.store_url is not None

    copies = [file.start("copy", "--to", project.store_url) for _ in range(2)]
    for one in copies:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0 or "Run the same command again" in said, said
    done = file.lorchestra("copy", "--to", project.store_url, "--json").rows[0]

    assert (done["objects_verified"], done["events_verified"]) == (150, 3)
    assert project.objects() == file.objects()
    assert project.events() == file.events()


def test_a_row_that_is_newer_at_the_target_stays(tmp_path: Path, project: Project) -> None:
    """Copying never takes back what the target has seen later."""
    file, _ = copied(tmp_path, project, 3)
    project.lorchestra("run", JOB)
    newer = project.objects()
    assert project.store_url is not None
    file.lorchestra("copy", "--to", project.store_url)
    assert project.objects() == newer


def test_what_cannot_be_copied_is_said(tmp_path: Path, project: Project) -> None:
    """From BigQuery, to a file, to nowhere: one sentence each, and nothing is made."""
    project.lorchestra("setup")
    told = project.lorchestra("copy", "--to", "bigquery://elsewhere/events_dev", code=2).stderr
    assert "cannot be copied from" in told
    folder = tmp_path / "file"
    folder.mkdir()
    file = new_project(folder)
    file.lorchestra("run", JOB)
    assert "cannot be copied to" in file.lorchestra("copy", "--to", "duckdb:///b.duckdb", code=2).stderr
    assert "no installed package" in file.lorchestra("copy", "--to", "nosuch://x", code=2).stderr
    assert (
        "--to: names no BigQuery project" in file.lorchestra("copy", "--to", "bigquery:///x", code=2).stderr
    )
    assert "--to: is no URL" in file.lorchestra("copy", "--to", "bigquery://[x", code=2).stderr


def test_a_copy_takes_the_key_file_of_dotenv(tmp_path: Path) -> None:
    """Whoever moves has the file's configuration still, and the key beside it."""
    file = new_project(tmp_path)
    file.lorchestra("run", JOB)
    (tmp_path / ".env").write_text("GOOGLE_APPLICATION_CREDENTIALS=nosuch.json\n")
    told = file.lorchestra("copy", "--to", "bigquery://my-project/events_dev", code=2).stderr
    assert "--to: credentials: no key file" in told
    assert "nosuch.json" in told


def test_a_url_without_a_dataset_means_that_of_the_file(tmp_path: Path, project: Project) -> None:
    """What was in `crm` is found in `crm` afterwards, with the same settings."""
    folder = tmp_path / "file"
    folder.mkdir()
    file = new_project(folder, messages=3)
    file.variables.update(project.variables | {"EVENTS_BQ_DATASET": "crm"})
    file.lorchestra("run", JOB)
    url = f"bigquery://p{uuid4().hex[:20]}"
    file.lorchestra("copy", "--to", url)
    count = "SELECT COUNT(*) AS n FROM `crm.raw_objects`"
    assert file.lorchestra("query", count, "--format", "json", "--store-url", url).rows == [{"n": 3}]


# The price of a query


def test_a_query_can_be_priced_and_refused(project: Project, bigquery_service: ServiceFront) -> None:
    """`--dry-run` tells the bytes and runs nothing; `--max-bytes` refuses above."""

    def estimate(count: int) -> Fault:
        return Fault(
            method="POST",
            path="/jobs",
            body='"dryRun": ?true',
            times=count,
            action=rewrite(lambda job: {**job, "statistics": {"query": {"totalBytesProcessed": "2000000"}}}),
        )

    project.lorchestra("setup")
    bigquery_service.fail(estimate(1))
    assert project.lorchestra("query", "latest_runs", "--dry-run", "--format", "json").rows == [
        {"bytes_read": 2000000}
    ]
    bigquery_service.fail(estimate(2))
    told = project.lorchestra("query", "latest_runs", "--max-bytes", "1999999", code=2).stderr
    assert "2,000,000 bytes, more than the 1,999,999" in told
    assert project.lorchestra("query", "latest_runs", "--max-bytes", "2000000", "--format", "json").rows == []


# Who asks, and what is permitted


def findings(project: Project, code: int = 0) -> dict[str, dict[str, Any]]:
    return {row["check"]: row for row in project.lorchestra("doctor", "--json", code=code).rows}


def datasets(project: Project) -> list[str]:
    client = make_client(parse_bigquery_url(project.store_url or ""))
    found = [one.dataset_id for one in client.list_datasets()]
    client.close()
    return found


def test_doctor_tells_what_is_there(project: Project) -> None:
    """Before setup the dataset is missing, with the command; after it all is well."""
    before = findings(project, code=1)
    assert before["dataset"]["state"] == "missing"
    assert before["dataset"]["fix"] == "lorchestra setup"
    assert before["make datasets"]["state"] == "ok"
    assert datasets(project) == []
    assert before["tables"]["state"] == "unknown"
    project.lorchestra("setup")
    after = findings(project)
    assert list(after) == ["store", "credentials", "run jobs", "dataset", "tables", "write tables"]
    assert {row["state"] for row in after.values()} == {"ok"}
    assert "events_dev" in after["store"]["found"]


@pytest.mark.parametrize(
    ("request_", "check", "role"),
    [
        (("POST", r"/projects/[^/]+/jobs"), "run jobs", "roles/bigquery.jobUser"),
        (("GET", r"/datasets/events_dev\?"), "dataset", "roles/bigquery.dataEditor"),
        (("POST", r"/tables\?"), "write tables", "roles/bigquery.dataEditor"),
    ],
)
def test_doctor_tells_what_is_missing_and_how_to_get_it(
    project: Project, bigquery_service: ServiceFront, request_: tuple[str, str], check: str, role: str
) -> None:
    """A permission that is missing is named, with the role to grant and the command that grants it."""
    project.lorchestra("setup")
    method, path = request_
    bigquery_service.fail(Fault(method=method, path=path, times=999, action=refused()))
    row = findings(project, code=1)[check]
    assert row["state"] == "missing"
    assert role in row["fix"]
    assert row["fix"].startswith("gcloud projects add-iam-policy-binding ")


def test_doctor_tells_who_may_not_make_a_dataset(project: Project, bigquery_service: ServiceFront) -> None:
    """Where the dataset is missing, it matters whether it can be made."""
    bigquery_service.fail(Fault(method="POST", path=r"/datasets(\?|$)", times=999, action=refused()))
    row = findings(project, code=1)["make datasets"]
    assert (row["state"], row["found"]) == ("missing", "bigquery.datasets.create: accessDenied")
    assert "roles/bigquery.user" in row["fix"]


@pytest.mark.parametrize(
    ("method", "path", "check"),
    [
        ("POST", r"/projects/[^/]+/jobs", "credentials"),
        ("GET", r"/datasets/events_dev\?", "dataset"),
        ("POST", r"/tables\?", "write tables"),
    ],
)
def test_doctor_takes_a_quota_for_no_permission(
    project: Project, bigquery_service: ServiceFront, method: str, path: str, check: str
) -> None:
    """A 403 may also say that a quota is used up: no role helps against that."""
    project.lorchestra("setup")
    bigquery_service.fail(Fault(method=method, path=path, times=999, action=refused("quotaExceeded")))
    row = findings(project, code=1)[check]
    assert (row["state"], row["found"]) == ("missing", "store: a quota of BigQuery is used up: quotaExceeded")
    assert "later" in row["fix"]


def test_without_credentials_the_next_step_is_told(project: Project) -> None:
    """No credentials, or a key file that is none, end in one sentence; the run is not lost sight of."""
    nobody = {"BIGQUERY_EMULATOR_HOST": "", "HOME": str(project.folder), "NO_GCE_CHECK": "true"}
    told = project.lorchestra("run", JOB, code=1, env=nobody)
    assert "no valid credentials" in told.stderr
    assert "gcloud auth application-default login" in told.stderr
    doctor = project.lorchestra("doctor", code=1, env=nobody)
    assert "gcloud auth application-default login" in doctor.stdout
    (project.folder / "key.json").write_text("{}")
    url = f"{project.store_url}?credentials=key.json"
    wrong = project.lorchestra("run", JOB, "--store-url", url, code=2, env=nobody)
    assert "credentials: no key file" in wrong.stderr


def test_doctor_examines_a_file_too(tmp_path: Path) -> None:
    """A DuckDB file: where it is, how large, whether its tables fit and it may be written."""
    folder = tmp_path / "file"
    folder.mkdir()
    file = new_project(folder)
    assert findings(file)["file"]["found"].startswith("not there")
    file.lorchestra("run", JOB)
    after = findings(file)
    assert list(after) == ["store", "file", "tables", "write"]
    assert {row["state"] for row in after.values()} == {"ok"}
    file.database.write_bytes(b"no database")
    broken = findings(file, code=1)
    assert broken["tables"]["state"] == "missing"
    assert "Move it away" in broken["tables"]["fix"]


def test_without_the_package_the_install_command_is_told(project: Project) -> None:
    """The extra is optional; a store that needs it says what to type."""
    shadow = project.folder / "shadow" / "google"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    told = project.lorchestra("runs", code=2, env={"PYTHONPATH": str(shadow.parent)}).stderr
    assert "pip install 'lorchestra[bigquery]'" in told


def test_help_does_not_import_google() -> None:
    """Whoever has a file only never pays for the service's client."""
    code = "import sys, lorchestra.cli, lorchestra.stores; sys.exit(any('google' in n for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Memory


def test_memory_is_bounded_by_batches(project: Project, bigquery_service: ServiceFront) -> None:
    """150 MB of objects of 73 KB pass through a process that stays small."""
    project.lorchestra("setup")
    code = f"""
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store
from tests.peak_memory import peak_bytes
objects = ({{"id": str(n), "body": f"{{n:08}}" * 9000}} for n in range(2000))
with open_store({project.store_url!r}) as store:
    result = upsert_objects(objects=objects, source_system="s", object_type="email", bq_client=store,
                            correlation_id="memory-20251124143000", idem_key_fn=gmail_idem_key("s"))
assert result.inserted == 2000, result
print(peak_bytes())
"""
    environment = {**os.environ, "BIGQUERY_EMULATOR_HOST": bigquery_service.endpoint}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) < 320 * 1024 * 1024
    with open_store(str(project.store_url)) as store:
        assert store.query("SELECT COUNT(*) AS n FROM `events_dev.raw_objects`").to_pylist() == [{"n": 2000}]
