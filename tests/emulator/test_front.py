"""The front does what its docstring says, seen by the real client."""

import gzip
import http.client
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ReadTimeout

from tests.emulator.front import (
    Fault,
    ServiceFront,
    answer,
    cut_before,
    delay,
    lose_answer,
    rewrite,
    service_error,
    service_front,
)
from tests.emulator.process import running_emulator

SCHEMA = [
    bigquery.SchemaField("id", "STRING", "REQUIRED"),
    bigquery.SchemaField("payload", "JSON"),
]
INSERT_ALL = r"/insertAll"
JOBS = r"^/bigquery/v2/projects/p/jobs"


@pytest.fixture(scope="module")
def front() -> Iterator[ServiceFront]:
    with running_emulator() as endpoint, service_front(endpoint) as front:
        yield front


@dataclass
class Desk:
    """A client with a dataset of its own."""

    client: bigquery.Client
    dataset: str

    def query(self, sql: str, **options: Any) -> list[dict[str, Any]]:
        job = self.client.query(sql, retry=None, job_retry=None, timeout=20, **options)
        return [dict(row) for row in job.result(retry=None, timeout=20)]

    def create(self, name: str = "t") -> str:
        """A table with the columns of `SCHEMA`, by SQL."""
        self.query(f"CREATE TABLE `{self.dataset}.{name}` (id STRING NOT NULL, payload JSON)")
        return f"p.{self.dataset}.{name}"

    def insert(self, table: str, *ids: str, **extra: Any) -> Any:
        rows = [{"id": id_, "payload": {"n": 1}} | extra for id_ in ids]
        url = f"/projects/p/datasets/{self.dataset}/tables/{table.rpartition('.')[2]}/insertAll"
        wire = [{"insertId": r["id"], "json": r | {"payload": json.dumps(r["payload"])}} for r in rows]
        return self.client._call_api(None, method="POST", path=url, data={"rows": wire}, timeout=20)

    def ids(self, table: str) -> list[str]:
        return [row["id"] for row in self.query(f"SELECT id FROM `{table}` ORDER BY id")]

    def load(self, table: str, *ids: str, job_id: str | None = None, **options: Any) -> bigquery.LoadJob:
        lines = b"".join(json.dumps({"id": id_, "payload": {"n": 1}}).encode() + b"\n" for id_ in ids)
        config = bigquery.LoadJobConfig(
            source_format="NEWLINE_DELIMITED_JSON", schema=SCHEMA, write_disposition="WRITE_APPEND"
        )
        return self.client.load_table_from_file(
            io.BytesIO(lines), table, job_id=job_id, job_config=config, timeout=20, **options
        )

    def columns(self, table: str) -> list[tuple[str, str, str]]:
        schema = self.client.get_table(table, retry=None, timeout=20).schema
        return [(field.name, field.field_type, field.mode) for field in schema]


@pytest.fixture
def desk(front: ServiceFront) -> Iterator[Desk]:
    client = bigquery.Client(
        project="p",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": front.endpoint},
    )
    dataset = f"d_{uuid4().hex}"
    client.create_dataset(dataset, retry=None, timeout=20)
    front.reset()
    yield Desk(client, dataset)
    front.reset()
    client.close()


def test_a_row_whose_insert_id_was_taken_is_dropped(desk: Desk) -> None:
    """Sent again, alone or with others, a row is stored once."""
    table = desk.create()
    desk.insert(table, "a")
    desk.query(f"CREATE TABLE IF NOT EXISTS `{table}` (id STRING)")
    assert desk.insert(table, "a") == {"kind": "bigquery#tableDataInsertAllResponse"}
    desk.insert(table, "a", "b", "b")
    assert desk.ids(table) == ["a", "b"]
    desk.client.delete_table(table, retry=None, timeout=20)
    desk.create()
    desk.insert(table, "a")
    assert desk.ids(table) == ["a"]


def test_bad_rows_are_insert_errors_and_stop_the_others(desk: Desk) -> None:
    """Unknown fields and missing required columns are named, and nothing is stored."""
    table = desk.create()
    schema = [*SCHEMA, bigquery.SchemaField("more", "STRING")]
    rows = [{"id": "a"}, {"id": "b", "more": "x"}, {"payload": {}}]
    errors = desk.client.insert_rows(table, rows, selected_fields=schema, retry=None, timeout=20)
    assert [(e["index"], e["errors"][0]["reason"], e["errors"][0]["message"]) for e in errors] == [
        (0, "stopped", ""),
        (1, "invalid", "no such field: more."),
        (2, "invalid", "Missing required field: id."),
    ]
    assert desk.ids(table) == []


