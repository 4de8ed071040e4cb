"""The stores that the conformance suite runs on.

A store joins by one `StoreKind` in `STORES`. Where it cannot keep a promise, that is a field here, with
its reason, and never an `if` in a test.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from google.cloud import bigquery

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import UpsertResult
from lorchestra.setup import EVENT_LOG_COLUMNS, RAW_OBJECTS_COLUMNS
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stores import Store, open_store
from lorchestra.stores.bigquery import BigQueryStore
from lorchestra.stores.bigquery_schema import schema_of
from lorchestra.stores.duckdb import DuckDBStore

SOURCE = "tap-gmail--acct1-personal"
RUN_ID = "gmail_ingest_acct1-20251124143000"


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreKind:
    """A store as the suite sees it."""

    name: str
    #: A store with nothing in it, in default table names; each call gives another one.
    fresh: Callable[[Path], Store]
    #: Makes both tables; None where writing does, which elsewhere says that `create_tables` must come first.
    #: Views, which take longer, are made by `create_tables`.
    make_tables: Callable[[Store], None] | None
    #: Rows of one key that were doubled by hand become one when the object changes.
    heals_doubled_rows: bool
    #: The URL of a store.
    url: Callable[[Store], str]
    #: Runs one statement of the store's own SQL behind our back, to prepare what no method of ours would.
    run_sql: Callable[[Store, str], None]
    #: The store's own type names: STRING, JSON, TIMESTAMP, INT64.
    types: dict[str, str]
    #: U+0000 inside texts and JSON is kept.
    keeps_nul: bool
    #: Integers beyond 64 bits inside JSON are kept digit by digit.
    keeps_big_integers: bool


def _fresh_duckdb(folder: Path) -> Store:
    return open_store(f"duckdb:///{folder / f'{uuid4().hex}.duckdb'}")


def _url_of_duckdb(store: Store) -> str:
    assert isinstance(store, DuckDBStore)
    return f"duckdb:///{store.path}"


def _run_duckdb_sql(store: Store, statement: str) -> None:
    assert isinstance(store, DuckDBStore)
    with duckdb.connect(store.path) as connection:
        connection.execute(statement)


DUCKDB = StoreKind(
    name="duckdb",
    fresh=_fresh_duckdb,
    make_tables=None,
    heals_doubled_rows=True,
    url=_url_of_duckdb,
    run_sql=_run_duckdb_sql,
    types={
        "STRING": "VARCHAR",
        "JSON": "JSON",
        "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
        "INT64": "BIGINT",
    },
    keeps_nul=True,
    keeps_big_integers=True,
)


def _fresh_bigquery(folder: Path) -> Store:
    # A dataset is only empty once, but projects cost nothing.
    return open_store(f"bigquery://p{uuid4().hex[:20]}/events_dev", busy_timeout_seconds=3)


def _url_of_bigquery(store: Store) -> str:
    assert isinstance(store, BigQueryStore)
    return str(store.connection.target)


def _run_bigquery_sql(store: Store, statement: str) -> None:
    assert isinstance(store, BigQueryStore)
    store.connection.client.query(statement, job_retry=None).result(job_retry=None)


def _make_bigquery_tables(store: Store) -> None:
    assert isinstance(store, BigQueryStore)
    client, tables = store.connection.client, store.tables
    client.create_dataset(tables.dataset)
    for name, columns in (
        (tables.event_log, EVENT_LOG_COLUMNS),
        (tables.raw_objects, RAW_OBJECTS_COLUMNS),
    ):
        client.create_table(
            bigquery.Table(f"{client.project}.{tables.dataset}.{name}", schema=schema_of(columns))
        )


BIGQUERY = StoreKind(
    name="bigquery",
    fresh=_fresh_bigquery,
    make_tables=_make_bigquery_tables,
    # A MERGE can change both rows, or delete both, but not keep one.
    heals_doubled_rows=False,
    url=_url_of_bigquery,
    run_sql=_run_bigquery_sql,
    types={"STRING": "STRING", "JSON": "JSON", "TIMESTAMP": "TIMESTAMP", "INT64": "INT64"},
    keeps_nul=True,
    # The service keeps numbers in JSON as INT64, UINT64 or FLOAT64.
    keeps_big_integers=False,
)

STORES = (DUCKDB, BIGQUERY)


class Bench:
    """One store, with what a test does to it and asks of it."""

    def __init__(self, kind: StoreKind, folder: Path) -> None:
        self.kind = kind
        self.store = kind.fresh(folder)

    def upsert(self, objects: Iterable[Any], **overrides: Any) -> UpsertResult:
        """`upsert_objects` of one mailbox's mail, with whatever the test says differently."""
        arguments: dict[str, Any] = {
            "objects": objects,
            "bq_client": self.store,
            "source_system": SOURCE,
            "object_type": "email",
            "correlation_id": RUN_ID,
            "idem_key_fn": gmail_idem_key(SOURCE),
        }
        return upsert_objects(**(arguments | overrides))

    def log(self, **overrides: Any) -> str:
        """`log_event` of a job's start, with whatever the test says differently."""
        arguments: dict[str, Any] = {
            "bq_client": self.store,
            "event_type": "job.started",
            "source_system": "lorchestra",
            "correlation_id": RUN_ID,
        }
        return log_event(**(arguments | overrides))

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """The result of a GoogleSQL query as dicts."""
        result: list[dict[str, Any]] = self.store.query(sql, parameters).to_pylist()
        return result

    def objects(self) -> list[dict[str, Any]]:
        """Every row of raw_objects by key, payloads read from JSON."""
        found = self.rows("SELECT * FROM `events_dev.raw_objects` ORDER BY idem_key")
        return [row | {"payload": json.loads(row["payload"])} for row in found]

    def payloads(self) -> dict[str, Any]:
        """Key and payload of every row of raw_objects."""
        return {row["idem_key"]: row["payload"] for row in self.objects()}

    def events(self) -> list[dict[str, Any]]:
        """Every row of event_log, oldest first."""
        return self.rows("SELECT * FROM `events_dev.event_log` ORDER BY event_id")

    @property
    def url(self) -> str:
        """Where the store is."""
        return self.kind.url(self.store)

    def reopened(self) -> Store:
        """The same tables through another store, as the next process would open them."""
        return open_store(self.url, busy_timeout_seconds=3)

    def count(self, table: str) -> int:
        """The number of rows."""
        [row] = self.rows(f"SELECT COUNT(*) AS n FROM `events_dev.{table}`")
        return int(row["n"])

    def run_sql(self, statement: str) -> None:
        """Run the store's own SQL; `{event_log}` and `{raw_objects}` are the tables, `{INT64}` a type."""
        tables = self.store.tables
        names = {name: f"{tables.dataset}.{getattr(tables, name)}" for name in ("event_log", "raw_objects")}
        self.kind.run_sql(self.store, statement.format(**names, **self.kind.types))


