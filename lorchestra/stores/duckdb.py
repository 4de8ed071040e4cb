"""The embedded store: both tables in one DuckDB file.

DuckDB gives its file to one process at a time. So every method opens the file, does one short piece of work
and closes it; a busy file is waited for. Only merges that follow each other keep it open, as long as nobody
else wants it. The measurements behind the settings stand in
`docs/decisions/duckdb-store.md`.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb

from lorchestra.errors import ConfigError, QueryError, StoreBusyError, StoreSchemaError
from lorchestra.model import BatchBounds, Difference, Event, Finding, MergeCounts, StagedBatch, TableNames
from lorchestra.setup import EVENT_LOG_COLUMNS, RAW_OBJECTS_COLUMNS, setup_statement
from lorchestra.setup.differences import described, differences, fits
from lorchestra.setup.views import VIEWS
from lorchestra.stores.duckdb_doctor import diagnose
from lorchestra.stores.duckdb_file import DuckDBFile, first_line, is_conflict, is_utf8
from lorchestra.stores.duckdb_merge import BatchMerge
from lorchestra.stores.duckdb_query import failed_query, select, select_rows
from lorchestra.stores.duckdb_rows import WRITE_MEMORY_BYTES, row_of
from lorchestra.stores.duckdb_translations import duckdb_sql, translated
from lorchestra.stores.duckdb_views import create_views, differences_of_views, missing_views

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

# Merges keep their memory flat, whatever the machine has: what the engine needs for a usual batch, or so many
# times the batch when one object is huge. Queries may use what DuckDB takes by default.
_MEMORY_PER_BATCH_BYTE = 16
_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMP WITH TIME ZONE", "JSON": "JSON"}
_SETUP = "Run `lorchestra setup` to make the tables."
_CHECK = "Run `lorchestra setup --check` to see what differs."


def open_duckdb(url: str, *, tables: TableNames, busy_timeout_seconds: float) -> "DuckDBStore":
    """The store for `duckdb:///relative.duckdb` or `duckdb:////absolute.duckdb`; nothing is created yet."""
    path = url.removeprefix("duckdb:///")
    if path == url or not path or path == ":memory:":
        raise ConfigError(
            "store.url: a DuckDB store is a file",
            next_step='Write it as "duckdb:///lorchestra.duckdb" (relative) or "duckdb:////data/x.duckdb".',
        )
    if not is_utf8(path):
        raise ConfigError(
            "store.url: DuckDB opens only files whose path is UTF-8", next_step="Name another folder."
        )
    if Path(path).stem == tables.dataset:
        raise ConfigError(
            f"store.url: DuckDB cannot tell the file {tables.dataset} from the dataset of the same name",
            next_step="Give the file another name, such as lorchestra.duckdb.",
        )
    return DuckDBStore(Path(path), tables=tables, busy_timeout_seconds=busy_timeout_seconds)


class DuckDBStore:
    """A DuckDB file with both tables in a schema named like the dataset.

    Tables are made on first use. Several processes may use one file at the same time.
    """

    batch_bounds = BatchBounds(bytes=16 * 1024 * 1024, seconds=20.0, join=True)

    def __init__(self, path: Path, *, tables: TableNames, busy_timeout_seconds: float = 30.0) -> None:
        self.path = path
        self.tables = tables
        # Without its folder: what waits for it shall still find it when the whole project was moved.
        self.address = f"duckdb:///{path.name}#{tables.dataset}.{tables.event_log}"
        self._file = DuckDBFile(path, busy_timeout_seconds=busy_timeout_seconds)
        self._known_to_exist = False

    def create_tables(self) -> None:
        """Make schema, tables and views where they are missing."""
        self._write(self._create)

    def check_tables(self) -> list[Difference]:
        """Compare both tables column by column with the specification's; when they fit, the views."""
        found: dict[str, dict[str, str]] = {}
        if self._file.exists():
            with self._file.open_for_reading() as connection:
                rows = connection.execute(_sql("columns"), {"dataset": self.tables.dataset}).fetchall()
            for _, table, column, kind, nullable in rows:
                found.setdefault(table, {})[column] = described(kind, nullable=nullable)
        of_tables = [
            difference
            for table, columns in (
                (self.tables.event_log, EVENT_LOG_COLUMNS),
                (self.tables.raw_objects, RAW_OBJECTS_COLUMNS),
            )
            for difference in differences(
                table, columns, found.get(table), types=_TYPES, quoted=f'"{self.tables.dataset}"."{table}"'
            )
        ]
        return of_tables + (differences_of_views(found) if fits(of_tables) else [])

    def migrate(self) -> None:
        """Run what mends an event_log of before, and make views anew that are outdated."""
        of_events = [one for one in self.check_tables() if one.table == self.tables.event_log and one.column]
        mends = [one.mend for one in of_events if one.mend]

        def run(connection: duckdb.DuckDBPyConnection) -> None:
            for statement in mends:
                connection.execute(statement)

        if mends:
            self._write(run, make_tables=False)
        outdated = {one.table for one in self.check_tables() if one.table in VIEWS and one.column}
        if outdated:
            self._write(lambda connection: create_views(connection, self.tables, outdated), make_tables=False)

    def append_events(self, events: Sequence[Event]) -> None:
        """Append events in one transaction."""
        rows = [row_of(event) for event in events]
        statement = self._statement("append_event")

        def append(connection: duckdb.DuckDBPyConnection) -> None:
            for row in rows:
                connection.execute(statement, row)

        self._write(append)

    def merge(self, batch: StagedBatch) -> MergeCounts:
        """Merge one batch in one transaction."""
        if not batch.idem_keys:
            return MergeCounts(inserted=0, updated=0, unchanged=0)
        return self._write(
            lambda connection: BatchMerge(connection, batch, self._statement).run(),
            memory=sum(map(len, batch.payloads)) * _MEMORY_PER_BATCH_BYTE,
            log_first=False,
        )

    def held(self) -> AbstractContextManager[Callable[[], None]]:
        """Merges of this thread share a connection while nobody waits for the file."""
        return self._file.held()

    def touch(self, idem_keys: Sequence[str], *, seen_at: datetime, correlation_id: str) -> Mapping[str, int]:  # noqa: ARG002
        """Set `last_seen` in one transaction."""
        if idem_keys:
            keys = list(idem_keys)
            values = {"keys": keys, "low": min(keys), "high": max(keys), "seen_at": seen_at}
            self._write(lambda connection: connection.execute(self._named(_sql("touch_seen")), values))
        return {}

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, max_rows: int | None = None
    ) -> "pa.Table":
        """Run one GoogleSQL SELECT, translated; times are in UTC."""
        with self._queried(sql) as (connection, statement):
            connection.execute("SET arrow_lossless_conversion = true")
            return select(connection, statement, dict(parameters or {}), max_rows)

    def query_rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The same as plain values."""
        with self._queried(sql) as (connection, statement):
            return select_rows(connection, statement, dict(parameters or {}))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """The file stays open for the queries of this thread; who wants to write waits as long."""
        self._check_file()
        with self._file.kept_open():
            yield

    @contextmanager
    def _queried(self, sql: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """The file open for a query, and the query in DuckDB's SQL; what it is refused for is explained."""
        statement = duckdb_sql(sql, self.tables)
        self._check_file()
        with self._file.open_for_reading() as connection:
            try:
                yield connection, statement
            except duckdb.CatalogException as error:
                if not self._has_tables(connection):
                    raise StoreSchemaError(
                        "store: there are no tables yet", place=str(self.path), next_step=_SETUP
                    ) from None
                raise QueryError(f"query: {first_line(error)}", next_step=_SETUP) from None
            except (duckdb.BinderException, duckdb.ParserException) as error:
                raise QueryError(f"query: {first_line(error)}") from None
            except duckdb.Error as error:
                raise failed_query(error) from None

    def delete_events(self, before: datetime, *, run_id: str) -> int:  # noqa: ARG002
        """Delete events of old runs in one transaction; their place in the file is used again."""
        statement = _sql("delete_events").replace(
            "{runs_to_prune}", translated("internal/runs_to_prune", self.tables)
        )

        def delete(connection: duckdb.DuckDBPyConnection) -> int:
            [(deleted,)] = connection.execute(self._named(statement), {"before": before}).fetchall()
            return int(deleted)

        return self._write(delete)

    def diagnose(self) -> list[Finding]:
        """Whether the file is there, can be opened and written, and has tables that fit."""
        return diagnose(self.path, self.tables.dataset, self.check_tables)

    def clean_up(self, run_id: str) -> None:  # noqa: ARG002
        """Remove a file that a dead process had not finished making, and its place before a busy one."""
        self._file.remove_half_made()

    def next_places(self, after: int, limit: int) -> "pa.Table":
        """The next objects in the order of the file, without their payloads."""
        return self._read("next_places", {"after": after, "limit": limit})

    def rows_at(self, places: Sequence[int]) -> "pa.Table":
        """The rows at these places of the file."""
        bounds = {"first": min(places), "last": max(places)}
        return self._read("rows_at", {"places": list(places), **bounds})

    def close(self) -> None:
        """The file is not open between calls; what opens it is let go of."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_file(self) -> None:
        if not self._file.exists():
            raise StoreSchemaError("store: there is no file yet", place=str(self.path), next_step=_SETUP)

    def _read(self, name: str, values: Mapping[str, Any]) -> "pa.Table":
        self._check_file()
        with self._file.open_for_reading() as connection:
            try:
                return connection.sql(self._statement(name), params=dict(values)).to_arrow_table()
            except duckdb.CatalogException:
                raise StoreSchemaError("store: the tables are not there", next_step=_SETUP) from None
            except duckdb.Error as error:
                raise self._file.failure("reading failed", error) from None

    def _write(
        self,
        work: Callable[[duckdb.DuckDBPyConnection], T],
        *,
        memory: int = 0,
        make_tables: bool = True,
        log_first: bool = True,
    ) -> T:
        # The engine writes to the log first what it takes for small, and it counts few bytes for a text.
        log = "DEFAULT" if log_first else "0"
        with self._file.open_for_writing() as connection:
            try:
                with _memory(connection, memory):
                    connection.execute(f"SET auto_checkpoint_skip_wal_threshold = {log}; BEGIN")
                    if make_tables and not self._known_to_exist:
                        self._create(connection)
                    result = work(connection)
                    connection.execute("COMMIT")
            except (duckdb.BinderException, duckdb.CatalogException, duckdb.ConstraintException) as error:
                _rollback(connection)
                raise StoreSchemaError(
                    f"store: {type(error).__name__}: a table does not have the columns it should",
                    next_step=_CHECK,
                ) from None
            except duckdb.Error as error:
                _rollback(connection)
                if is_conflict(error):
                    raise StoreBusyError(
                        "store: another thread of this process was writing", place=str(self.path)
                    ) from None
                raise self._file.failure("writing failed", error) from None
            except BaseException:
                _rollback(connection)
                raise
        self._known_to_exist |= make_tables
        return result

    def _has_tables(self, connection: duckdb.DuckDBPyConnection) -> bool:
        statement = "SELECT 1 FROM duckdb_tables() WHERE schema_name = $schema"
        return connection.execute(statement, {"schema": self.tables.dataset}).fetchall() != []

    def _create(self, connection: duckdb.DuckDBPyConnection) -> None:
        for schema in (self.tables.dataset, f"{self.tables.dataset}__private"):
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        for name in ("create_event_log", "create_raw_objects", "create_digest"):
            connection.execute(self._named(setup_statement(f"duckdb/{name}")))
        seed = {"seed": secrets.randbits(64)}
        connection.execute(self._named(setup_statement("duckdb/create_digest_seed")), seed)
        create_views(connection, self.tables, missing_views(connection, self.tables))

    def _statement(self, name: str) -> str:
        return self._named(_sql(name))

    def _named(self, statement: str) -> str:
        dataset, raw_objects = self.tables.dataset, self.tables.raw_objects
        return statement.format(
            event_log=f'"{dataset}"."{self.tables.event_log}"',
            raw_objects=f'"{dataset}"."{raw_objects}"',
            digest=f'"{dataset}__private"."{raw_objects}_digest"',
            digest_seed=f'"{dataset}__private"."{raw_objects}_digest_seed"',
        )


def _sql(name: str) -> str:
    return (files("lorchestra.stores") / "sql" / "duckdb" / f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def _memory(connection: duckdb.DuckDBPyConnection, needed: int) -> Iterator[None]:
    """More memory than usual, where it is needed.

    Not set each time: then the engine gives all free memory of the process back to the system, and the next
    batch has to get it again, page by page.
    """
    if needed <= WRITE_MEMORY_BYTES:
        yield
        return
    connection.execute(f"SET memory_limit = '{needed}B'")
    try:
        yield
    finally:
        with suppress(duckdb.Error):
            connection.execute(f"SET memory_limit = '{WRITE_MEMORY_BYTES}B'")


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    # After a fatal error there is nothing to roll back; closing discards the transaction in any case.
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")
