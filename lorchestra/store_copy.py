"""Copying both tables from one store to another: what is there already is left out, so it can go on any time.

Nothing is remembered between two copies. What the target holds says what is still to do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from lorchestra.errors import MissingObjectsError, StoreSchemaError, UsageError
from lorchestra.model import Event, EventStatus
from lorchestra.queries import internal_query
from lorchestra.setup import EVENT_LOG_COLUMNS
from lorchestra.stores.base import GivesCopies, Store, TakesCopies
from lorchestra.stores.known_events import known_events

_EVENTS_PER_PAGE = 1000
_PLACES_PER_PAGE = 5000
_FIRST_ROWS, _MOST_ROWS = 64, 5000

Times = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyResult:
    """What a copy found and did; `verified` are those that were found in the target afterwards."""

    events: int
    events_copied: int
    events_verified: int
    objects: int
    objects_copied: int
    objects_verified: int

    @property
    def complete(self) -> bool:
        """Whether all of the source is in the target."""
        return (self.events, self.objects) == (self.events_verified, self.objects_verified)


def copy_store(source: Store, target: Store, *, report: Callable[[int], None] = lambda _: None) -> CopyResult:
    """Copy what the target lacks, then look for everything in it. `report` is told the objects done so far.

    Tables that the target lacks are made. Objects keep `first_seen` and `last_seen`; one that was seen later
    at the target stays as it is there. Events keep their ids, so none is there twice.

    Raises:
        UsageError: the stores are of kinds that cannot be copied from or to.
        StoreError: one of the two cannot be used, or the target's tables do not fit. Starting again goes on.
    """
    if not isinstance(source, GivesCopies):
        raise UsageError("store: this kind of store cannot be copied from; a DuckDB file can")
    if not isinstance(target, TakesCopies):
        raise UsageError("--to: this kind of store cannot be copied to; BigQuery can")
    if source.check_tables():
        raise StoreSchemaError(
            "store: the tables to copy are missing or differ", next_step="Run `lorchestra setup` first."
        )
    target.migrate()
    target.create_tables()
    if target.check_tables():
        raise StoreSchemaError(
            "--to: the tables there differ from what is needed",
            next_step="Run `lorchestra setup --check` with that store's --store-url.",
        )
    events_copied = _copy_events(source, target)
    objects_copied = _copy_objects(source, target, target.merge_copied, report)
    events, events_verified = _verify_events(source, target)
    objects, objects_verified = _verify_objects(source, target)
    return CopyResult(
        events=events,
        events_copied=events_copied,
        events_verified=events_verified,
        objects=objects,
        objects_copied=objects_copied,
        objects_verified=objects_verified,
    )


def _copy_events(source: Store, target: Store) -> int:
    copied = 0
    for page in _pages_of_events(source):
        known = known_events(target, page)
        wanted = [event for event in page if event.event_id not in known]
        if wanted:
            target.append_events(wanted)
        copied += len(wanted)
    return copied


def _verify_events(source: Store, target: Store) -> tuple[int, int]:
    there = found = 0
    for page in _pages_of_events(source):
        there += len(page)
        found += len(known_events(target, page))
    return there, found


def _pages_of_events(source: Store) -> Iterator[list[Event]]:
    after = ""
    while True:
        parameters = {"after": after, "limit": _EVENTS_PER_PAGE}
        rows = source.query(internal_query("events_in_order", source.tables), parameters).to_pylist()
        if not rows:
            return
        yield list({row["event_id"]: _event(row) for row in rows}.values())
        after = rows[-1]["event_id"]


def _event(row: Mapping[str, Any]) -> Event:
    values = {name: row[name] for name, _, _ in EVENT_LOG_COLUMNS}
    payload = None if row["payload"] is None else orjson.loads(row["payload"])
    return Event(**{**values, "status": EventStatus(row["status"]), "payload": payload})


def _copy_objects(
    source: GivesCopies, target: Store, merge: Callable[[pa.Table], int], report: Callable[[int], None]
) -> int:
    copied = done = 0
    rows_wanted = _FIRST_ROWS
    for places in _pages_of_places(source):
        known = _times(target, places.column("idem_key").to_pylist())
        missing = [
            row["place"] for row in places.to_pylist() if not _is_there(row, known.get(row["idem_key"]))
        ]
        while missing:
            some, missing = missing[:rows_wanted], missing[rows_wanted:]
            rows = _latest_of_each_key(source.rows_at(some))
            merge(rows)
            copied += rows.num_rows
            # As many at once as make a good batch, going by those before.
            size = max(1, rows.nbytes // max(1, rows.num_rows))
            rows_wanted = max(1, min(_MOST_ROWS, target.batch_bounds.bytes // size))
            report(done + places.num_rows - len(missing))
        done += places.num_rows
        report(done)
    return copied


def _verify_objects(source: GivesCopies, target: Store) -> tuple[int, int]:
    keys = 0
    found = 0
    for places in _pages_of_places(source):
        known = _times(target, places.column("idem_key").to_pylist())
        keys += places.num_rows
        found += sum(_is_there(row, known.get(row["idem_key"])) for row in places.to_pylist())
    return keys, found


def _pages_of_places(source: GivesCopies) -> Iterator[pa.Table]:
    after = -1
    while True:
        places = source.next_places(after, _PLACES_PER_PAGE)
        if places.num_rows == 0:
            return
        yield places
        after = places.column("place")[-1].as_py()


def _times(store: Store, keys: Sequence[str]) -> dict[str, Times]:
    parameters = {"keys": list(keys), "lo": min(keys), "hi": max(keys)}
    rows = store.query(internal_query("times_of_keys", store.tables), parameters).to_pylist()
    return {row["idem_key"]: (row["first_seen"], row["last_seen"]) for row in rows}


def _is_there(row: Mapping[str, Any], times: Times | None) -> bool:
    return times is not None and times[0] <= row["first_seen"] and times[1] >= row["last_seen"]


def _latest_of_each_key(rows: pa.Table) -> pa.Table:
    """Rows with keys that occur once: of rows that were doubled by hand, the one seen last."""
    latest: dict[str, int] = {}
    seen = rows.column("last_seen").to_pylist()
    for number, key in enumerate(rows.column("idem_key").to_pylist()):
        if key not in latest or seen[number] >= seen[latest[key]]:
            latest[key] = number
    return rows if len(latest) == rows.num_rows else rows.take(sorted(latest.values()))


def raise_if_incomplete(result: CopyResult) -> None:
    """Say so when something of the source is not in the target.

    Raises:
        MissingObjectsError: it is not complete.
    """
    if not result.complete:
        events, objects = result.events - result.events_verified, result.objects - result.objects_verified
        raise MissingObjectsError(
            f"--to: {objects} objects and {events} events are not there yet, or changed meanwhile",
            next_step="Run the same command again: it copies what is missing.",
        )
