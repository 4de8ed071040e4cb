"""A past for sample projects: runs of the last weeks, as the event log has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from lorchestra.model import Event
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import Store


@dataclass(frozen=True, kw_only=True)
class PastJob:
    """A job as it ran: how often, how long, how much was new; `ends` before now its runs end.

    `failing` of its newest runs failed with `error`; of the others every `fails_every`-th did.
    """

    name: str
    source_system: str
    object_type: str = "email"
    every: timedelta
    since: timedelta = timedelta(days=28)
    ends: timedelta = timedelta(0)
    seconds: float = 8.0
    new: int = 40
    fails_every: int = 0
    failing: int = 0
    error: Mapping[str, str]


def write_past(store: Store, jobs: Sequence[PastJob], *, now: datetime, seed: int = 1) -> list[str]:
    """Log the runs of these jobs; their ids, job by job. The same seed gives the same numbers."""
    random = Random(seed)  # noqa: S311 - no secret
    events: list[Event] = []
    ids = []
    for job in jobs:
        starts = _starts(job, now, random)
        for number, start in enumerate(starts):
            left = len(starts) - number
            failed = left <= job.failing or (bool(job.fails_every) and number % job.fails_every == 3)
            run = _run(job, start, random, failed=failed)
            ids.append(run[0].correlation_id)
            events += run
    store.create_tables()
    store.append_events(events)
    return ids


def _starts(job: PastJob, now: datetime, random: Random) -> list[datetime]:
    last = now - job.ends
    count = int(job.since / job.every)
    wobble = job.every.total_seconds() / 50
    return [
        last - job.every * back - timedelta(seconds=random.uniform(0, wobble)) for back in range(count, 0, -1)
    ]


def _run(job: PastJob, start: datetime, random: Random, *, failed: bool) -> list[Event]:
    run_id = f"{job.name}-{start:%Y%m%d%H%M%S}"
    weekend = 0.3 if start.weekday() >= 5 else 1.0
    new = max(0, round(job.new * weekend * random.uniform(0.4, 1.6)))
    seconds = round(job.seconds * random.uniform(0.7, 1.3) * (0.2 if failed else 1), 3)
    if failed:
        new //= 10
    changed = round(new * random.uniform(0, 0.3))
    read = new + changed + round(new * random.uniform(0, 0.5))
    end = start + timedelta(seconds=seconds)
    named = {"job_name": job.name, "package_name": "lorchestra"}
    error: dict[str, Any] = {"error_code": job.error["code"], "retryable": True} if failed else {}
    begun = _event(
        "job.started",
        run_id,
        start,
        {
            **named,
            "seen_at": start.isoformat(),
            "host": "desk",
            "parameters": {"source_system": job.source_system, "object_type": job.object_type},
        },
    )
    how = "failed" if failed else "completed"
    status = {"status": "failed", "error_message": job.error["message"]} if failed else {}
    ingested = _event(
        f"ingestion.{how}",
        run_id,
        end - timedelta(seconds=seconds / 20),
        {
            "duration_seconds": round(seconds * 0.9, 3),
            "records_extracted": read,
            "inserted": new,
            "updated": changed,
            "unchanged": read - new - changed,
            "rejected": 0,
            "seen_at": start.isoformat(),
            "cursor": None,
            "records_over_time": [
                [round(seconds * 0.9 * part / 12, 2), read * part // 12] for part in range(13)
            ],
            **error,
        },
        source_system=job.source_system,
        object_type=job.object_type,
        **status,
    )
    if failed and "next_step" in job.error:
        error["next_step"] = job.error["next_step"]
    ended = _event(f"job.{how}", run_id, end, {**named, "duration_seconds": seconds, **error}, **status)
    return [begun, ingested, ended]


def running(job: PastJob, start: datetime, *, seen_at: datetime) -> Event:
    """That a run of the job began, and has not ended; `seen_at` is that of what it stored."""
    parameters = {"source_system": job.source_system, "object_type": job.object_type}
    return _event(
        "job.started",
        f"{job.name}-{start:%Y%m%d%H%M%S}",
        start,
        {
            "job_name": job.name,
            "package_name": "lorchestra",
            "seen_at": seen_at.isoformat(),
            "host": "desk",
            "parameters": parameters,
        },
    )


def _event(
    event_type: str,
    run_id: str,
    at: datetime,
    payload: Mapping[str, Any],
    *,
    source_system: str = "lorchestra",
    object_type: str = "job_run",
    **status: str,
) -> Event:
    event = make_event(
        event_type=event_type,
        source_system=source_system,
        object_type=object_type,
        correlation_id=run_id,
        payload=payload,
        **status,
    )
    return replace(event, created_at=at.astimezone(UTC))
