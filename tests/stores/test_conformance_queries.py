"""What every store promises about queries: GoogleSQL in, Arrow out, the same values everywhere."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lorchestra.errors import QueryError
from lorchestra.stack_clients.event_client.events import make_event
from tests.stores.conftest import RUN_ID, SOURCE, Bench

INSTANT = datetime(2025, 11, 24, 14, 30, 0, 123456, tzinfo=UTC)
SECRET = "Paracelsus-4711"

# The specification's queries, as they stand there.
LATEST_JOB_RUNS = """
SELECT *
FROM `events_dev.event_log`
WHERE object_type = 'job_run'
ORDER BY created_at DESC
"""
JOB_EXECUTION_HISTORY = """
SELECT
  event_type,
  created_at,
  JSON_EXTRACT_SCALAR(payload, '$.job_name') as job_name,
  JSON_EXTRACT_SCALAR(payload, '$.duration_seconds') as duration
FROM `events_dev.event_log`
WHERE object_type = 'job_run'
ORDER BY created_at DESC
"""
FAILED_JOBS = """
SELECT *
FROM `events_dev.event_log`
WHERE event_type = 'job.failed'
  AND DATE(created_at) >= CURRENT_DATE() - 7
"""
LATEST_OBJECT_STATE = """
SELECT *
FROM `events_dev.raw_objects`
WHERE object_type = 'email'
ORDER BY last_seen DESC
"""
PER_OBJECT_EVENTS = """
SELECT COUNT(*) as per_object_events
FROM `events_dev.event_log`
WHERE correlation_id = @run_id
  AND event_type NOT IN ('job.started','ingestion.completed','job.completed','job.failed')
"""
STEP_5_JOB_EVENTS = """
SELECT event_type, source_system, object_type, created_at,
       payload
FROM events_dev.event_log
WHERE object_type = 'job_run'
ORDER BY created_at DESC
LIMIT 10
"""
STEP_5_INGESTION_EVENTS = """
SELECT event_type, source_system, object_type, created_at,
       JSON_EXTRACT_SCALAR(payload, '$.records_extracted') as count
FROM events_dev.event_log
WHERE object_type = 'email' AND event_type LIKE 'ingestion.%'
ORDER BY created_at DESC
LIMIT 5
"""
STEP_5_PER_OBJECT_EVENTS = """
SELECT COUNT(*) as per_object_events
FROM events_dev.event_log
WHERE correlation_id = @run_id
  AND event_type NOT IN ('job.started','ingestion.completed','job.completed','job.failed')
