"""The tables and views in BigQuery: made, compared with what is needed, and older ones brought up to it."""

from collections.abc import Mapping

from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery

from lorchestra.model import Difference, TableNames
from lorchestra.setup import EVENT_LOG_COLUMNS, RAW_OBJECTS_COLUMNS, googlesql_statements
from lorchestra.setup.differences import Columns, described, differences, fits
from lorchestra.setup.views import VIEWS, view_differences
from lorchestra.stores.bigquery_client import CALL_SECONDS, JOB_SECONDS, Connection
from lorchestra.stores.bigquery_statements import quoted, statement, view_statement

#: The service's names of types, and GoogleSQL's.
_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


def schema_of(columns: Columns) -> list[bigquery.SchemaField]:
    """Columns as the service wants them."""
    return [
        bigquery.SchemaField(name, kind, mode="NULLABLE" if nullable else "REQUIRED")
        for name, kind, nullable in columns
    ]


class Tables:
    """Both tables of one dataset."""

    def __init__(self, connection: Connection, tables: TableNames) -> None:
        self._connection = connection
        self._tables = tables

    def create(self) -> None:
        """Make the dataset, the tables and the views where they are missing."""
        self._make_dataset()
        for name in ("create_event_log", "create_raw_objects"):
            for text in googlesql_statements(name, self._tables):
                self._run(text)
        # Over a table of other columns the service makes no view.
        for name in VIEWS if fits(self._differences_of_tables()) else ():
            self._run(view_statement(name, self._connection.project, self._tables))

    def differences(self) -> list[Difference]:
        """Compare tables and, when they fit, views, column by column."""
        of_tables = self._differences_of_tables()
        return of_tables + (self._differences_of_views() if fits(of_tables) else [])

    def _differences_of_tables(self) -> list[Difference]:
        return [
            difference
            for table, columns in (
                (self._tables.event_log, EVENT_LOG_COLUMNS),
                (self._tables.raw_objects, RAW_OBJECTS_COLUMNS),
            )
            for difference in self._differences(table, columns)
        ]

    def migrate(self) -> None:
        """Bring an older event_log and older views to today's; of raw_objects nothing is changed, ever."""
        mends = [
            difference.mend
            for difference in self._differences(self._tables.event_log, EVENT_LOG_COLUMNS)
            if difference.mend is not None and difference.column is not None
        ]
        for mend in mends:
            self._run(mend)
        if mends:
            self._describe()
        outdated = {one.table for one in self.differences() if one.table in VIEWS and one.column is not None}
        for name in sorted(outdated):
            self._run(view_statement(name, self._connection.project, self._tables, replace=True))

    def complete(self) -> bool:
        """Whether both tables are there."""
        return self.exists(self._tables.event_log) and self.exists(self._tables.raw_objects)

    def exists(self, table: str) -> bool:
        """Whether the table is there."""
        try:
            self._get(table)
        except NotFound:
            return False
        return True

    def _make_dataset(self) -> None:
        client = self._connection.client
        reference = bigquery.DatasetReference(client.project, self._tables.dataset)
        try:
            client.get_dataset(reference, retry=self._connection.retry, timeout=CALL_SECONDS)
        except NotFound:
            dataset = bigquery.Dataset(reference)
            if client.location is not None:
                dataset.location = client.location
            dataset.description = "Events and objects of lorchestra."
            try:
                client.create_dataset(dataset, retry=self._connection.retry, timeout=CALL_SECONDS)
            except Conflict:
                # Made meanwhile, by another or by a call whose answer was lost.
                return

    def _run(self, sql: str) -> None:
        job = self._connection.client.query(
            sql, retry=self._connection.retry, timeout=CALL_SECONDS, job_retry=None
        )
        job.result(timeout=JOB_SECONDS, retry=self._connection.retry, job_retry=None)

    def _get(self, table: str) -> bigquery.Table:
        name = f"{self._connection.project}.{self._tables.dataset}.{table}"
        return self._connection.client.get_table(name, retry=self._connection.retry, timeout=CALL_SECONDS)

    def _differences(self, table: str, columns: Columns) -> list[Difference]:
        name = quoted(self._tables.dataset, table)
        return list(differences(table, columns, self._columns(table), types={}, quoted=name))

    def _differences_of_views(self) -> list[Difference]:
        return [difference for name in VIEWS for difference in view_differences(name, self._columns(name))]

    def _columns(self, table: str) -> Mapping[str, str] | None:
        """Type of each column; None when there is no table.

        Types are those that a query sees, asked for by a dry run, which is free.
        """
        try:
            modes = {field.name: field.mode for field in self._get(table).schema}
            job = self._connection.client.query(
                statement("all_columns", table=quoted(self._tables.dataset, table)),
                job_config=bigquery.QueryJobConfig(dry_run=True, use_query_cache=False),
                retry=self._connection.retry,
                timeout=CALL_SECONDS,
                job_retry=None,
            )
        except NotFound:
            return None
        return {
            field.name: described(
                _TYPES.get(field.field_type, field.field_type), nullable=modes.get(field.name) != "REQUIRED"
            )
            for field in job.schema or ()
        }

    def _describe(self) -> None:
        """Say the schema in full once more: what was altered step by step then reads like a new table."""
        table = self._get(self._tables.event_log)
        wanted = {field.name: field for field in schema_of(EVENT_LOG_COLUMNS)}
        known = [wanted.pop(field.name, field) for field in table.schema]
        table.schema = [*known, *wanted.values()]
        self._connection.client.update_table(
            table, ["schema"], retry=self._connection.retry, timeout=CALL_SECONDS
        )
