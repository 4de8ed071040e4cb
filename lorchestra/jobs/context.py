"""What a run gives to its job, and what a job gives back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lorchestra.errors import StoreError
from lorchestra.model import IdemKeyFn, UpsertResult, Window
from lorchestra.outbox import Outbox
from lorchestra.rejects import Reject
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stack_clients.event_client.objects import (
    DEFAULT_BATCH_SIZE,
    Target,
    keyed,
    merge_in_batches,
)
from lorchestra.stores.base import Store, address_of


@dataclass(frozen=True, kw_only=True, slots=True)
class JobProgress:
    """How far a job has come, in bytes or in records; a total is None where the source cannot know it."""

    records: int = 0
    bytes_done: int = 0
    bytes_total: int | None = None
    records_done: int = 0
    records_total: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobResult:
    """What a job says it did: small counts, shown at the end of the run.

    `details` are small values that stand in the payload of `job.completed`.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


#: A job is a callable that takes its context. Raising is failing; returning None is having nothing to say.
JobFunction = Callable[["JobContext"], JobResult | None]


def _no_report(progress: JobProgress) -> None:
    """Nobody is looking."""


def _say_nothing(text: str) -> None:
    """Nobody is listening."""


def _keep_nothing(ingestion: Mapping[str, Any]) -> None:
    """Nobody would go on from there."""


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """One run as its job sees it.

    `options` are the keys of the job's table in `lorchestra.toml`; relative paths in them start from `base`.
    `seen_at` is the run's one timestamp for `last_seen`. `environment` is that of the process over `.env`.
    `retry_of` is the run whose rejects shall be tried again, and `retried` are those.
    `report` takes how far the job has come, `say` what a person should know and no event holds, `checkpoint`
    a cursor that holds from now on, so that it outlives the process.
    `log_event` and `upsert_objects` are the event client's, with what belongs to the run filled in.
    """

    job_name: str
    run_id: str
    store: Store
    spool: Path
    seen_at: datetime
    base: Path
    window: Window = field(default_factory=Window)
    limit: int | None = None
    retry_of: str | None = None
    retried: Sequence[Reject] = ()
    trace_id: str | None = None
    source: str | None = None
    source_system: str | None = None
    object_type: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    report: Callable[[JobProgress], None] = field(default=_no_report, repr=False)
    say: Callable[[str], None] = field(default=_say_nothing, repr=False)
    checkpoint: Callable[[Mapping[str, Any]], None] = field(default=_keep_nothing, repr=False)

    def for_run(
        self, run_id: str, *, seen_at: datetime, checkpoint: Callable[[Mapping[str, Any]], None]
    ) -> "JobContext":
        """The same for a run whose id is settled."""
        return replace(self, run_id=run_id, seen_at=seen_at, checkpoint=checkpoint)

    def reporting_to(self, report: Callable[[JobProgress], None], say: Callable[[str], None]) -> "JobContext":
        """The same, with somebody to tell how far the job has come."""
        return replace(self, report=report, say=say)

    def log_event(
        self,
        *,
        event_type: str,
        source_system: str,
        object_type: str | None = None,
        status: str = "ok",
        error_message: str | None = None,
        idem_key: str | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> str:
        """`event_client.log_event` under this run's correlation_id and trace_id.

        When the store cannot be reached, an event of a failure waits in the outbox, so that reporting one
        never hides it.

        Raises:
            StoreError: an event that is no failure could not be written.
        """
        event = make_event(
            event_type=event_type,
            source_system=source_system,
            correlation_id=self.run_id,
            trace_id=self.trace_id,
            object_type=object_type,
            status=status,
            error_message=error_message,
            idem_key=idem_key,
            payload=payload,
        )
        try:
            self.store.append_events([event])
        except StoreError:
            if status != "failed":
                raise
            Outbox(self.spool).put(event, store=address_of(self.store))
        return event.event_id

    def upsert_objects(
        self,
        *,
        objects: Iterable[Mapping[str, Any]],
        source_system: str,
        object_type: str,
        idem_key_fn: IdemKeyFn,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> UpsertResult:
        """`event_client.upsert_objects` under this run's correlation_id, trace_id and `seen_at`."""
        return merge_in_batches(
            keyed(objects, idem_key_fn, store=self.store),
            store=self.store,
            target=self.target(source_system=source_system, object_type=object_type),
            batch_size=batch_size,
        )

    def target(self, *, source_system: str, object_type: str) -> Target:
        """What the objects that this run merges have in common."""
        return Target(
            source_system=source_system,
            object_type=object_type,
            correlation_id=self.run_id,
            trace_id=self.trace_id,
            seen_at=self.seen_at,
        )