"""
STEP_5_EMAILS = """
SELECT object_type, source_system, COUNT(*) as count
FROM events_dev.raw_objects
WHERE object_type = 'email'
GROUP BY object_type, source_system
"""
STEP_5_COUNT = (
    "SELECT COUNT(*) FROM events_dev.raw_objects"
    " WHERE object_type='email' AND source_system='tap-gmail--acct1-personal'"
)
STEP_5_LAST_SEEN = """
SELECT MAX(last_seen) as latest_last_seen
FROM events_dev.raw_objects
WHERE object_type='email' AND source_system='tap-gmail--acct1-personal'
"""


@pytest.fixture
def run(bench: Bench) -> Bench:
    """A store after one successful run and one that failed."""
    two_runs(bench)
    return bench


@pytest.fixture
def ran(shared_bench: Callable[[Callable[[Bench], None]], Bench]) -> Bench:
    """The same, for tests that only read."""
    return shared_bench(two_runs)


def two_runs(bench: Bench) -> None:
    job = {"job_name": "gmail_ingest_acct1", "package_name": "lorchestra"}
    bench.log(event_type="job.started", object_type="job_run", payload=job)
    bench.upsert([{"id": str(n), "snippet": SECRET} for n in range(3)])
    bench.log(
        event_type="ingestion.completed",
        source_system=SOURCE,
        object_type="email",
        payload={"records_extracted": 3, "inserted": 3, "duration_seconds": 0.5},
    )
    bench.log(event_type="job.completed", object_type="job_run", payload={**job, "duration_seconds": 1.25})
    bench.log(
        event_type="job.failed",
        object_type="job_run",
        correlation_id="other",
        status="failed",
        error_message="The source hung up.",
        payload={**job, "error_type": "SourceUnavailableError"},
    )


# The specification's queries


def test_latest_job_runs(run: Bench) -> None:
    """All job events, newest first, with all columns."""
    found = run.rows(LATEST_JOB_RUNS)
    assert [row["event_type"] for row in found] == ["job.failed", "job.completed", "job.started"]
    assert all(len(row) == 11 and row["idem_key"] is None for row in found)


def test_job_execution_history(run: Bench) -> None:
    """Names and durations out of the payload, as texts."""
    found = run.rows(JOB_EXECUTION_HISTORY)
    assert [(row["job_name"], row["duration"]) for row in found] == [
        ("gmail_ingest_acct1", None),
        ("gmail_ingest_acct1", "1.25"),
        ("gmail_ingest_acct1", None),
    ]


def test_failed_jobs(run: Bench) -> None:
    """Failures of the last week, and none that is older."""
    old = make_event(
        event_type="job.failed", source_system="lorchestra", correlation_id="old", status="failed"
    )
    run.store.append_events([replace(old, created_at=datetime.now(UTC) - timedelta(days=9))])
    [row] = run.rows(FAILED_JOBS)
    assert (row["correlation_id"], row["error_message"]) == ("other", "The source hung up.")


def test_latest_object_state(run: Bench) -> None:
    """All mail, last seen first."""
    run.upsert([{"id": "1"}])
    found = run.rows(LATEST_OBJECT_STATE)
    assert found[0]["external_id"] == "1"
    assert len(found) == 3
    assert list(found[0]) == [
        "idem_key",
        "source_system",
        "object_type",
        "external_id",
        "payload",
        "first_seen",
        "last_seen",
    ]


@pytest.mark.parametrize("query", [PER_OBJECT_EVENTS, STEP_5_PER_OBJECT_EVENTS])
def test_per_object_events(run: Bench, query: str) -> None:
    """There are none; the query would see one."""
    assert run.rows(query, run_id=RUN_ID) == [{"per_object_events": 0}]
    run.log(event_type="email.received")
    assert run.rows(query, run_id=RUN_ID) == [{"per_object_events": 1}]
    assert run.rows(query, run_id="other") == [{"per_object_events": 0}]


def test_the_queries_of_step_5(run: Bench) -> None:
    """The integration test's queries give what the run left."""
    jobs = run.rows(STEP_5_JOB_EVENTS)
    assert [row["event_type"] for row in jobs] == ["job.failed", "job.completed", "job.started"]
    assert SECRET not in str(jobs)
    [ingestion] = run.rows(STEP_5_INGESTION_EVENTS)
    assert (ingestion["event_type"], ingestion["count"]) == ("ingestion.completed", "3")
    assert run.rows(STEP_5_EMAILS) == [{"object_type": "email", "source_system": SOURCE, "count": 3}]
    assert [list(row.values()) for row in run.rows(STEP_5_COUNT)] == [[3]]
    last = run.rows(STEP_5_LAST_SEEN)[0]["latest_last_seen"]
    again = run.upsert([{"id": "1", "snippet": SECRET}])
    assert run.rows(STEP_5_LAST_SEEN) == [{"latest_last_seen": again.seen_at}]
    assert again.seen_at > last
    assert [list(row.values()) for row in run.rows(STEP_5_COUNT)] == [[3]]


def test_the_view_of_runs(ran: Bench) -> None:
    """`job_runs` folds a run's events into one row."""
    found = {row["run_id"]: row for row in ran.rows("SELECT * FROM `events_dev.job_runs`")}
    assert {run_id: row["state"] for run_id, row in found.items()} == {RUN_ID: "succeeded", "other": "failed"}
    assert found[RUN_ID]["job_name"] == "gmail_ingest_acct1"
    assert (found[RUN_ID]["records_extracted"], found[RUN_ID]["inserted"]) == (3, 3)
    assert found[RUN_ID]["duration_seconds"] == 1.25
    assert found["other"]["error_message"] == "The source hung up."


