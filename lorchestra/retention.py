"""Pruning: events of runs that ended long ago are deleted, whole runs only; it is a run itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lorchestra.errors import ArgumentError, StoreSchemaError, UsageError
from lorchestra.jobs.context import JobContext, JobResult
from lorchestra.queries import internal_query
from lorchestra.stores.base import PrunesEvents, Store, query_rows

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


def prune(context: JobContext, before: datetime) -> JobResult:
    """Delete what ended before a moment: the work of a run of its own.

    Raises:
        UsageError: the store cannot prune.
        StoreError: nothing was deleted.
    """
    if not isinstance(context.store, PrunesEvents):
        raise UsageError("store: this kind of store cannot be pruned")
    found = prunable(context.store, before)
    counts = {"events_deleted": 0, "runs_deleted": 0}
    if found is not None and found.events:
        counts["events_deleted"] = context.store.delete_events(before, run_id=context.run_id)
        counts["runs_deleted"] = found.runs
    return JobResult(counts=counts, details={**counts, "before": before.isoformat()})