@pytest.fixture(params=STORES, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> StoreKind:
    """The kind of store under test."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def reachable(kind: StoreKind, request: pytest.FixtureRequest) -> None:
    """The service of a store that has one."""
    if kind is BIGQUERY:
        request.getfixturevalue("bigquery_service")


@pytest.fixture(scope="session")
def _shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[StoreKind, Callable[[Bench], None]], Bench]:
    """One store of a kind for all tests that prepare it in the same way."""

    @cache
    def bench(kind: StoreKind, prepare: Callable[[Bench], None]) -> Bench:
        made = Bench(kind, tmp_path_factory.mktemp("shared"))
        made.store.create_tables()
        prepare(made)
        return made

    return bench


@pytest.fixture
def shared_bench(
    kind: StoreKind, reachable: None, _shared: Callable[[StoreKind, Callable[[Bench], None]], Bench]
) -> Callable[[Callable[[Bench], None]], Bench]:
    """A store that a function has prepared, for tests that change nothing in it."""
    return partial(_shared, kind)


@pytest.fixture
def empty_bench(shared_bench: Callable[[Callable[[Bench], None]], Bench]) -> Bench:
    """A store with tables and without rows, for tests that leave it so."""
    return shared_bench(_leave_empty)


def _leave_empty(bench: Bench) -> None:
    """There is nothing to prepare."""


@pytest.fixture
def bare_bench(kind: StoreKind, tmp_path: Path, reachable: None) -> Bench:
    """A store that was only opened."""
    return Bench(kind, tmp_path)


@pytest.fixture
def new_bench(kind: StoreKind, tmp_path: Path, reachable: None) -> Callable[[], Bench]:
    """Give another empty store at each call."""

    def new() -> Bench:
        bench = Bench(kind, tmp_path)
        if kind.make_tables is not None:
            kind.make_tables(bench.store)
        return bench

    return new


@pytest.fixture
def bench(new_bench: Callable[[], Bench]) -> Bench:
    """An empty store."""
    return new_bench()
