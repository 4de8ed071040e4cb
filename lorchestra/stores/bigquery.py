"""The store for what outgrows one machine: both tables in a dataset of Google BigQuery.

What a run costs, and which permissions it needs, stands in `docs/bigquery.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

import google.api_core.exceptions as api
import pyarrow as pa
from google.cloud import bigquery

from lorchestra.errors import QueryError, StoreSchemaError
from lorchestra.model import BatchBounds, Difference, Event, Finding, MergeCounts, StagedBatch, TableNames
from lorchestra.store_url import BigQueryUrl, parse_bigquery_url
from lorchestra.stores import (
    bigquery_doctor,
    bigquery_events,
    bigquery_objects,
    bigquery_prune,
    bigquery_query,
    bigquery_touch,
)
from lorchestra.stores.bigquery_client import Connection
from lorchestra.stores.bigquery_errors import SETUP, reason_of, service_errors
from lorchestra.stores.bigquery_schema import Tables
from lorchestra.stores.bigquery_staging import drop_all_of
from lorchestra.stores.known_events import known_events


def open_bigquery(url: str, *, tables: TableNames, busy_timeout_seconds: float) -> "BigQueryStore":
    """The store for `bigquery://project/dataset`; nothing is asked of the service yet."""
    target = parse_bigquery_url(url)
    return BigQueryStore(Connection(target, retry_seconds=busy_timeout_seconds), tables=tables)


def store_of_client(client: bigquery.Client, *, tables: TableNames) -> "BigQueryStore":
    """The store that a client of somebody else's reaches; the client stays theirs."""
    target = BigQueryUrl(project=client.project, location=client.location)
    return BigQueryStore(Connection(target, retry_seconds=30.0, client=client), tables=tables)


class BigQueryStore:
    """A dataset of BigQuery with both tables. They are made by `create_tables`, never by the way."""

    #: Large and few: every batch is a load and a MERGE, billed alike whatever its size.
    batch_bounds = BatchBounds(bytes=64 * 1024 * 1024, seconds=60.0)
    #: JSON has INT64, UINT64 and FLOAT64 (https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types).
    integers_kept = (-(2**63), 2**64 - 1)

    def __init__(self, connection: Connection, *, tables: TableNames) -> None:
        self.tables = tables
        self.address = f"bigquery://{connection.project}/{tables.dataset}.{tables.event_log}"
        self.connection = connection
        self._schema = Tables(connection, tables)

    def create_tables(self) -> None:
        """Make dataset, tables and view where they are missing."""
        with service_errors():
            self._schema.create()

    def check_tables(self) -> list[Difference]:
        """Compare both tables, column by column, with the specification's."""
        with service_errors():
            return self._schema.differences()

    def migrate(self) -> None:
        """Bring an `event_log` of before to today's columns, its rows as they are."""
        with service_errors():
            self._schema.migrate()

    def append_events(self, events: Sequence[Event]) -> None:
        """Append events by the streaming insert; all or none of up to 500."""
        with service_errors():
            bigquery_events.append(
                self.connection,
                f"{self.tables.dataset}.{self.tables.event_log}",
                events,
                known=partial(known_events, self),
                tables=self._schema,
            )

    def merge(self, batch: StagedBatch) -> MergeCounts:
        """Merge one batch by a load and a MERGE."""
        if not batch.idem_keys:
            return MergeCounts(inserted=0, updated=0, unchanged=0)
        with service_errors():
            return bigquery_objects.merge(self.connection, self.tables, batch)

    def touch(self, idem_keys: Sequence[str], *, seen_at: datetime, correlation_id: str) -> Mapping[str, int]:
        """Set `last_seen` by one UPDATE for up to 50,000 keys."""
        with service_errors():
            return bigquery_touch.touch(
                self.connection, self.tables, idem_keys, seen_at=seen_at, run_id=correlation_id
            )

    def merge_copied(self, rows: pa.Table) -> int:
        """Merge rows of another store's `raw_objects` by a load and a MERGE."""
        if rows.num_rows == 0:
            return 0
        with service_errors():
            return bigquery_objects.merge_copied(self.connection, self.tables, rows)

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, max_rows: int | None = None
    ) -> pa.Table:
        """Run one GoogleSQL SELECT, as it is."""
        with service_errors(), self._missing_tables_told():
            return bigquery_query.select(self.connection, sql, parameters or {}, max_rows=max_rows)

    def bytes_read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """How many bytes a query would read, at most; the question is free."""
        with service_errors(), self._missing_tables_told():
            return bigquery_query.bytes_read(self.connection, sql, parameters or {})

    def clean_up(self, run_id: str) -> None:
        """Drop what a dead run left staged."""
        with service_errors():
            drop_all_of(self.connection, self.tables, run_id)

    def delete_events(self, before: datetime, *, run_id: str) -> int:
        """Delete events of old runs by one DELETE."""
        with service_errors():
            return bigquery_prune.delete_events(self.connection, self.tables, before=before, run_id=run_id)

    def diagnose(self) -> list[Finding]:
        """Which project, as whom, what is permitted, and what to type for what is missing."""
        with service_errors():
            return bigquery_doctor.diagnose(self.connection, self.tables, self.check_tables)

    def close(self) -> None:
        """Close the connections."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _missing_tables_told(self) -> Iterator[None]:
        """Tell whether a query names a table that is not there, or there are no tables at all.

        Of a dataset that is not there the service may say that it is not permitted.
        """
        try:
            yield
        except (api.NotFound, api.Forbidden) as error:
            if reason_of(error) not in ("notFound", "accessDenied", "NotFound", "Forbidden"):
                raise
            if not self._schema.complete():
                raise StoreSchemaError("store: the tables are not there", next_step=SETUP) from None
            if isinstance(error, api.NotFound):
                raise QueryError("query: a table that it names is not there") from None
            raise
