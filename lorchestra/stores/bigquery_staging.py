"""A table of its own for one batch: made, loaded, asked and merged from, dropped."""

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import IO, Any, Self, cast

from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import bigquery

from lorchestra.errors import ObjectRefusedError, StoreBusyError
from lorchestra.model import TableNames
from lorchestra.steps import Step, reached
from lorchestra.stores.bigquery_client import CALL_SECONDS, Connection, Repetitions
from lorchestra.stores.bigquery_errors import SERVICE_ERRORS, reason_of
from lorchestra.stores.bigquery_jobs import NO_RETRY, get_job, job_id, labels, run_job
from lorchestra.stores.bigquery_statements import quoted, statement
from lorchestra.stores.bigquery_upload import load_in_pieces
from lorchestra.stores.json_lines import JsonLines

#: The service drops a table that nobody dropped after this.
LIFETIME = timedelta(hours=24)
PREFIX = "temp_objects_"
#: What is counted of a batch, beside `api_calls`.
USAGE = (
    "load_jobs",
    "query_jobs",
    "dml_statements",
    "bytes_estimated",
    "bytes_processed",
    "bytes_billed",
    "staging_tables_left",
)

_load_job: Any = bigquery.LoadJob
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_NAME_LENGTH = 128


class Staging:
    """The staging table of one batch, a context manager. Leaving it drops the table, whatever happened.

    `usage` is what the batch has taken until now: calls, jobs, statements, bytes.
    """

    def __init__(
        self,
        connection: Connection,
        tables: TableNames,
        *,
        run_id: str,
        seen_at: datetime,
        number: str,
        schema: Sequence[bigquery.SchemaField],
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._run_id = run_id
        self._seen_at = seen_at
        self._number = number
        self._schema = list(schema)
        self._labels = labels(run_id)
        self._name = staging_name(run_id, number)
        self._calls_before = connection.calls
        self._counted: Counter[str] = Counter(dict.fromkeys(USAGE, 0))

    @property
    def usage(self) -> Mapping[str, int]:
        """What was taken until now; retries and questions about a running job are not counted as calls."""
        return {**self._counted, "api_calls": self._connection.calls - self._calls_before}

    def __enter__(self) -> Self:
        """Make the table, empty and no other call's: where the name is taken, it gets a mark of its own."""
        client = self._connection.client
        mark = secrets.token_hex(4)
        for name in (self._name, f"{self._name}_{mark}"):
            table = bigquery.Table(self._reference(name), schema=self._schema)
            table.expires = datetime.now(UTC) + LIFETIME
            table.description = f"{_description(self._run_id)}{mark}"
            try:
                client.create_table(table, retry=self._connection.retry, timeout=CALL_SECONDS)
            except Conflict:
                if not self._is_there(table):
                    continue
            self._name = name
            return self
        raise StoreBusyError("store: no name is free for a staging table", next_step="Run it again.")

    def _is_there(self, table: bigquery.Table) -> bool:
        """Whether it is this very table that has the name: made by a call whose answer was lost."""
        try:
            there = self._connection.client.get_table(
                table.reference, retry=self._connection.retry, timeout=CALL_SECONDS
            )
        except NotFound:
            # That of another call, which has dropped it by now.
            return False
        return bool(there.description == table.description)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            drop(self._connection, self._reference(self._name))
        except SERVICE_ERRORS:
            # What became of the batch matters more; the service drops the table when its time is over.
            self._counted["staging_tables_left"] += 1

    def load(self, lines: Sequence[Sequence[bytes]]) -> None:
        """Load lines of JSON, each a sequence of pieces, by one load job.

        Raises:
            ObjectRefusedError: the service took the request, but not what a line holds.
            The service's errors.
        """
        begun: list[bigquery.LoadJob] = []
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            schema=self._schema,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            # What a lost attempt may have left is replaced.
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            labels=self._labels,
        )

        def start(identity: str, repetitions: Repetitions) -> bigquery.LoadJob:
            client = self._connection.client
            job = _load_job(identity, None, self._reference(self._name), client, config)
            begun.append(load_in_pieces(client, cast("IO[bytes]", JsonLines(lines)), job, repetitions))
            return begun[-1]

        try:
            run_job(self._connection, self._job_id("load"), start, get=self._get)
        except BadRequest as error:
            # Of the table nothing can be wrong, it was just made for these lines.
            if begun and begun[-1].error_result is not None and reason_of(error) == "invalid":
                raise ObjectRefusedError("store: BigQuery does not take an object: invalid") from None
            raise
        self._counted["load_jobs"] += 1
        reached(Step.BATCH_STAGED)

    def query(self, name: str, parameters: Sequence[Any]) -> list[Mapping[str, Any]]:
        """The rows of a SELECT of ours over what is staged."""
        job = self._run(name, parameters)
        rows = job.result(retry=self._connection.retry, timeout=CALL_SECONDS, job_retry=None)
        return [dict(row) for row in rows]

    def merge(self, name: str, parameters: Sequence[Any]) -> int:
        """Run a MERGE of ours; how many rows it wrote. A dry run before it says what it will read."""
        config = self._config(parameters)
        config.dry_run = True
        plan = self._connection.client.query(
            self._sql(name),
            job_config=config,
            retry=self._connection.retry,
            timeout=CALL_SECONDS,
            job_retry=None,
        )
        self._counted["bytes_estimated"] += plan.total_bytes_processed or 0
        job = self._run(name, parameters, begun=Step.BATCH_MERGING)
        self._counted["dml_statements"] += 1
        return int(job.num_dml_affected_rows or 0)

    def _run(self, name: str, parameters: Sequence[Any], *, begun: Step | None = None) -> bigquery.QueryJob:
        def start(identity: str, _: Repetitions) -> bigquery.QueryJob:
            begun_job = self._connection.client.query(
                self._sql(name),
                job_config=self._config(parameters),
                job_id=identity,
                retry=NO_RETRY,
                timeout=CALL_SECONDS,
                job_retry=None,
            )
            if begun is not None:
                reached(begun)
            return begun_job

        job: bigquery.QueryJob = run_job(self._connection, self._job_id(name), start, get=self._get)
        self._counted["query_jobs"] += 1
        self._counted["bytes_processed"] += job.total_bytes_processed or 0
        self._counted["bytes_billed"] += job.total_bytes_billed or 0
        return job

    def _reference(self, name: str) -> bigquery.TableReference:
        return bigquery.DatasetReference(self._connection.project, self._tables.dataset).table(name)

    def _get(self, identity: str) -> Any:
        return get_job(self._connection, identity, dataset=self._tables.dataset)

    def _job_id(self, step: str) -> str:
        return job_id(run_id=self._run_id, seen_at=self._seen_at, number=self._number, step=step)

    def _config(self, parameters: Sequence[Any]) -> bigquery.QueryJobConfig:
        return bigquery.QueryJobConfig(query_parameters=list(parameters), labels=self._labels)

    def _sql(self, name: str) -> str:
        dataset = self._tables.dataset
        return statement(
            name, raw_objects=quoted(dataset, self._tables.raw_objects), staged=quoted(dataset, self._name)
        )


