"""Runs of the past, as their events tell of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.model import Event
from lorchestra.stack_clients.event_client.events import make_event


def past_runs(
    job: str,
    count: int,
    *,
    every: timedelta = timedelta(hours=1),
    last_began: timedelta = timedelta(hours=1),
    inserted: int = 40,
    seconds: float = 2.0,
) -> list[Event]:
    """So many runs that succeeded, one after the other; the last one began so long ago."""
    now = datetime.now(UTC)
    begins = [now - last_began - number * every for number in reversed(range(count))]
    return [event for began in begins for event in _events(job, began, inserted, seconds)]


def _events(job: str, began: datetime, inserted: int, seconds: float) -> Iterator[Event]:
    of_job = {"job_name": job, "package_name": "lorchestra"}
    counts = {"records_extracted": inserted, "inserted": inserted, "updated": 0, "unchanged": 0}
    told: list[tuple[str, str, dict[str, Any], float]] = [
        ("job.started", "lorchestra", of_job, 0.0),
        ("ingestion.completed", "acct1", counts, seconds / 2),
        ("job.completed", "lorchestra", {**of_job, "duration_seconds": seconds}, seconds),
    ]
    for kind, source, payload, after in told:
        event = make_event(
            event_type=kind,
            source_system=source,
            object_type="job_run" if source == "lorchestra" else "email",
            correlation_id=f"{job}-{began:%Y%m%d%H%M%S}",
            payload=payload,
        )
        yield replace(event, created_at=began + timedelta(seconds=after))