def test_an_object_in_place_of_json_text_is_an_insert_error(desk: Desk) -> None:
    """JSON columns take text; rows that are good are stored where the request asks for it."""
    table = desk.create()
    rows: list[dict[str, Any]] = [{"id": "a", "payload": {"n": 1}}, {"id": "b", "payload": '{"n": 1}'}]
    errors = desk.client.insert_rows_json(table, rows, skip_invalid_rows=True, retry=None, timeout=20)
    assert [e["errors"][0]["message"] for e in errors] == ["This field: payload is not a record."]
    assert desk.ids(table) == ["b"]


def test_insert_into_no_table_is_not_found(desk: Desk) -> None:
    """The emulator's 404 comes through."""
    with pytest.raises(NotFound):
        desk.insert(f"p.{desk.dataset}.nothing", "a")


def test_a_query_job_id_is_used_once(desk: Desk) -> None:
    """The second job with an id is a conflict, and does not run; a dry run takes no id."""
    table = desk.create()
    job_id, insert = uuid4().hex, f"INSERT INTO `{table}` (id) VALUES ('a')"
    dry = bigquery.QueryJobConfig(dry_run=True)
    desk.client.query("SELECT 1", job_id=job_id, job_config=dry, retry=None, job_retry=None, timeout=20)
    desk.query(insert, job_id=job_id)
    with pytest.raises(Conflict) as caught:
        desk.query(insert, job_id=job_id)
    assert caught.value.errors[0]["reason"] == "duplicate"
    assert f"Already Exists: Job p:US.{job_id}" in caught.value.message
    assert desk.ids(table) == ["a"]
    assert desk.client.get_job(job_id, retry=None, timeout=20).done(retry=None, timeout=20)


@pytest.mark.parametrize("size", [None, "known"], ids=["resumable", "multipart"])
def test_a_load_job_is_known_by_the_clients_id(desk: Desk, front: ServiceFront, size: str | None) -> None:
    """A load job keeps its id, is found by it, and the id is used once."""
    table, job_id = desk.create(), uuid4().hex
    options = {"size": len(b'{"id": "a", "payload": {"n": 1}}\n')} if size else {}
    job = desk.load(table, "a", job_id=job_id, **options)
    assert job.job_id == job_id
    assert job.result(retry=None, timeout=20).output_rows == 1
    again = desk.client.get_job(job_id, retry=None, timeout=20)
    assert (again.job_id, again.state, again.output_rows) == (job_id, "DONE", 1)
    with pytest.raises(Conflict):
        desk.load(table, "b", job_id=job_id, **options)
    assert desk.ids(table) == ["a"]
    kinds = [r.path.partition("uploadType=")[2][:9] for r in front.seen("POST", "^/upload")]
    assert kinds == ["multipart" if size else "resumable"] * 2


def test_a_load_into_no_table_is_not_found(desk: Desk) -> None:
    """The job fails with the reason that the service gives, each time it is asked for."""
    config = bigquery.LoadJobConfig(create_disposition="CREATE_NEVER", source_format="CSV", schema=SCHEMA[:1])
    table, job_id = f"p.{desk.dataset}.nothing", uuid4().hex
    job = desk.client.load_table_from_file(
        io.BytesIO(b"a\n"), table, job_id=job_id, job_config=config, timeout=20
    )
    for seen in (job, desk.client.get_job(job_id, retry=None, timeout=20)):
        with pytest.raises(NotFound):
            seen.result(retry=None, timeout=20)


def test_a_table_made_by_sql_says_what_the_statement_said(desk: Desk) -> None:
    """Types, modes, descriptions, partitioning, clustering and labels are in the table's resource."""
    name = f"p.{desk.dataset}.t"
    desk.query(
        f"CREATE TABLE IF NOT EXISTS `{name}` (id STRING NOT NULL OPTIONS(description='the id'), "
        "made_at TIMESTAMP NOT NULL, payload JSON, tags ARRAY<STRING>, n INT64) "
        "PARTITION BY DATE(made_at) CLUSTER BY id OPTIONS(description='things', labels=[('a', 'b')])"
    )
    desk.query(f"CREATE TABLE IF NOT EXISTS `{name}` (other INT64)")
    assert desk.columns(name) == [
        ("id", "STRING", "REQUIRED"),
        ("made_at", "TIMESTAMP", "REQUIRED"),
        ("payload", "JSON", "NULLABLE"),
        ("tags", "STRING", "REPEATED"),
        ("n", "INTEGER", "NULLABLE"),
    ]
    table = desk.client.get_table(name, retry=None, timeout=20)
    assert (table.schema[0].description, table.description) == ("the id", "things")
    assert (table.time_partitioning.field, table.clustering_fields) == ("made_at", ["id"])
    assert table.labels == {"a": "b"}
    rows = [{"id": "a", "made_at": "2025-11-24T14:30:00Z", "payload": {"n": {"m": 1}}, "tags": ["x"], "n": 2}]
    assert desk.client.insert_rows(table, rows, row_ids=["a"], retry=None, timeout=20) == []
    stored = desk.query(f"SELECT payload, tags, n, JSON_VALUE(payload, '$.n.m') AS m FROM `{name}`")
    assert stored == [{"payload": {"n": {"m": 1}}, "tags": ["x"], "n": 2, "m": "1"}]


