"""Events into `event_log`, by the streaming insert (tabledata.insertAll)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from lorchestra.errors import StoreError, StoreSchemaError, StoreUnreachableError
from lorchestra.model import Event
from lorchestra.setup import EVENT_LOG_COLUMNS
from lorchestra.stores.bigquery_client import CALL_SECONDS, Connection
from lorchestra.stores.bigquery_errors import CHECK, PASSING_REASONS, SETUP, field_of, first_reason
from lorchestra.stores.bigquery_schema import Tables, schema_of

#: The service takes 50,000 rows and 10 MB a request, and advises 500 rows.
_ROWS_PER_REQUEST = 500
_BYTES_PER_REQUEST = 5_000_000
# The service remembers an insertId for about a minute, and promises less.
_REMEMBERED = timedelta(seconds=20)
_SCHEMA = schema_of(EVENT_LOG_COLUMNS)

#: Gives the ids of those events that are in the log.
Known = Callable[[Sequence[Event]], frozenset[str]]


def append(
    connection: Connection, table: str, events: Sequence[Event], *, known: Known, tables: Tables
) -> None:
    """Append events in their order, each once; all or none of up to 500.

    `event_id` is the insertId, so an event that is sent again at once is dropped by the service. One that
    is older, as those of the outbox are, is looked for first.

    Raises:
        StoreSchemaError: a row does not fit the table; the message names the field and the reason.
        The service's errors.
    """
    unique = list({event.event_id: event for event in events}.values())
    old = [event for event in unique if datetime.now(UTC) - event.created_at > _REMEMBERED]
    there = known(old) if old else frozenset[str]()
    rows = [_row(event) for event in unique if event.event_id not in there]
    for request in _requests(rows):
        _send(connection, table, request, known=known, events=unique, tables=tables)


def _send(
    connection: Connection,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    known: Known,
    events: Sequence[Event],
    tables: Tables,
) -> None:
    repetitions = connection.repetitions()
    unseen = False
    while True:
        try:
            errors = connection.client.insert_rows(
                bigquery.Table(f"{connection.project}.{table}"),
                rows,
                selected_fields=_SCHEMA,
                row_ids=[row["event_id"] for row in rows],
                retry=connection.retry,
                timeout=CALL_SECONDS,
            )
        except NotFound:
            # A table that was just made is not seen by the streaming insert at once.
            if not tables.exists(table.rpartition(".")[2]):
                raise StoreSchemaError("store: the event log is not there", next_step=SETUP) from None
            if not repetitions.wait():
                raise
            unseen = True
            continue
        if errors:
            refusal = _refused(errors)
            if refusal.retryable and repetitions.wait():
                continue
            raise refusal
        if not unseen:
            return
        # What is taken right after that may still go astray, and is looked for until it is found.
        there = known(events)
        rows = [row for row in rows if row["event_id"] not in there]
        if not rows:
            return
        if not repetitions.wait():
            raise StoreUnreachableError(
                "store: BigQuery took an event and does not show it", next_step="Run it again later."
            )


def _refused(errors: Sequence[Mapping[str, Any]]) -> StoreError:
    """One error for what the service said of several rows: its first reason that is a row's own."""
    entries = [entry for row in errors for entry in row.get("errors") or ()]
    own = [entry for entry in entries if entry.get("reason") != "stopped"] or entries
    reason = first_reason(own) or "no reason given"
    if reason in PASSING_REASONS | {"timeout"}:
        return StoreUnreachableError(
            f"store: event_log: BigQuery did not take an event: {reason}", next_step="Run it again later."
        )
    field = field_of(own)
    where = f"{field}: " if field else ""
    return StoreSchemaError(f"store: event_log: {where}BigQuery refused an event: {reason}", next_step=CHECK)


def _row(event: Event) -> dict[str, Any]:
    row = {name: getattr(event, name) for name, _, _ in EVENT_LOG_COLUMNS}
    row["status"] = event.status.value
    row["created_at"] = event.created_at.astimezone(UTC)
    row["payload"] = None if event.payload is None else dict(event.payload)
    for name, _, nullable in EVENT_LOG_COLUMNS:
        if row[name] is None and not nullable:
            raise StoreSchemaError(f"store: event_log: {name}: must not be NULL")
    return row


def _requests(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    request: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row, default=str))
        if request and (len(request) >= _ROWS_PER_REQUEST or size + length > _BYTES_PER_REQUEST):
            yield request
            request, size = [], 0
        request.append(row)
        size += length
    if request:
        yield request
