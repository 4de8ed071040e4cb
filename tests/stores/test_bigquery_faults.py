"""What the BigQuery store makes of a service that fails: once and only once, or one clear error.

The faults have the service's own form. Each is asked for at one request of the real client.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from lorchestra.errors import (
    QueryError,
    StoreAccessError,
    StoreAuthError,
    StoreError,
    StoreQuotaError,
    StoreSchemaError,
    StoreUnreachableError,
)
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import UpsertResult
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import open_store
from lorchestra.stores.bigquery import BigQueryStore
from tests.emulator.faults import Answered
from tests.emulator.front import (
    Fault,
    ServiceFront,
    answer,
    cut_before,
    lose_answer,
    rewrite,
    service_error,
)
from tests.emulator.wire import Answer

SOURCE = "tap-gmail--acct1-personal"
RUN_ID = "gmail.ingest-acct1-20251124143000"
SECRET = "Paracelsus-4711"
STAGING = r"/tables/temp_objects_"

UPLOAD = ("PUT", "^/upload/")
BEGIN_UPLOAD = ("POST", "^/upload/")
MERGE = ("POST", r"/projects/[^/]+/jobs", r'"query": ?"[^"]*MERGE (?!.*"dryRun": ?true)')
COUNT = ("POST", r"/projects/[^/]+/jobs", "COUNTIF")
INSERT = ("POST", "/insertAll")
NEW_TABLE = ("POST", r"/tables(\?|$)")
DROP = ("DELETE", STAGING)


@pytest.fixture
def store(bigquery_service: ServiceFront) -> Iterator[BigQueryStore]:
    """An empty store whose calls are repeated for a few seconds."""
    with open_store(f"bigquery://p{uuid4().hex[:20]}/events_dev", busy_timeout_seconds=4) as store:
        assert isinstance(store, BigQueryStore)
        store.create_tables()
        bigquery_service.reset()
        yield store


def fault(where: tuple[str, ...], action: Any, **more: int) -> Fault:
    method, path, *body = where
    return Fault(method=method, path=path, body=body[0] if body else None, action=action, **more)


def failing(status: int, reason: str) -> Any:
    return answer(status, service_error(status, reason, f"What the service says, {SECRET}."))


def upsert(store: Any, objects: list[dict[str, Any]] | None = None, **more: Any) -> UpsertResult:
    arguments: dict[str, Any] = {
        "objects": objects or [{"id": str(number), "snippet": SECRET} for number in range(3)],
        "source_system": SOURCE,
        "object_type": "email",
        "correlation_id": RUN_ID,
        "idem_key_fn": gmail_idem_key(SOURCE),
        "bq_client": store,
    }
    return upsert_objects(**(arguments | more))


def log(store: Any, **more: Any) -> str:
    arguments: dict[str, Any] = {
        "event_type": "job.started",
        "source_system": "lorchestra",
        "correlation_id": RUN_ID,
        "payload": {"note": SECRET},
        "bq_client": store,
    }
    return log_event(**(arguments | more))


def ids(store: BigQueryStore) -> list[str]:
    sql = "SELECT external_id FROM `events_dev.raw_objects` ORDER BY external_id"
    found: list[str] = store.query(sql).column("external_id").to_pylist()
    return found


def staging_tables(store: BigQueryStore) -> list[str]:
    names = [item.table_id for item in store.connection.client.list_tables("events_dev")]
    return [name for name in names if name.startswith("temp_objects_")]


def job_ids(front: ServiceFront, content: str) -> list[str]:
    """The ids of the jobs that were asked for, whose request has this in it; no dry runs."""
    sent = [one.json or {} for one in front.seen("POST", r"/projects/[^/]+/jobs")]
    return [
        one["jobReference"]["jobId"]
        for one in sent
        if content in json.dumps(one) and not one.get("configuration", {}).get("dryRun")
    ]


# What repeats, and how often it counts

PAGE = Answered(Answer(200, [("Content-Type", "text/html")], b"<html>Sign in to the network</html>"))

ONCE: list[tuple[str, tuple[str, ...], Any]] = [
    ("the table is made, the answer lost", NEW_TABLE, lose_answer()),
    ("the name of the table was another's, who has dropped it", NEW_TABLE, failing(409, "duplicate")),
    ("the upload cannot begin", BEGIN_UPLOAD, failing(503, "backendError")),
    ("the upload is cut", UPLOAD, cut_before()),
    ("the upload is refused for a moment", UPLOAD, failing(500, "internalError")),
    ("loaded, the answer lost", UPLOAD, lose_answer()),
    ("too many requests", COUNT, failing(429, "rateLimitExceeded")),
    ("too many requests, as a 403", COUNT, failing(403, "rateLimitExceeded")),
    ("the id of the load is taken", BEGIN_UPLOAD, failing(409, "duplicate")),
    ("the id of the MERGE is taken", MERGE, failing(409, "duplicate")),
    ("the MERGE is not taken", MERGE, failing(503, "backendError")),
    ("the MERGE is cut", MERGE, cut_before()),
    ("a proxy answers in its place", MERGE, PAGE),
    ("a proxy takes the upload", UPLOAD, PAGE),
    ("merged, the answer lost", MERGE, lose_answer()),
    ("the table cannot be dropped for a moment", DROP, failing(502, "badGateway")),
    ("dropped, the answer lost", DROP, lose_answer()),
]


@pytest.mark.parametrize(("where", "action"), [case[1:] for case in ONCE], ids=[case[0] for case in ONCE])
def test_a_passing_fault_is_not_noticed(
    store: BigQueryStore, bigquery_service: ServiceFront, where: tuple[str, ...], action: Any
) -> None:
    """Whatever fails once is repeated: every object is there once, and no staging table."""
    bigquery_service.fail(fault(where, action))

    result = upsert(store)

    assert (result.inserted, result.updated, result.unchanged) == (3, 0, 0)
    assert ids(store) == ["0", "1", "2"]
    assert staging_tables(store) == []


def test_a_merge_whose_answer_is_lost_is_found_and_not_run_again(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """The job's id is known before it is sent: the next request finds the job instead of starting another."""
    bigquery_service.fail(fault(MERGE, lose_answer()))

    upsert(store)

    merges = job_ids(bigquery_service, "MERGE ")
    assert len(set(merges)) == 1
    assert len(merges) == 1
    assert bigquery_service.seen("GET", f"/jobs/{merges[0]}")


