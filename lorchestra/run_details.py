"""All that the two tables tell of one run: its events, what it was given, read and stored, and its error."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lorchestra.health import RunningRun
from lorchestra.history import show_run
from lorchestra.jobs.failure import next_step_of
from lorchestra.model import INGESTION_COUNTS
from lorchestra.queries import internal_query
from lorchestra.stores.base import Store, query_rows, snapshot

# Beyond it is no number of seconds, and no number that a store counts in.
_TOO_LONG, _TOO_MANY = 1e12, 2**63
_INGESTION_ENDS = {"ingestion.completed": "succeeded", "ingestion.failed": "failed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestionDetails:
    """What a run read from one source. `first_seen` and `last_seen` are what `raw_objects` has by now."""

    source_system: str
    object_type: str
    #: `succeeded` or `failed`.
    state: str
    ended_at: datetime
    duration_seconds: float | None
    #: Those of `INGESTION_COUNTS` that it told; one that was found dead tells none.
    counts: Mapping[str, int]
    #: Where it went on, and where the next one will; None for what is read whole each time.
    cursor_before: Any
    cursor_after: Any
    #: Its timestamp in `raw_objects`.
    seen_at: datetime | None
    #: Seconds since its start, and records until then.
    records_over_time: Sequence[tuple[float, int]]
    #: Objects that it stored first.
    first_seen: int
    #: Objects that no later run has seen.
    last_seen: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDetails:
    """One run. Times are in UTC; None is "not told" or "not yet"."""

    run_id: str
    job_name: str | None
    package_name: str | None
    host: str | None
    #: As in the view `job_runs`; `pending` where it left events, and no start.
    state: str
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    trace_id: str | None
    #: What the command and the job's settings said, secrets masked.
    parameters: Mapping[str, Any]
    error_message: str | None
    error_code: str | None
    #: What to type, where it failed.
    next_step: str | None
    #: Its rows of `event_log`, oldest first.
    events: Sequence[Mapping[str, Any]]
    ingestions: Sequence[IngestionDetails]
    #: How far it has come, while it runs.
    running: RunningRun | None


def run_details(store: Store, run_id: str) -> RunDetails:
    """What there is to tell of a run.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: the store cannot be asked.
    """
    with snapshot(store):
        events = show_run(store, run_id)
        first = events[0]["created_at"]
        of_run = {"run_ids": [run_id], "first": first}
        rows = query_rows(store, internal_query("runs", store.tables), of_run)
        row = rows[0] if rows else {}
        started = next((_payload(one) for one in events if one["event_type"] == "job.started"), {})
        ingestions = tuple(_ingestions(store, events, first, started))
        running = _running(store, of_run) if row.get("state") == "running" else None
    parameters = started.get("parameters")
    state = row.get("state", "pending")
    next_step = row.get("next_step")
    if next_step is None and state == "failed":
        job_name = row["job_name"] or "JOB"
        next_step = next_step_of(row["error_code"], job_name=job_name, run_id=run_id)
    return RunDetails(
        run_id=run_id,
        job_name=row.get("job_name"),
        package_name=row.get("package_name"),
        host=row.get("host"),
        state=state,
        started_at=row.get("started_at", first),
        ended_at=row.get("ended_at"),
        duration_seconds=row.get("duration_seconds"),
        trace_id=row.get("trace_id") or next((one["trace_id"] for one in events if one["trace_id"]), None),
        parameters=parameters if isinstance(parameters, dict) else {},
        error_message=row.get("error_message"),
        error_code=row.get("error_code"),
        next_step=next_step,
        events=events,
        ingestions=ingestions,
        running=running,
    )


def touched_objects(store: Store, ingestion: IngestionDetails, limit: int) -> list[dict[str, Any]]:
    """Objects that an ingestion saw first or last: idem_key, first_seen, last_seen; new ones first.

    Raises:
        StoreError: the store cannot be asked.
    """
    if ingestion.seen_at is None:
        return []
    parameters = {**_source(ingestion), "seen_at": ingestion.seen_at, "limit": limit}
    return query_rows(store, internal_query("touched_objects", store.tables), parameters)


def counts_of(payload: Any) -> dict[str, int]:
    """The counts in the payload of an event."""
    found = payload if isinstance(payload, dict) else {}
    return {name: found[name] for name in INGESTION_COUNTS if _is_count(found.get(name))}


def _ingestions(
    store: Store, events: Sequence[Mapping[str, Any]], first: datetime, started: Mapping[str, Any]
) -> Iterator[IngestionDetails]:
    for event in events:
        state = _INGESTION_ENDS.get(event["event_type"])
        if state is None or event["object_type"] is None:
            continue
        said = _payload(event)
        # One that was found dead tells no time of its own.
        seen_at = _time(said.get("seen_at")) or _time(started.get("seen_at"))
        source = {"source_system": event["source_system"], "object_type": event["object_type"]}
        before = query_rows(store, internal_query("cursor_before", store.tables), {**source, "before": first})
        first_seen, last_seen = _touched(store, source, seen_at)
        yield IngestionDetails(
            **source,
            state=state,
            ended_at=event["created_at"],
            duration_seconds=_number(said.get("duration_seconds")),
            counts=counts_of(said),
            cursor_before=json.loads(before[0]["cursor"]) if before else None,
            cursor_after=_cursor(said),
            seen_at=seen_at,
            records_over_time=tuple(_points(said.get("records_over_time"))),
            first_seen=first_seen,
            last_seen=last_seen,
        )


def _touched(store: Store, source: Mapping[str, str], seen_at: datetime | None) -> tuple[int, int]:
    if seen_at is None:
        return 0, 0
    parameters = {**source, "seen_at": seen_at}
    [row] = query_rows(store, internal_query("touched_counts", store.tables), parameters)
    return row["first_seen"], row["last_seen"]


def _running(store: Store, of_run: Mapping[str, Any]) -> RunningRun:
    [row] = query_rows(store, internal_query("running_progress", store.tables), of_run)
    return RunningRun(started_at=of_run["first"], **row)


def _source(ingestion: IngestionDetails) -> dict[str, str]:
    return {"source_system": ingestion.source_system, "object_type": ingestion.object_type}


# Events may be somebody else's, and say what they like.


def _payload(event: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = event["payload"]
    return payload if isinstance(payload, dict) else {}


def _time(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _cursor(said: Mapping[str, Any]) -> Any:
    resume = said.get("resume")
    kept = resume.get("cursor") if isinstance(resume, dict) else None
    return kept if said.get("cursor") is None else said["cursor"]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_MANY


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < _TOO_LONG else None


def _points(value: Any) -> Iterator[tuple[float, int]]:
    for point in value if isinstance(value, list) else ():
        match point:
            case [seconds, records] if _number(seconds) is not None and _is_count(records):
                yield float(seconds), records
