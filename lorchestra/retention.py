"""Pruning: events of runs that ended long ago are deleted, whole runs only; it is a run itself."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lorchestra.errors import ArgumentError, StoreError, StoreSchemaError, UsageError
from lorchestra.interruption import ignore_signals, signals_end_the_run
from lorchestra.outbox import Outbox
from lorchestra.queries import internal_query
from lorchestra.run_lock import Run, RunMarker, job_lock
from lorchestra.runs import (
    OBJECT_TYPE,
    SOURCE_SYSTEM,
    RunLog,
    close_dead_run,
    new_run,
    new_run_without_store,
    settle,
)
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores.base import PrunesEvents, Store, query_rows

JOB_NAME = "prune"
#: BigQuery deletes no rows that were streamed in the last 90 minutes, and a run may be going on.
_YOUNGEST = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Prunable:
    """What ended before a moment and would go: from the first event of its runs to the last."""

    before: datetime
    runs: int = 0
    events: int = 0
    began: datetime | None = None
    ended: datetime | None = None


def moment_before(age: timedelta, *, now: datetime) -> datetime:
    """The moment that lies so far back.

    Raises:
        ArgumentError: less than a day, or before the year 1.
    """
    if age < _YOUNGEST:
        raise ArgumentError("--events: must be 1d or more", next_step="Give an age such as 400d.")
    try:
        return now - age
    except OverflowError:
        raise ArgumentError("--events: lies before the year 1") from None


def prunable(store: Store, before: datetime) -> Prunable | None:
    """What would go; None where there is no store yet.

    Raises:
        StoreError: the store cannot be asked.
    """
    try:
        [row] = query_rows(store, internal_query("count_to_prune", store.tables), {"before": before})
    except StoreSchemaError:
        return None
    return Prunable(before=before, **row)


def prune(store: Store, spool: Path, before: datetime, *, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Delete what ended before a moment, as a run of its own; the run as one flat object.

    Raises:
        UsageError: the store cannot prune; nothing was logged.
        AlreadyRunningError: another process is pruning; nothing was logged.
        StoreError: nothing was deleted; the run is on record as failed.
    """
    if not isinstance(store, PrunesEvents):
        raise UsageError("store: this kind of store cannot be pruned")
    now = datetime.now(UTC)
    run = Run(
        run_id=f"{JOB_NAME}-{now:%Y%m%d%H%M%S}", job_name=JOB_NAME, package_name="lorchestra", started_at=now
    )
    with signals_end_the_run(), job_lock(spool, run) as marker:
        try:
            settle(spool, store)
            close_dead_run(marker, store)
            run = new_run(run, store)
            log = RunLog(run, store=store, spool=spool)
            marker.write(run)
            log.started(parameters)
        except StoreError as error:
            marker.remove_of(run)
            run = new_run_without_store(run, spool)
            RunLog(run, store=store, spool=spool).never_started(parameters, error)
            raise
        return _pruned(store, spool, before, delete=store.delete_events, run=run, log=log, marker=marker)


def _pruned(
    store: Store,
    spool: Path,
    before: datetime,
    *,
    delete: Callable[..., int],
    run: Run,
    log: RunLog,
    marker: RunMarker,
) -> dict[str, Any]:
    began = time.monotonic()
    counts: dict[str, Any] = {"events_deleted": 0, "runs_deleted": 0, "before": before.isoformat()}
    try:
        found = prunable(store, before)
        if found is not None and found.events:
            counts["events_deleted"] = delete(before, run_id=run.run_id)
            counts["runs_deleted"] = found.runs
        ignore_signals()
    except BaseException as error:
        ignore_signals()
        log.failed(error)
        marker.remove()
        raise
    seconds = round(time.monotonic() - began, 3)
    _completed(store, spool, run, {"duration_seconds": seconds, **counts})
    marker.remove()
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "state": "succeeded",
        "duration_seconds": seconds,
        **counts,
    }


def _completed(store: Store, spool: Path, run: Run, payload: Mapping[str, Any]) -> None:
    """Log `job.completed` with what was deleted; where the store cannot take it, it waits in the outbox."""
    event = make_event(
        event_type="job.completed",
        source_system=SOURCE_SYSTEM,
        object_type=OBJECT_TYPE,
        correlation_id=run.run_id,
        payload={"job_name": run.job_name, "package_name": run.package_name, **payload},
    )
    try:
        store.append_events([event])
    except StoreError:
        Outbox(spool).put(event)