def test_alter_table_is_seen_in_the_table(desk: Desk) -> None:
    """Added, relaxed and dropped columns are in the table's resource, and rows can be streamed."""
    table = desk.create()
    options = bigquery.QueryJobConfig(default_dataset=f"p.{desk.dataset}")
    desk.query("ALTER TABLE t ADD COLUMN IF NOT EXISTS trace STRING", job_config=options)
    desk.query("ALTER TABLE t ADD COLUMN IF NOT EXISTS trace STRING", job_config=options)
    desk.query(f"ALTER TABLE `{table}` ALTER COLUMN id DROP NOT NULL")
    assert desk.columns(table) == [
        ("id", "STRING", "NULLABLE"),
        ("payload", "JSON", "NULLABLE"),
        ("trace", "STRING", "NULLABLE"),
    ]
    assert desk.insert(table, "a", trace="x") == {"kind": "bigquery#tableDataInsertAllResponse"}
    assert desk.query(f"SELECT trace FROM `{table}`") == [{"trace": "x"}]
    desk.query(f"ALTER TABLE `{table}` DROP COLUMN IF EXISTS trace")
    assert [name for name, _, _ in desk.columns(table)] == ["id", "payload"]


def test_a_view_that_is_there_is_not_made_anew(desk: Desk) -> None:
    """`IF NOT EXISTS` leaves it as it is; `OR REPLACE` does not, and one that is gone is made."""
    name = f"{desk.dataset}.v"
    for text in ("1 AS a", "2 AS b"):
        desk.query(f"CREATE VIEW IF NOT EXISTS `{name}` AS SELECT {text}")
        assert desk.query(f"SELECT * FROM `{name}`") == [{"a": 1}]
    desk.query(f"CREATE OR REPLACE VIEW `{name}` AS SELECT 3 AS c")
    assert desk.query(f"SELECT * FROM `{name}`") == [{"c": 3}]
    desk.query(f"DROP VIEW `{name}`")
    desk.query(f"CREATE VIEW IF NOT EXISTS `{name}` AS SELECT 4 AS d")
    assert desk.query(f"SELECT * FROM `{name}`") == [{"d": 4}]


def test_an_alter_table_that_fails_changes_nothing(desk: Desk) -> None:
    """The table's resource follows statements that succeeded."""
    table = desk.create()
    with pytest.raises(BadRequest):
        desk.query(f"ALTER TABLE `{table}` ADD COLUMN payload STRING")
    assert len(desk.columns(table)) == 2


def test_a_compressed_request_is_understood(desk: Desk, front: ServiceFront) -> None:
    """Bodies with `Content-Encoding: gzip` arrive, and faults see what is in them."""
    table = desk.create()
    path = f"/bigquery/v2/projects/p/datasets/{desk.dataset}/tables/t/insertAll"
    front.fail(Fault(method="POST", path=INSERT_ALL, body='"id": "b"', action=answer(503, {})))
    body = gzip.compress(json.dumps({"rows": [{"json": {"id": "a"}}]}).encode())
    connection = http.client.HTTPConnection(urlsplit(front.endpoint).netloc, timeout=20)
    for sent in (body, [body]):  # with a length, and in chunks
        connection.request("POST", path, sent, {"Content-Encoding": "gzip"})
        assert connection.getresponse().read() == b'{"kind": "bigquery#tableDataInsertAllResponse"}'
    connection.close()
    assert desk.ids(table) == ["a", "a"]


