"""What every store is, and how one is opened by its URL."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from importlib.metadata import EntryPoints, distribution, entry_points
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from lorchestra.errors import ConfigError
from lorchestra.model import BatchBounds, Difference, Event, Finding, MergeCounts, StagedBatch, TableNames
from lorchestra.setup.views import VIEWS
from lorchestra.store_url import dataset_in

if TYPE_CHECKING:
    import pyarrow as pa

ENTRY_POINT_GROUP = "lorchestra.stores"


@runtime_checkable
class Store(Protocol):
    """Where the two tables are. Every method is one short, complete piece of work.

    All of them raise `StoreBusyError` or `StoreUnreachableError` when the store cannot be reached, and
    `StoreSchemaError` when its tables are missing or differ from what this version needs.
    """

    tables: TableNames
    #: What is a good batch for this store.
    batch_bounds: BatchBounds

    def create_tables(self) -> None:
        """Make the tables and views that are missing. What exists is never altered; repeating is free."""

    def check_tables(self) -> list[Difference]:
        """Compare the tables with what this version needs; an empty list means that they fit."""

    def migrate(self) -> None:
        """Bring an `event_log` of before to today's columns, its rows as they are, and views to today's.

        What would lose something is not done, and of `raw_objects` nothing is changed, ever.
        """

    def append_events(self, events: Sequence[Event]) -> None:
        """Append events, all or none. An event whose event_id is already there is not added again."""

    def merge(self, batch: StagedBatch) -> MergeCounts:
        """Merge one batch into `raw_objects`, all or nothing.

        A new key is inserted with `first_seen = last_seen = seen_at`; a known key gets `last_seen = seen_at`,
        and its payload is replaced where it differs. Merging a batch again changes nothing but `last_seen`,
        so a batch may be merged again after an error, even one that came after the batch was stored.
        """

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, max_rows: int | None = None
    ) -> "pa.Table":
        """Run one GoogleSQL SELECT, and fetch its first `max_rows` rows or all.

        Columns of type JSON carry the Arrow extension type `arrow.json`.

        Raises:
            QueryError: the statement is refused.
        """

    def close(self) -> None:
        """Release what the store holds. It can be called twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class NarrowsIntegers(Protocol):
    """**Limit:** an integer in JSON beyond 64 bits would become another number, so it must not get here."""

    #: The least and the largest that is kept digit by digit.
    integers_kept: tuple[int, int]


@runtime_checkable
class CleansUp(Protocol):
    """**Capability:** a killed process may leave something half done beside the tables."""

    def clean_up(self, run_id: str) -> None:
        """Remove what this run left. Its process must be dead."""


@runtime_checkable
class TouchesObjects(Protocol):
    """**Capability:** objects that a source still has, unchanged, are noted without being merged again."""

    def touch(self, idem_keys: Sequence[str], *, seen_at: datetime, correlation_id: str) -> Mapping[str, int]:
        """Set `last_seen` of those of these keys that are there, where it is earlier; what it took.

        Repeating changes nothing.
        """


@runtime_checkable
class GivesRows(Protocol):
    """**Capability:** rows of a query come as plain values, without Arrow, which takes time to load."""

    def query_rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """What `query(sql, parameters).to_pylist()` gives."""


