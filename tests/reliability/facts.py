"""What a command has left: in the spool, around the store, and in its tables. All of it as JSON."""

import fcntl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from lorchestra.errors import QueryError, StoreSchemaError
from lorchestra.spool import read_header, read_segment
from lorchestra.stores import Store, open_store

_STATEMENTS = {
    "events": """
        SELECT event_id, event_type, source_system, correlation_id, status, error_message, payload,
          CAST(created_at AS VARCHAR) AS created_at
        FROM events_dev.event_log ORDER BY event_log.created_at, event_id
        """,
    "objects": """
        SELECT idem_key, source_system, payload, CAST(first_seen AS VARCHAR) AS first_seen,
          CAST(last_seen AS VARCHAR) AS last_seen
        FROM events_dev.raw_objects ORDER BY idem_key
        """,
}


def of_all(wanted: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Of each job: what is on disk, and its part of its store; a store of several is asked once."""
    stores = {one["url"]: in_store(one["url"]) for one in wanted}
    found = []
    for one in wanted:
        database = one["url"].removeprefix("duckdb:///")
        store = stores[one["url"]]
        run_ids = f"{one['job']}-"
        found.append(
            {
                **on_disk(one["spool"], database if database != one["url"] else None),
                "events": [row for row in store["events"] if row["correlation_id"].startswith(run_ids)],
                "objects": [row for row in store["objects"] if row["source_system"] == one["source_system"]],
                "staged": [name for name in store["staged"] if f"_{one['job']}_" in name],
            }
        )
    return found


def on_disk(spool: str, database: str | None) -> dict[str, Any]:
    """Files of the spool and around the DuckDB file, segments with the keys that are whole, held locks."""
    root = Path(spool)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    segments = [path for path in files if path.is_relative_to(root / "segments")]
    outbox = root / "outbox.jsonl"
    return {
        "files": [str(path.relative_to(root)) for path in files if path.suffix != ".lock"],
        "held": [str(path.relative_to(root)) for path in files if path.suffix == ".lock" and _held(path)],
        "kept": [key for path in segments if read_header(path) for key, _ in read_segment(path)],
        "segments": len(segments),
        "torn": any(not path.read_bytes().endswith(b"\n") for path in segments),
        "outbox": outbox.read_text().splitlines() if outbox.exists() else [],
        "beside": sorted(path.name for path in Path(database).parent.iterdir()) if database else [],
    }


def _held(path: Path) -> bool:
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def in_store(url: str) -> dict[str, Any]:
    """All events in the order of their making, all objects by key, and tables that should not be there."""
    if (database := Path(url.removeprefix("duckdb:///"))) != Path(url):
        return _in_file(database)
    with open_store(url, busy_timeout_seconds=10) as store:
        found = {name: _rows(store, _of_bigquery(statement)) for name, statement in _STATEMENTS.items()}
        return {**found, "staged": _staged(store)}


def _of_bigquery(statement: str) -> str:
    return statement.replace("VARCHAR", "STRING").replace("events_dev.", "`events_dev`.")


def _in_file(database: Path) -> dict[str, Any]:
    """The same of a DuckDB file, asked of the engine itself: that takes a tenth of the time."""
    found: dict[str, Any] = {"events": [], "objects": [], "staged": []}
    if not database.exists():
        return found
    with duckdb.connect(database, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if connection.execute("SELECT 1 FROM duckdb_tables()").fetchall():
            for name, statement in _STATEMENTS.items():
                cursor = connection.execute(statement)
                columns = [column[0] for column in cursor.description or ()]
                found[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return found


def _rows(store: Store, sql: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = store.query(sql).to_pylist()
    except (StoreSchemaError, QueryError):
        # Killed before there were tables.
        return []
    return rows


def _staged(store: Store) -> list[str]:
    client = getattr(getattr(store, "connection", None), "client", None)
    if client is None:
        return []
    names = [item.table_id for item in client.list_tables(store.tables.dataset)]
    return [name for name in names if name.startswith("temp_objects_")]