def test_a_fault_answers_in_place_of_the_service(desk: Desk, front: ServiceFront) -> None:
    """`answer` is given `times` times after `after` requests, to requests that match, and not forwarded."""
    table = desk.create()
    error = service_error(403, "rateLimitExceeded", "Exceeded rate limits")
    fault = answer(403, error, {"Retry-After": "1"})
    front.fail(
        Fault(method="POST", path=INSERT_ALL, action=fault, body='"insertId": "[abc]"', after=1, times=2)
    )
    desk.insert(table, "a")
    desk.insert(table, "x", payload="x")
    for _ in range(2):
        with pytest.raises(Forbidden) as caught:
            desk.insert(table, "b")
        assert caught.value.errors[0]["reason"] == "rateLimitExceeded"
    desk.insert(table, "c")
    assert desk.ids(table) == ["a", "c", "x"]
    assert [r.status for r in front.seen("POST", INSERT_ALL)] == [200, 200, 403, 403, 200]
    assert front.seen("POST", INSERT_ALL)[0].json == {
        "rows": [{"insertId": "a", "json": {"id": "a", "payload": '{"n": 1}'}}]
    }


def test_a_connection_cut_before_loses_the_request(desk: Desk, front: ServiceFront) -> None:
    """`cut_before` resets the connection, and the service never sees the request."""
    table = desk.create()
    front.fail(Fault(method="POST", path=INSERT_ALL, action=cut_before()))
    with pytest.raises(RequestsConnectionError):
        desk.insert(table, "a")
    assert desk.ids(table) == []
    assert [(r.json, r.status) for r in front.seen("POST", INSERT_ALL)] == [(None, None)]


def test_a_connection_cut_within_an_upload(desk: Desk, front: ServiceFront) -> None:
    """The client goes on with the session, and the file is loaded once."""
    table = desk.create()
    front.fail(Fault(method="PUT", path="^/upload/", action=cut_before()))
    desk.load(table, *[f"{n:06}" for n in range(50_000)]).result(retry=None, timeout=20)
    assert desk.query(f"SELECT COUNT(*) AS n FROM `{table}`") == [{"n": 50_000}]
    assert [r.status for r in front.seen("PUT", "^/upload/")] == [None, 200]


@pytest.mark.parametrize("way", ["stream", "query", "load"])
def test_a_lost_answer_is_work_that_was_done(desk: Desk, front: ServiceFront, way: str) -> None:
    """After `lose_answer` the client sees a broken connection, and what it asked for has happened."""
    table, job_id = desk.create(), uuid4().hex
    if way == "load":
        front.fail(Fault(method="PUT", path="^/upload/", action=lose_answer()))
        assert desk.load(table, "a", job_id=job_id).job_id == job_id  # the client itself sends it again
        assert [r.status for r in front.seen("PUT", "^/upload/")] == [None, 200]
    else:
        send: Callable[[], Any] = lambda: desk.insert(table, "a")  # noqa: E731
        if way == "query":
            send = lambda: desk.query(f"INSERT `{table}` (id) VALUES ('a')", job_id=job_id)  # noqa: E731
        front.fail(Fault(method="POST", path=INSERT_ALL if way == "stream" else JOBS, action=lose_answer()))
        with pytest.raises(RequestsConnectionError):
            send()
        if way == "query":
            with pytest.raises(Conflict):
                send()
        else:
            send()
    assert desk.ids(table) == ["a"]


def test_a_delayed_request_is_late(desk: Desk, front: ServiceFront) -> None:
    """`delay` holds a request back for longer than the client waits; it is carried out all the same."""
    table = desk.create()
    front.fail(Fault(method="POST", path=INSERT_ALL, action=delay(0.5)))
    with pytest.raises(ReadTimeout):
        desk.client.insert_rows(table, [{"id": "a"}], selected_fields=SCHEMA, retry=None, timeout=0.1)
    deadline = time.monotonic() + 20
    while not front.seen("POST", INSERT_ALL) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert desk.ids(table) == ["a"]


def test_an_answer_is_rewritten(desk: Desk, front: ServiceFront) -> None:
    """`rewrite` changes the JSON that the service answered."""

    def with_bytes(job: dict[str, Any]) -> dict[str, Any]:
        job["statistics"]["totalBytesProcessed"] = "1234"
        job["statistics"]["query"]["totalBytesProcessed"] = "1234"
        return job

    front.fail(Fault(method="POST", path=JOBS, body="SELECT 1", action=rewrite(with_bytes)))
    config = bigquery.QueryJobConfig(dry_run=True)
    job = desk.client.query("SELECT 1", job_config=config, retry=None, job_retry=None, timeout=20)
    assert job.total_bytes_processed == 1234


def test_reset_forgets(desk: Desk, front: ServiceFront) -> None:
    """After `reset` no fault is left, and no request is known."""
    table = desk.create()
    front.fail(Fault(method="POST", path=INSERT_ALL, action=cut_before(), times=9))
    front.reset()
    assert front.requests == []
    desk.insert(table, "a")
    assert [r.path.partition("?")[0].rpartition("/")[2] for r in front.requests] == ["insertAll"]
