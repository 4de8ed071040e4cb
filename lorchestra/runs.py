"""One run's life, the write side: its lock, its id, its events, and the account of runs that died."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lorchestra.errors import (
    MissingObjectsError,
    QueryError,
    RunInterruptedError,
    StoreAccessError,
    StoreError,
    StoreSchemaError,
)
from lorchestra.history import run_events
from lorchestra.jobs.failure import describe, error_code, is_retryable, named, next_step, stack_hint
from lorchestra.model import Event
from lorchestra.outbox import Outbox
from lorchestra.redact import redact
from lorchestra.run_lock import Run, RunMarker
from lorchestra.stack_clients.event_client import log_event
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores.base import CleansUp, Store, address_of

SOURCE_SYSTEM = "lorchestra"
OBJECT_TYPE = "job_run"

_JOB_ENDS = ("job.completed", "job.failed")
_INGESTION_ENDS = ("ingestion.completed", "ingestion.failed")


class RunLog:
    """Writes the events of one run; an end that the store cannot take goes to the outbox.

    `seconds` is the run's duration once it has ended.
    """

    def __init__(self, run: Run, parameters: Mapping[str, Any], *, store: Store, spool: Path) -> None:
        self.run = run
        self._start = self._event("job.started", self._start_payload(parameters))
        self._store = store
        self._spool = spool
        self._started = time.monotonic()
        self.seconds = 0.0

    def started(self) -> None:
        """Log `job.started`.

        Raises:
            StoreError: it could not be written, so nothing may be extracted.
        """
        self._store.append_events([self._start])

    def never_started(self, error: StoreError) -> None:
        """The store could not take `job.started`: the whole account of the run waits in the outbox.

        Should the store have taken it and only its answer be lost, the event is the same, and there once.
        """
        self.stop_clock()
        self._keep(self._start)
        self._keep(self._failure(error))

    def stop_clock(self) -> None:
        """Nothing from here on counts as the run's duration."""
        self.seconds = round(time.monotonic() - self._started, 3)

    def completed(self, details: Mapping[str, Any]) -> bool:
        """Log `job.completed` with what the job has to say; False when it had to go to the outbox."""
        if not self.seconds:
            self.stop_clock()
        payload = {**details, **self._identity(), "duration_seconds": self.seconds}
        return self._append(self._event("job.completed", payload))

    def failed(self, error: BaseException) -> bool:
        """Log `job.failed`; False when it had to go to the outbox."""
        self.stop_clock()
        return self._append(self._failure(error))

    def _append(self, event: Event) -> bool:
        try:
            self._store.append_events([event])
        except StoreError:
            self._keep(event)
            return False
        return True

    def _keep(self, event: Event) -> None:
        Outbox(self._spool).put(event, store=address_of(self._store))

    def _failure(self, error: BaseException) -> Event:
        payload = {
            **(error.counts if isinstance(error, MissingObjectsError) else {}),
            **self._identity(),
            "duration_seconds": self.seconds,
            "error_type": type(error).__name__,
            "error_code": error_code(error),
            "retryable": is_retryable(error),
            "stack_hint": stack_hint(error),
            "next_step": next_step(error, self.run.job_name, self.run.run_id),
        }
        return self._event("job.failed", payload, status="failed", error_message=describe(error))

    def _identity(self) -> dict[str, Any]:
        return {"job_name": self.run.job_name, "package_name": self.run.package_name}

    def _event(self, event_type: str, payload: dict[str, Any], **more: str) -> Event:
        return make_event(
            event_type=event_type,
            source_system=SOURCE_SYSTEM,
            object_type=OBJECT_TYPE,
            correlation_id=self.run.run_id,
            trace_id=self.run.trace_id,
            payload=payload,
            **more,
        )

    def _start_payload(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self._identity(),
            "seen_at": self.run.started_at.isoformat(),
            "parameters": redact(parameters),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("lorchestra"),
        }


def new_run(run: Run, store: Store) -> Run:
    """The run with an id of its own, `{job_name}-{YYYYMMDDHHMMSS}`; a taken one waits for the next second.

    Raises:
        StoreError: the store cannot be asked.
    """
    while _recorded_events((now := _at_this_second(run)).run_id, store):
        _wait_for_the_next_second()
    return now