# Types


def test_json_columns_say_so(ran: Bench) -> None:
    """Columns of type JSON carry the Arrow extension type arrow.json, in both tables."""
    for table in ("event_log", "raw_objects"):
        kind = ran.store.query(f"SELECT payload FROM `events_dev.{table}`").schema.field("payload").type
        assert getattr(kind, "extension_name", None) == "arrow.json"


def test_columns_have_their_types(ran: Bench) -> None:
    """Texts are strings and times are microseconds in UTC, also when there is no row."""
    schema = ran.store.query("SELECT * FROM `events_dev.event_log` WHERE event_id = 'none'").schema
    assert schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    assert {schema.field(name).type for name in ("event_id", "idem_key", "status")} == {pa.string()}


@pytest.mark.parametrize(
    "expression", ["COUNT(*)", "SUM(1)", "COUNTIF(status = 'ok')", "SUM(LENGTH(event_id))", "1", "MAX(1)"]
)
def test_integers_are_int64(ran: Bench, expression: str) -> None:
    """GoogleSQL has one integer type: counts and sums are int64 as well."""
    table = ran.store.query(f"SELECT {expression} AS n, {expression} AS m FROM `events_dev.event_log`")
    kinds = {field.type for field in table.schema}
    assert kinds <= {pa.int64(), pa.int32()} if expression in {"1", "MAX(1)"} else kinds == {pa.int64()}


def test_sums_keep_the_order_of_rows(ran: Bench) -> None:
    """ORDER BY holds where a sum is in the result."""
    found = ran.rows(
        """SELECT event_type, SUM(1) AS n FROM `events_dev.event_log`
           GROUP BY event_type ORDER BY event_type DESC"""
    )
    assert found == [
        {"event_type": name, "n": 1}
        for name in ("job.started", "job.failed", "job.completed", "ingestion.completed")
    ]


# Parameters


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        ("text", "STRING"),
        ("'; DROP TABLE x", "STRING"),
        ("\U0001f600", "STRING"),
        (7, "INT64"),
        (-(2**63), "INT64"),
        (1.5, "FLOAT64"),
        (True, "BOOL"),
        (INSTANT, "TIMESTAMP"),
        (date(2025, 11, 24), "DATE"),
        (None, "STRING"),
    ],
    ids=lambda value: str(value).encode("ascii", "replace").decode(),
)
def test_a_parameter_is_its_value(empty_bench: Bench, value: Any, type_name: str) -> None:
    """A bound value comes back as it is."""
    assert empty_bench.rows(f"SELECT CAST(@value AS {type_name}) AS value", value=value) == [{"value": value}]


def test_a_parameter_may_be_used_twice(ran: Bench) -> None:
    """One name is one value wherever it stands."""
    found = ran.rows(
        """SELECT COUNT(*) AS n FROM `events_dev.event_log`
           WHERE correlation_id = @run_id OR error_message = @run_id""",
        run_id=RUN_ID,
    )
    assert found == [{"n": 3}]


def test_times_are_compared_as_instants(bench: Bench) -> None:
    """A moment in another offset is found as the same moment."""
    result = bench.upsert([{"id": "1"}])
    local = result.seen_at.astimezone()
    sql = "SELECT COUNT(*) AS n FROM `events_dev.raw_objects` WHERE last_seen = @moment"
    assert bench.rows(sql, moment=local) == [{"n": 1}]


def test_dates_are_those_of_utc(empty_bench: Bench) -> None:
    """DATE() of a moment is its date in UTC."""
    late = datetime(2025, 11, 24, 23, 59, 59, tzinfo=UTC)
    assert empty_bench.rows("SELECT DATE(@moment) AS day", moment=late) == [{"day": date(2025, 11, 24)}]


