"""What the two tables tell: runs, their events, and queries of the user's own."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lorchestra.errors import ArgumentError, QueryError, StoreSchemaError, UnknownRunError, UsageError
from lorchestra.model import TableNames
from lorchestra.queries import internal_query, named_query, query_names
from lorchestra.stores.base import CountsBytes, Store, query_rows, snapshot

#: What a listing of runs shows, and its titles; a JSON listing has every column of the view `job_runs`.
RUN_TITLES = {
    "run_id": "run",
    "state": "state",
    "started_at": "started (UTC)",
    "duration_seconds": "seconds",
    "records_extracted": "records",
    "inserted": "new",
    "updated": "changed",
    "unchanged": "unchanged",
    "rejected": "rejected",
    "error_message": "error",
}
#: The query for the newest runs in a state; None is any.
_NEWEST_RUNS = {
    None: "newest_runs",
    "failed": "newest_runs_failed",
    "running": "newest_runs_running",
    "succeeded": "newest_runs_succeeded",
}
_TIME_OF_RUN = re.compile(r"-([0-9]{14})\Z")
# Ids may be somebody else's, with local times, and clocks of hosts differ.
_MARGIN = timedelta(days=2)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def list_runs(
    store: Store, *, job: str | None = None, state: str | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Rows of `job_runs`, newest first; none as long as there is no store.

    Runs are those that have a `job.started`. Only the events of those that are given are folded, so it takes
    the same time and the same bytes however long the log is.
    """
    if not encodes(job or ""):
        return []
    newest = internal_query(_NEWEST_RUNS[state], store.tables)
    try:
        with snapshot(store):
            found = query_rows(store, newest, {"job": job or "", "limit": limit})
            if not found:
                return []
            parameters = {
                "run_ids": [run["run_id"] for run in found],
                "first": min(run["started_at"] for run in found),
            }
            return query_rows(store, internal_query("runs", store.tables), parameters)
    except StoreSchemaError:
        return []


def run_events(store: Store, run_id: str) -> list[dict[str, Any]]:
    """The events of one run, oldest first; an empty list when there is no such run."""
    parameters = {"run_id": run_id, "first": _begin(run_id)}
    rows = query_rows(store, internal_query("run_events", store.tables), parameters)
    for row in rows:
        row["payload"] = None if row["payload"] is None else json.loads(row["payload"])
    return rows


def _begin(run_id: str) -> datetime:
    """No event of the run is older; so a store whose log is kept by days need not look at all of it."""
    found = _TIME_OF_RUN.search(run_id)
    try:
        begin = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC) - _MARGIN if found else _EVER
    except (ValueError, OverflowError):
        return _EVER
    # An id of the future is no time.
    return begin if begin < datetime.now(UTC) else _EVER


def show_run(store: Store, run_id: str) -> list[dict[str, Any]]:
    """The events of one run, oldest first.

    Raises:
        UnknownRunError: there is no such run.
    """
    events = run_events(store, run_id) if encodes(run_id) else []
    if not events:
        raise UnknownRunError(f"run {run_id}: there is none of this id")
    return events


def encodes(text: str) -> bool:
    """Whether a store can be asked for it: undecodable bytes of a command line arrive as lone surrogates."""
    try:
        _string(text)
    except UnicodeEncodeError:
        return False
    return True


def query_text(name_or_sql: str, tables: TableNames) -> str:
    """The SQL that a user means: a named query, or the text itself.

    Raises:
        UsageError: a single word that names no query.
    """
    text = name_or_sql.strip()
    if text in query_names():
        return named_query(text, tables)
    if not encodes(text):
        raise UsageError("query: is not valid Unicode", next_step='Give it in UTF-8, or through "-".')
    if not text or text.isidentifier():
        raise UsageError(
            "query: there is none of this name; known: " + ", ".join(query_names()),
            next_step="Give one of these names, or a SELECT statement in quotes.",
        )
    return text


def check_bytes(
    store: Store, sql: str, parameters: Mapping[str, Any], *, max_bytes: int | None = None
) -> int | None:
    """How many bytes a query would read; None where the store does not count them. Nothing is run.

    Raises:
        QueryError: the query is refused, or would read more than `max_bytes`.
    """
    if not isinstance(store, CountsBytes):
        store.query(sql, parameters, max_rows=0)
        return None
    size = store.bytes_read(sql, parameters)
    if max_bytes is not None and size > max_bytes:
        raise QueryError(
            f"query: would read {size:,} bytes, more than the {max_bytes:,} allowed",
            next_step="Name fewer columns, narrow it by created_at or idem_key, or raise --max-bytes.",
        )
    return size


def typed_parameters(given: Iterable[str]) -> dict[str, Any]:
    """`NAME=VALUE` and `NAME:TYPE=VALUE` as values of their GoogleSQL type, STRING where none is given.

    Raises:
        ArgumentError: a parameter has not this form, or its value is not of its type.
    """
    parameters: dict[str, Any] = {}
    for text in given:
        name_and_type, equals, value = text.partition("=")
        name, _, kind = name_and_type.partition(":")
        read = _PARAMETER_TYPES.get((kind or "STRING").upper())
        if not equals or not name.isidentifier() or read is None:
            raise ArgumentError(
                "--param: must be NAME=VALUE or NAME:TYPE=VALUE; types: " + ", ".join(_PARAMETER_TYPES)
            )
        try:
            parameters[name] = read(value)
        except (ValueError, OverflowError):
            raise ArgumentError(f"--param {name}: the value is no {(kind or 'STRING').upper()}") from None
    return parameters


def _boolean(text: str) -> bool:
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise ValueError
    return values[text.lower()]


def _timestamp(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _string(text: str) -> str:
    # Undecodable bytes of a command line arrive as lone surrogates.
    text.encode()
    return text


def _int64(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


_PARAMETER_TYPES: dict[str, Callable[[str], Any]] = {
    "STRING": _string,
    "INT64": _int64,
    "FLOAT64": float,
    "BOOL": _boolean,
    "DATE": date.fromisoformat,
    "TIMESTAMP": _timestamp,
}