def staging_name(run_id: str, number: str = "") -> str:
    """`temp_objects_{run_id}_{number}`, with `_` for what no name can have."""
    return f"{PREFIX}{_NOT_IN_NAMES.sub('_', run_id)[:_NAME_LENGTH]}_{number}"


def drop(connection: Connection, table: bigquery.TableReference) -> None:
    """Drop a table; that it is gone already is as good."""
    connection.client.delete_table(table, not_found_ok=True, retry=connection.retry, timeout=CALL_SECONDS)


def drop_all_of(connection: Connection, tables: TableNames, run_id: str) -> None:
    """Drop the staging tables of a run whose process died."""
    client = connection.client
    dataset = bigquery.DatasetReference(connection.project, tables.dataset)
    beginning = staging_name(run_id)
    for item in client.list_tables(dataset, retry=connection.retry, timeout=CALL_SECONDS):
        if not item.table_id.startswith(beginning):
            continue
        try:
            table = client.get_table(item.reference, retry=connection.retry, timeout=CALL_SECONDS)
        except NotFound:
            continue
        # Another run id can look the same in a name, but not here.
        if (table.description or "").startswith(_description(run_id)):
            drop(connection, item.reference)


def _description(run_id: str) -> str:
    return f"Objects of the run {run_id} on their way into raw_objects; may be dropped. "
