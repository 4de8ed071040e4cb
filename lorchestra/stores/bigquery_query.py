"""Queries in BigQuery: one SELECT, its parameters typed, its result as Arrow."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import google.api_core.exceptions as api
import pyarrow as pa
from google.cloud import bigquery

from lorchestra.errors import QueryError
from lorchestra.queries import OwnQuery
from lorchestra.stores.bigquery_client import CALL_SECONDS, JOB_SECONDS, Connection
from lorchestra.stores.bigquery_errors import reason_of

_JSON = b"google:sqlType:json"
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_LABELS = {"lorchestra": "query"}
# Checked in this order: bool is an int, and datetime a date.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (str, "STRING"),
    (bytes, "BYTES"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
    (Decimal, "BIGNUMERIC"),
)


def select(
    connection: Connection, sql: str, parameters: Mapping[str, Any], *, max_rows: int | None = None
) -> pa.Table:
    """Run one SELECT and fetch its first `max_rows` rows or all.

    Raises:
        QueryError: it is refused, or fails over a value, which is not told.
        The service's other errors.
    """
    _check_names([name for name in _checked_names(sql) if name not in ("*", "")])
    try:
        job = _start(connection, sql, parameters)
        job.result(timeout=JOB_SECONDS, retry=connection.retry, job_retry=None)
        rows = job.result(
            # 0 would mean all.
            max_results=max(1, max_rows) if max_rows is not None else None,
            retry=connection.retry,
            timeout=CALL_SECONDS,
            job_retry=None,
        )
        _check_names([field.name for field in rows.schema])
        return _with_json(rows.to_arrow(create_bqstorage_client=False).slice(0, max_rows))
    except api.BadRequest as error:
        raise _explained(connection, sql, parameters, error) from None


def bytes_read(connection: Connection, sql: str, parameters: Mapping[str, Any]) -> int:
    """What a dry run says that a query would read, at most.

    Raises:
        QueryError: the query is refused.
    """
    _checked_names(sql)
    try:
        job = _start(connection, sql, parameters, dry_run=True)
    except api.BadRequest as error:
        raise QueryError(f"query: {_told(error, sql)}") from None
    return int(job.total_bytes_processed or 0)


def _checked_names(sql: str) -> list[str]:
    """The columns of a query that is one SELECT; of our own queries that is known."""
    if isinstance(sql, OwnQuery):
        return []
    from lorchestra.stores.googlesql import checked  # noqa: PLC0415 - as large as all the rest

    return checked(sql).named_selects


def _start(
    connection: Connection, sql: str, parameters: Mapping[str, Any], *, dry_run: bool = False
) -> bigquery.QueryJob:
    config = bigquery.QueryJobConfig(
        query_parameters=[_parameter(name, value) for name, value in parameters.items()],
        dry_run=dry_run,
        labels=_LABELS,
    )
    if dry_run:
        config.use_query_cache = False
    # A SELECT may run twice, so it needs no id of ours.
    return connection.client.query(
        sql, job_config=config, retry=connection.retry, timeout=CALL_SECONDS, job_retry=None
    )


def _explained(
    connection: Connection, sql: str, parameters: Mapping[str, Any], error: api.BadRequest
) -> QueryError:
    """What is wrong with the text may be told; what went wrong over a row may quote it."""
    try:
        _start(connection, sql, parameters, dry_run=True)
    except api.BadRequest as refusal:
        return QueryError(f"query: {_told(refusal, sql)}")
    return QueryError(
        f"query: {reason_of(error)} while reading rows",
        next_step="Where a value cannot be converted, SAFE_CAST gives NULL instead.",
    )


def _told(error: api.GoogleAPICallError, sql: str) -> str:
    """The first line of the service's message; of what it quotes only that which stands in the statement."""
    text = str(error.message).partition("prettyPrint=false: ")[2] or str(error.message)
    line = text.split("\n", 1)[0].split("; reason:", 1)[0]
    return _QUOTED.sub(
        lambda match: match[0] if match[0][1:-1] in sql else f"{match[0][0]}…{match[0][0]}", line
    )


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise QueryError(
            "query: two columns of the result have the same name", next_step="Name them with AS."
        )


def _parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, list | tuple):
        kind = _type_of(name, value[0]) if value else "STRING"
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, _type_of(name, value), value)


def _type_of(name: str, value: Any) -> str:
    if value is None:
        return "STRING"
    for kind, type_name in _TYPES:
        if isinstance(value, kind):
            return type_name
    raise QueryError(f"query: parameter {name}: no type of GoogleSQL fits {type(value).__name__}")


def _with_json(table: pa.Table) -> pa.Table:
    """Columns that the service marks as JSON, as Arrow's own JSON type."""
    for number, field in enumerate(table.schema):
        if (field.metadata or {}).get(b"ARROW:extension:name") == _JSON:
            column = table.column(number).cast(pa.json_())
            table = table.set_column(number, pa.field(field.name, pa.json_()), column)
    return table