def query_rows(store: Store, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of one GoogleSQL SELECT; JSON as text.

    Raises:
        QueryError: the statement is refused.
    """
    if isinstance(store, GivesRows):
        return store.query_rows(sql, parameters)
    rows: list[dict[str, Any]] = store.query(sql, parameters).to_pylist()
    return rows


@runtime_checkable
class GivesSnapshots(Protocol):
    """**Capability:** several queries can read one state of the store, which is opened once for them."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Within it, queries of this thread see the store as it is now. Nothing may be written meanwhile."""


def snapshot(store: Store) -> AbstractContextManager[None]:
    """One state of the store for several queries, where the store can give it."""
    return store.snapshot() if isinstance(store, GivesSnapshots) else nullcontext()


@runtime_checkable
class HoldsOpen(Protocol):
    """**Capability:** merges that follow each other closely need not open the store anew each time."""

    def held(self) -> AbstractContextManager[Callable[[], None]]:
        """Within it, the store may stay open after a merge of this thread; calling what it gives closes it.

        One that others wait for is closed by itself.
        """


def held(store: Store) -> AbstractContextManager[Callable[[], None]]:
    """The store, open from one merge to the next where it can be; what it gives lets go of it."""
    return store.held() if isinstance(store, HoldsOpen) else nullcontext(lambda: None)


@runtime_checkable
class CountsBytes(Protocol):
    """**Capability:** what a query costs is known before it runs."""

    def bytes_read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """How many bytes a query would read, at most. Asking is free.

        Raises:
            QueryError: the statement is refused.
        """


@runtime_checkable
class TakesCopies(Protocol):
    """**Capability:** rows of another store's `raw_objects` can be put in with the times they have there."""

    def merge_copied(self, rows: "pa.Table") -> int:
        """Merge rows that have all seven columns, keys unique; how many were written.

        A row that is seen later here stays as it is; `first_seen` becomes the earlier of both.
        """


@runtime_checkable
class GivesCopies(Protocol):
    """**Capability:** `raw_objects` can be read piece by piece, in the order in which it is kept."""

    def next_places(self, after: int, limit: int) -> "pa.Table":
        """The next objects after a place (-1: from the first): place, idem_key, first_seen, last_seen."""

    def rows_at(self, places: Sequence[int]) -> "pa.Table":
        """The whole rows at these places, in any order."""


@runtime_checkable
class PrunesEvents(Protocol):
    """**Capability:** events of runs that ended long ago can be deleted."""

    def delete_events(self, before: datetime, *, run_id: str) -> int:
        """Delete the events of the runs that `internal/runs_to_prune.sql` finds, all or none; how many.

        `run_id` is the run that does it. Repeating finds nothing more.
        """


@runtime_checkable
class Diagnoses(Protocol):
    """**Capability:** what is needed to work with the store can be checked, one thing after the other."""

    def diagnose(self) -> list[Finding]:
        """What is there and what is missing; nothing that lasts is written."""


def address_of(store: Store) -> str:
    """Which tables these are, without credentials: what waits on this host for a store is known by it.

    A store may say so itself, in its `address`.
    """
    address: str | None = getattr(store, "address", None)
    return address or f"{type(store).__qualname__}#{store.tables.dataset}.{store.tables.event_log}"


def open_store(
    url: str,
    *,
    dataset: str | None = None,
    event_log_table: str = "event_log",
    raw_objects_table: str = "raw_objects",
    busy_timeout_seconds: float = 30.0,
) -> Store:
    """Open the store that the URL's scheme names: `duckdb:///file.duckdb` (four slashes: an absolute path).

    Stores are entry points of the group `lorchestra.stores`: callables that take the URL, the table names and
    `busy_timeout_seconds`. Nothing is created by opening. `dataset` may stand in the URL of a BigQuery store,
    and is `events_dev` where it stands nowhere.

    Raises:
        ConfigError: no installed package provides the scheme, or the URL or a table name is malformed.
    """
    scheme = _scheme(url)
    named = dataset_in(url)
    if named is not None and dataset is not None and named != dataset:
        raise ConfigError(
            "store.url: names another dataset than store.dataset",
            next_step="Name it in one of the two places only.",
        )
    if dataset is None:
        dataset = named or TableNames().dataset
    tables = TableNames(dataset=dataset, event_log=event_log_table, raw_objects=raw_objects_table)
    for field in ("dataset", "event_log", "raw_objects"):
        _check_identifier(field, getattr(tables, field))
    _check_distinct(tables)
    for point in _openers(scheme):
        try:
            opener = point.load()
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("lorchestra"):
                raise
            raise ConfigError(
                f"store.url: {scheme}:// needs a package that is not installed",
                next_step=f"Type: pip install 'lorchestra[{scheme}]'",
            ) from None
        store = opener(url, tables=tables, busy_timeout_seconds=busy_timeout_seconds)
        if isinstance(store, Store):
            return store
    known = ", ".join(sorted({f"{point.name}://" for point in entry_points(group=ENTRY_POINT_GROUP)}))
    raise ConfigError(
        f"store.url: no installed package provides this kind of store; known: {known}",
        next_step='Set url under [store] in lorchestra.toml, such as url = "duckdb:///lorchestra.duckdb".',
    )


def _openers(scheme: str) -> EntryPoints:
    """Entry points for a scheme: our own, and only else, as it takes longer, those of all other packages."""
    own = distribution("lorchestra").entry_points.select(group=ENTRY_POINT_GROUP, name=scheme)
    return own or entry_points(group=ENTRY_POINT_GROUP, name=scheme)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        raise ConfigError("store.url: is not a URL") from None


def _check_distinct(tables: TableNames) -> None:
    # The store makes views of these names beside the tables; some engines ignore case in names.
    taken = set(VIEWS)
    for field in ("event_log", "raw_objects"):
        name = getattr(tables, field).lower()
        if name in taken:
            raise ConfigError(f"store.{field}: this name is taken by another table or by a view")
        taken.add(name)


def _check_identifier(field: str, name: str) -> None:
    if not (name.isascii() and name.isidentifier() and len(name) <= 128):
        raise ConfigError(f"store.{field}: must be letters, digits and '_', not beginning with a digit")
