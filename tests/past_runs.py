"""Runs of the past, as the event log has them: made by the event client, at times before now."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.model import Event
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import Store

#: Letters that clear the screen, retitle the window, ring, break the line, and turn the rest around.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202e\u200fname\x9b31m"
#: What of it must never reach a terminal.
COMMANDING = ("\x1b[2J", "\x1b]", "\x07", "\u202e", "\u200f", "\x9b")


def past_run(
    store: Store,
    job: str,
    *,
    ago: timedelta,
    seconds: float = 2.0,
    inserted: int = 5,
    error: str | None = None,
) -> str:
    """Leave the events of a run that began so long ago; its id."""
    begin = datetime.now(UTC) - ago
    store.append_events(list(_events_at(begin, job, seconds, inserted, error)))
    return _run_id(job, begin)


def past_runs(
    job: str,
    count: int,
    *,
    every: timedelta = timedelta(hours=1),
    last_began: timedelta = timedelta(hours=1),
    inserted: int = 40,
    seconds: float = 2.0,
) -> list[Event]:
    """The events of so many runs that succeeded, one after the other; the last one began so long ago."""
    now = datetime.now(UTC)
    begins = [now - last_began - number * every for number in reversed(range(count))]
    return [event for begin in begins for event in _events_at(begin, job, seconds, inserted, None)]


def _run_id(job: str, begin: datetime) -> str:
    return f"{job}-{begin:%Y%m%d%H%M%S}"


def _events_at(
    begin: datetime, job: str, seconds: float, inserted: int, error: str | None
) -> Iterator[Event]:
    """Start, ingestion and end, each half of the run's time after the one before."""
    for number, event in enumerate(_events(job, _run_id(job, begin), seconds, inserted, error)):
        yield replace(event, created_at=begin + timedelta(seconds=seconds * number / 2))


def _events(job: str, run_id: str, seconds: float, inserted: int, error: str | None) -> Iterator[Event]:
    of_run = {"job_name": job, "package_name": "lorchestra"}
    failure: dict[str, Any] = {"status": "failed", "error_message": error} if error else {}
    end = "failed" if error else "completed"
    yield make_event(
        event_type="job.started",
        source_system="lorchestra",
        object_type="job_run",
        correlation_id=run_id,
        payload={**of_run, "host": "here"},
    )
    yield make_event(
        event_type=f"ingestion.{end}",
        source_system="acme",
        object_type="page",
        correlation_id=run_id,
        payload={"records_extracted": inserted, "inserted": inserted, "duration_seconds": seconds},
        **failure,
    )
    yield make_event(
        event_type=f"job.{end}",
        source_system="lorchestra",
        object_type="job_run",
        correlation_id=run_id,
        payload={**of_run, "duration_seconds": seconds, **({"error_code": "job.raised"} if error else {})},
        **failure,
    )