def new_run_without_store(run: Run, spool: Path) -> Run:
    """The same when the store cannot be asked: an id of a second that no run of the job can have begun in.

    The caller holds the job's lock; runs that waited for a store before are in the outbox.
    """
    waiting = {one.event.correlation_id for one in Outbox(spool).waiting()}
    _wait_for_the_next_second()
    while (now := _at_this_second(run)).run_id in waiting:
        _wait_for_the_next_second()
    return now


def _at_this_second(run: Run) -> Run:
    now = datetime.now(UTC)
    return replace(run, run_id=f"{run.job_name}-{now:%Y%m%d%H%M%S}", started_at=now)


def _wait_for_the_next_second() -> None:
    time.sleep(1.0 - datetime.now(UTC).microsecond / 1e6)


def settle(spool: Path, store: Store) -> None:
    """Deliver the outbox, and close runs of this host whose process died without a word.

    Raises:
        StoreError: the store cannot be reached; everything stays as it was.
    """
    Outbox(spool).deliver(store)
    folder = spool / "runs"
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if not path.is_file():
            continue
        marker = RunMarker(spool, path.stem)
        with marker.closing() as is_dead:
            if is_dead:
                close_dead_run(marker, store)


def close_dead_run(marker: RunMarker, store: Store) -> None:
    """Close the run that left the marker, unless its end is on record or waits. The caller holds the lock.

    What the run left half done in the store is removed. A run of another store is left alone.

    Raises:
        StoreError: the store cannot be reached; the marker stays.
    """
    content = marker.read()
    if content is None:
        marker.remove()
        return
    if content["store"] not in (None, address_of(store)):
        return
    event_types = {event["event_type"] for event in _recorded_events(content["run_id"], store)}
    if isinstance(store, CleansUp):
        # Whoever may not look for it may close the run all the same; what is left has a limited time.
        with suppress(StoreAccessError):
            store.clean_up(content["run_id"])
    # A run without any event died before it began.
    if event_types and event_types.isdisjoint(_JOB_ENDS):
        _close(content, marker, event_types, store)
    marker.remove()


def _close(content: Mapping[str, Any], marker: RunMarker, event_types: set[str], store: Store) -> None:
    ingestion = content.get("ingestion")
    if ingestion is not None and event_types.isdisjoint(_INGESTION_ENDS):
        _close_dead_ingestion(ingestion, content, store)
    started = datetime.fromisoformat(content["started_at"])
    last_alive = marker.last_alive() or started
    log_event(
        event_type="job.failed",
        source_system=SOURCE_SYSTEM,
        object_type=OBJECT_TYPE,
        correlation_id=content["run_id"],
        trace_id=content["trace_id"],
        status="failed",
        error_message="The run ended without a word: its process was killed, or the machine went down.",
        payload={
            "job_name": content["job_name"],
            "package_name": content["package_name"],
            "duration_seconds": round(max(0.0, (last_alive - started).total_seconds()), 3),
            "error_type": "ProcessDied",
            "error_code": RunInterruptedError.code,
            "retryable": True,
            "last_alive_at": last_alive.isoformat(),
            "pid": content["pid"],
            "next_step": named(RunInterruptedError.next_step, content["job_name"], content["run_id"]),
        },
        bq_client=store,
    )


def _close_dead_ingestion(ingestion: Mapping[str, Any], run: Mapping[str, Any], store: Store) -> None:
    """Say how far an ingestion had come: the next one goes on from there."""
    log_event(
        event_type="ingestion.failed",
        source_system=ingestion["source_system"],
        object_type=ingestion["object_type"],
        correlation_id=run["run_id"],
        trace_id=run["trace_id"],
        status="failed",
        error_message="The run ended without a word while it was ingesting.",
        payload={
            "error_type": "ProcessDied",
            "error_code": RunInterruptedError.code,
            "retryable": True,
            "resume": {"cursor": ingestion["cursor"]},
        },
        bq_client=store,
    )


def _recorded_events(run_id: str, store: Store) -> list[dict[str, Any]]:
    try:
        return run_events(store, run_id)
    except (StoreSchemaError, QueryError):
        # Without tables there are no runs.
        return []