# Refusals


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM `events_dev.raw_objects` WHERE TRUE",
        "UPDATE `events_dev.event_log` SET status = 'ok' WHERE TRUE",
        "INSERT INTO `events_dev.event_log` (event_id) VALUES ('x')",
        "DROP TABLE `events_dev.raw_objects`",
        "CREATE TABLE `events_dev.x` AS SELECT 1 AS a",
        "ALTER TABLE `events_dev.event_log` ADD COLUMN x STRING",
        "TRUNCATE TABLE `events_dev.raw_objects`",
        "MERGE `events_dev.raw_objects` USING (SELECT 1) ON FALSE WHEN NOT MATCHED BY SOURCE THEN DELETE",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE `events_dev.raw_objects`",
        "SELEC 1",
        "SELECT 'open",
        "SELECT (",
        "",
        "-- nothing",
        ";",
        "SELECT nothing FROM `events_dev.event_log`",
        "SELECT * FROM `events_dev.nothing`",
        "SELECT @missing AS x",
    ],
)
def test_what_is_no_query_is_refused(ran: Bench, statement: str) -> None:
    """Anything but one valid SELECT is a QueryError, and the tables stay as they are."""
    with pytest.raises(QueryError, match=r"^query: "):
        ran.store.query(statement)
    assert ran.store.check_tables() == []
    assert ran.count("raw_objects") == 3


@pytest.mark.parametrize("type_name", ["INT64", "TIMESTAMP", "DATE", "BOOL", "FLOAT64"])
def test_a_failing_query_quotes_no_object(ran: Bench, type_name: str) -> None:
    """A value that cannot be converted is an error without the value; SAFE_CAST gives NULL."""
    cast = f"CAST(JSON_VALUE(payload, '$.snippet') AS {type_name})"
    with pytest.raises(QueryError) as caught:
        ran.store.query(f"SELECT {cast} AS v FROM `events_dev.raw_objects`")
    assert SECRET not in f"{caught.value} {caught.value.next_step}"
    assert ran.rows(f"SELECT DISTINCT SAFE_{cast} AS v FROM `events_dev.raw_objects`") == [{"v": None}]


def test_a_query_may_be_asked_of_empty_tables(empty_bench: Bench) -> None:
    """No rows are a table with columns and no rows."""
    table = empty_bench.store.query("SELECT * FROM `events_dev.event_log`")
    assert (table.num_rows, table.num_columns) == (0, 11)


def test_lists_inside_objects_can_be_opened(bench: Bench) -> None:
    """UNNEST of a JSON list, as queries on mail headers need it."""
    bench.upsert([{"id": "1", "labelIds": ["INBOX", "STARRED"]}, {"id": "2", "labelIds": ["INBOX"]}])
    found = bench.rows(
        """SELECT JSON_VALUE(label) AS label, COUNT(*) AS n
           FROM `events_dev.raw_objects`, UNNEST(JSON_QUERY_ARRAY(payload, '$.labelIds')) AS label
           GROUP BY label ORDER BY label"""
    )
    assert found == [{"label": "INBOX", "n": 2}, {"label": "STARRED", "n": 1}]


def test_payloads_come_as_json_text(bench: Bench) -> None:
    """A JSON column read as Python is JSON text."""
    bench.upsert([{"id": "1", "n": None}])
    [row] = bench.rows("SELECT payload FROM `events_dev.raw_objects`")
    assert json.loads(row["payload"]) == {"id": "1", "n": None}


def test_only_the_rows_asked_for_are_fetched(empty_bench: Bench) -> None:
    """`max_rows` bounds the result, in the order of the query."""
    numbers = "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n ORDER BY n DESC"

    assert empty_bench.store.query(numbers, max_rows=2).to_pylist() == [{"n": 1000}, {"n": 999}]
    assert empty_bench.store.query(numbers, max_rows=0).num_rows == 0
    assert empty_bench.store.query(numbers).num_rows == 1000


def test_two_columns_of_one_name_are_refused(empty_bench: Bench) -> None:
    """One of them would be lost in a row that is a JSON object."""
    with pytest.raises(QueryError, match="same name"):
        empty_bench.store.query("SELECT 1 AS a, 2 AS a")