def test_a_load_whose_answer_is_lost_is_not_sent_again(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """A batch goes up once, even when nobody heard that it arrived."""
    bigquery_service.fail(fault(UPLOAD, lose_answer()))
    upsert(store)
    assert len(bigquery_service.seen("POST", "^/upload/")) == 1


def test_a_job_that_the_service_gives_up_runs_again_under_another_id(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """A job that failed for the service's own reasons has done nothing and cannot be revived."""

    def give_up(job: dict[str, Any]) -> dict[str, Any]:
        trouble = {"reason": "backendError", "message": "Error encountered during execution."}
        return {**job, "status": {"state": "DONE", "errorResult": trouble, "errors": [trouble]}}

    bigquery_service.fail(fault(UPLOAD, rewrite(give_up)))
    # The state that is asked for after that.
    bigquery_service.fail(Fault(method="GET", path=r"/jobs/lorchestra-", action=rewrite(give_up)))

    assert upsert(store).inserted == 3

    begun = [one.json or {} for one in bigquery_service.seen("POST", "^/upload/")]
    first, second = (one["jobReference"]["jobId"] for one in begun)
    assert second == f"{first}-2"
    assert ids(store) == ["0", "1", "2"]


def test_a_merge_that_conflicts_with_another_runs_again_under_another_id(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """Two runs that merge at the same moment: the service takes one back, with an error of its own words."""

    def conflict(job: dict[str, Any]) -> dict[str, Any]:
        message = "Could not serialize access to table p:events_dev.raw_objects due to concurrent update"
        trouble = {"reason": "invalidQuery", "message": message}
        return {**job, "status": {"state": "DONE", "errorResult": trouble, "errors": [trouble]}}

    bigquery_service.fail(fault(MERGE, rewrite(conflict)))
    # The state that is asked for after that.
    bigquery_service.fail(Fault(method="GET", path=r"/jobs/lorchestra-.*-merge", action=rewrite(conflict)))

    assert upsert(store).inserted == 3

    # Here the first had its effect all the same; what is there already is merged once more.
    first, second, *_ = job_ids(bigquery_service, "MERGE ")
    assert second == f"{first}-2"
    assert ids(store) == ["0", "1", "2"]
    assert staging_tables(store) == []


# What ends in an error

FOR_GOOD: list[tuple[str, tuple[str, ...], Any, type[StoreError], str]] = [
    (
        "no right to make tables",
        NEW_TABLE,
        failing(403, "accessDenied"),
        StoreAccessError,
        "lorchestra doctor",
    ),
    ("the login has ended", COUNT, failing(401, "authError"), StoreAuthError, "gcloud auth"),
    ("no right to load", BEGIN_UPLOAD, failing(403, "accessDenied"), StoreAccessError, "lorchestra doctor"),
    ("no right to run jobs", COUNT, failing(403, "accessDenied"), StoreAccessError, "lorchestra doctor"),
    ("a quota of loads", BEGIN_UPLOAD, failing(403, "quotaExceeded"), StoreQuotaError, "later"),
    ("a quota of queries", MERGE, failing(403, "quotaExceeded"), StoreQuotaError, "later"),
    ("the dataset is gone", NEW_TABLE, failing(404, "notFound"), StoreSchemaError, "lorchestra setup"),
    (
        "the service is down for loads",
        BEGIN_UPLOAD,
        failing(503, "backendError"),
        StoreUnreachableError,
        "later",
    ),
    ("the service is down for queries", COUNT, failing(500, "internalError"), StoreUnreachableError, "later"),
    ("nobody answers", MERGE, cut_before(), StoreUnreachableError, "later"),
    (
        "two staged rows for one object",
        MERGE,
        answer(
            400,
            service_error(
                400, "invalidQuery", "UPDATE/MERGE must match at most one source row for each target row"
            ),
        ),
        StoreSchemaError,
        "setup --check",
    ),
]


@pytest.mark.parametrize("case", FOR_GOOD, ids=[case[0] for case in FOR_GOOD])
def test_a_lasting_fault_is_one_clear_error(
    store: BigQueryStore,
    bigquery_service: ServiceFront,
    case: tuple[str, tuple[str, ...], Any, type[StoreError], str],
) -> None:
    """The error has its class, names the next step, repeats nothing; no object, no staging table is left."""
    _, where, action, kind, step = case
    bigquery_service.fail(fault(where, action, times=1000))

    with pytest.raises(StoreError) as caught:
        upsert(store)

    assert type(caught.value) is kind
    assert step in str(caught.value.next_step)
    assert SECRET not in f"{caught.value} {caught.value.next_step} {caught.value.__cause__}"
    bigquery_service.reset()
    assert ids(store) == []
    assert staging_tables(store) == []


def test_ids_that_are_always_taken_come_to_an_end(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """A service that says so of every id is not asked for ever."""
    bigquery_service.fail(fault(MERGE, failing(409, "duplicate"), times=1000))
    with pytest.raises(StoreError, match="duplicate"):
        upsert(store)
    assert len(set(job_ids(bigquery_service, "MERGE "))) == 20
    bigquery_service.reset()
    assert staging_tables(store) == []


def test_what_cannot_succeed_is_not_repeated(store: BigQueryStore, bigquery_service: ServiceFront) -> None:
    """A refusal is asked for once."""
    bigquery_service.fail(fault(BEGIN_UPLOAD, failing(403, "accessDenied"), times=1000))
    with pytest.raises(StoreAccessError):
        upsert(store)
    assert len(bigquery_service.seen("POST", "^/upload/")) == 1


def test_a_load_that_fails_tells_the_reason_only(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """The service quotes the line it choked on; we do not."""

    def choke(job: dict[str, Any]) -> dict[str, Any]:
        trouble = {"reason": "invalid", "location": "gs://x", "message": f"Error while parsing {SECRET}"}
        return {**job, "status": {"state": "DONE", "errorResult": trouble, "errors": [trouble]}}

    bigquery_service.fail(fault(UPLOAD, rewrite(choke)))
    bigquery_service.fail(Fault(method="GET", path=r"/jobs/lorchestra-", action=rewrite(choke), times=9))
    with pytest.raises(StoreError, match="invalid") as caught:
        upsert(store)
    assert SECRET not in str(caught.value)
    bigquery_service.reset()
    assert staging_tables(store) == []


def test_a_staging_table_that_stays_does_not_hide_what_was_merged(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """What was merged counts; the table that could not be dropped is told of, and has an end of its own."""
    bigquery_service.fail(fault(DROP, failing(503, "backendError"), times=1000))
    result = upsert(store)
    assert (result.inserted, result.usage["staging_tables_left"]) == (3, 1)
    [made] = [one.json or {} for one in bigquery_service.seen("POST", r"/tables\?")]
    expires = datetime.fromtimestamp(int(made["expirationTime"]) / 1000, UTC)
    assert timedelta(hours=1) < expires - datetime.now(UTC) <= timedelta(hours=25)


# Events


def test_an_event_whose_answer_is_lost_is_one_row(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """The event's id is its insertId, so the service drops what it is sent again."""
    bigquery_service.fail(fault(INSERT, lose_answer()))
    event_id = log(store)
    first, second = bigquery_service.seen("POST", "/insertAll")
    assert [row["insertId"] for one in (first, second) for row in one.json["rows"]] == [event_id] * 2
    assert store.query("SELECT event_id FROM `events_dev.event_log`").column(0).to_pylist() == [event_id]


def test_an_event_that_is_delivered_late_is_looked_for_first(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """After a minute the service has forgotten the insertId; then the log itself is asked."""
    late = make_event(event_type="job.failed", source_system="lorchestra", correlation_id=RUN_ID)
    late = replace(late, created_at=datetime.now(UTC) - timedelta(hours=1))
    store.append_events([late])
    sent = len(bigquery_service.seen("POST", "/insertAll"))
    store.append_events([late])
    assert len(bigquery_service.seen("POST", "/insertAll")) == sent


def test_a_refused_row_is_told_by_field_and_reason(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """Of insertErrors, the first that is a row's own is told: field and reason, never the value."""
    errors = {
        "kind": "bigquery#tableDataInsertAllResponse",
        "insertErrors": [
            {"index": 0, "errors": [{"reason": "stopped", "location": "", "message": ""}]},
            {
                "index": 1,
                "errors": [
                    {"reason": "invalid", "location": "payload", "message": f"This field: {SECRET} is bad"}
                ],
            },
        ],
    }
    bigquery_service.fail(fault(INSERT, answer(200, errors)))
    with pytest.raises(StoreSchemaError, match=r"event_log: payload: .*invalid") as caught:
        log(store)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("times", [1, 1000])
def test_a_row_that_is_not_taken_for_a_moment_is_sent_again(
    store: BigQueryStore, bigquery_service: ServiceFront, times: int
) -> None:
    """insertErrors may also say that the service itself is in trouble: that passes, or is told as such."""
    trouble = {"reason": "backendError", "location": "", "message": ""}
    errors = {"insertErrors": [{"index": 0, "errors": [trouble]}]}
    bigquery_service.fail(fault(INSERT, answer(200, errors), times=times))
    if times > 1:
        with pytest.raises(StoreUnreachableError, match=r"event_log: .*backendError"):
            log(store)
        return
    event_id = log(store)
    assert store.query("SELECT event_id FROM `events_dev.event_log`").column(0).to_pylist() == [event_id]


def test_a_table_that_was_just_made_is_waited_for(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """The streaming insert sees a new table late: then it is tried again, and the event looked for."""
    bigquery_service.fail(fault(INSERT, failing(404, "notFound"), times=2))
    event_id = log(store)
    assert store.query("SELECT event_id FROM `events_dev.event_log`").column(0).to_pylist() == [event_id]


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "accessDenied", StoreAccessError),
        (403, "quotaExceeded", StoreQuotaError),
        (503, "backendError", StoreUnreachableError),
    ],
)
def test_an_event_that_cannot_be_written_is_one_clear_error(
    store: BigQueryStore,
    bigquery_service: ServiceFront,
    status: int,
    reason: str,
    kind: type[StoreError],
) -> None:
    """A refused event is an error of its class, and is not there."""
    bigquery_service.fail(fault(INSERT, failing(status, reason), times=1000))
    with pytest.raises(kind):
        log(store)
    bigquery_service.reset()
    assert store.query("SELECT event_id FROM `events_dev.event_log`").num_rows == 0


# What is sent


def test_a_hundred_objects_cost_one_load_one_merge_one_drop(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """Calls do not grow with the objects; the run's telemetry counts them."""
    result = upsert(store, [{"id": str(number)} for number in range(100)])

    assert len(bigquery_service.seen("POST", "^/upload/")) == 1
    assert len(job_ids(bigquery_service, "MERGE ")) == 1
    assert len(bigquery_service.seen("DELETE", STAGING)) == 1
    assert result.usage["load_jobs"] == 1
    # The table made, loaded, looked at, a dry run, the MERGE, the table dropped.
    assert result.usage["api_calls"] == 6
    assert result.usage["dml_statements"] == 1
    assert result.usage.keys() >= {"bytes_estimated", "bytes_processed", "bytes_billed", "api_calls"}


def test_bytes_come_from_the_services_statistics(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """What the dry run says before and the job's statistics after is in the result."""

    def statistics(job: dict[str, Any]) -> dict[str, Any]:
        told = job.get("statistics", {})
        read = {"totalBytesProcessed": "1000", "totalBytesBilled": "10485760"}
        return {**job, "statistics": {**told, "query": {**told.get("query", {}), **read}}}

    bigquery_service.fail(
        Fault(method="POST", path=r"/projects/[^/]+/jobs", body="MERGE ", action=rewrite(statistics), times=9)
    )
    bigquery_service.fail(Fault(method="GET", path=r"/jobs/", action=rewrite(statistics), times=99))
    usage = upsert(store).usage
    assert usage["bytes_estimated"] == 1000
    assert usage["bytes_processed"] >= 1000
    assert usage["bytes_billed"] >= 10485760


def test_jobs_are_named_after_run_batch_and_step(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """Ids and labels tell job and run; staging tables are named after run and batch."""
    upsert(store, [{"id": str(number)} for number in range(4)], batch_size=2)

    begun = [one.json or {} for one in bigquery_service.seen("POST", "^/upload/")]
    loads = [one["jobReference"]["jobId"] for one in begun]
    assert [identity.rpartition("-")[0][-2:] for identity in loads] == ["-0", "-1"]
    assert all(identity.startswith("lorchestra-gmail_ingest-acct1-20251124143000-") for identity in loads)
    assert {tuple(sorted(one["configuration"]["labels"].items())) for one in begun} == {
        (
            ("lorchestra_job", "gmail_ingest-acct1"),
            ("lorchestra_run", "gmail_ingest-acct1-20251124143000"),
        )
    }
    tables = [one["configuration"]["load"]["destinationTable"]["tableId"] for one in begun]
    assert tables == [f"temp_objects_gmail_ingest_acct1_20251124143000_{index}" for index in (0, 1)]


def test_two_calls_under_one_run_id_do_not_meet(store: BigQueryStore, bigquery_service: ServiceFront) -> None:
    """A second call's first batch has a job and, where the first's is still there, a table of its own."""
    bigquery_service.fail(fault(DROP, failing(403, "accessDenied")))
    upsert(store, [{"id": "1"}])
    assert len(staging_tables(store)) == 1
    upsert(store, [{"id": "2"}])
    assert ids(store) == ["1", "2"]
    assert len(staging_tables(store)) == 1


def test_the_merge_is_bounded_by_the_keys_of_its_batch(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """The smallest and the largest key go along as constants, so that the service reads what lies between."""
    upsert(store, [{"id": "7"}, {"id": "3"}, {"id": "5"}])
    [merge] = [
        one.json["configuration"]["query"]
        for one in bigquery_service.seen("POST", r"/projects/[^/]+/jobs")
        if "MERGE " in json.dumps(one.json) and not one.json["configuration"].get("dryRun")
    ]
    values = {one["name"]: one["parameterValue"]["value"] for one in merge["queryParameters"]}
    assert "BETWEEN @lo AND @hi" in merge["query"]
    assert (values["lo"], values["hi"]) == (f"{SOURCE}:email:3", f"{SOURCE}:email:7")


def test_objects_that_another_run_stored_meanwhile_are_merged(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """Between the look and the MERGE somebody else may insert a key: the newer payload still gets in."""
    with open_store(str(store.connection.target), busy_timeout_seconds=4) as other:
        done: list[int] = []

        def meanwhile(content: dict[str, Any]) -> dict[str, Any]:
            if not done:
                done.append(1)
                upsert(other, [{"id": "1", "by": "other"}], correlation_id="other-20251124143000")
            return content

        bigquery_service.fail(fault(COUNT, rewrite(meanwhile)))
        upsert(store, [{"id": "1", "by": "us"}, {"id": "2"}])
    rows = store.query("SELECT payload FROM `events_dev.raw_objects` WHERE external_id = '1'").to_pylist()
    assert [json.loads(row["payload"])["by"] for row in rows] == ["us"]


# A client of somebody else's


def test_a_plain_client_is_a_bq_client(
    store: BigQueryStore, bigquery_service: ServiceFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both functions take a google.cloud.bigquery.Client; its dataset is that of the environment."""
    client = bigquery.Client(
        project=store.connection.target.project,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": bigquery_service.endpoint},
    )
    with client:
        event_id = log(client)
        assert upsert(client).inserted == 3
        monkeypatch.setenv("EVENTS_BQ_DATASET", "nowhere")
        with pytest.raises(StoreSchemaError, match="not there"):
            log(client)
    assert ids(store) == ["0", "1", "2"]
    assert store.query("SELECT event_id FROM `events_dev.event_log`").column(0).to_pylist() == [event_id]


# Queries


def test_a_query_that_would_read_too_much_is_known_before(
    store: BigQueryStore, bigquery_service: ServiceFront
) -> None:
    """The dry run's estimate is given as it is."""

    def estimate(job: dict[str, Any]) -> dict[str, Any]:
        return {**job, "statistics": {"query": {"totalBytesProcessed": "123456789"}}}

    bigquery_service.fail(
        Fault(method="POST", path="/jobs", body='"dryRun": ?true', action=rewrite(estimate))
    )
    assert store.bytes_read("SELECT payload FROM `events_dev.raw_objects`") == 123456789
    with pytest.raises(QueryError, match=r"^query: "):
        store.bytes_read("SELECT nothing FROM `events_dev.raw_objects`")


def test_a_closed_store_opens_again(store: BigQueryStore) -> None:
    """Closing lets go of the connections; the next call makes new ones."""
    store.close()
    assert ids(store) == []
