"""Ingestion: source → spool → `raw_objects` → one event.

Records are written to the spool first and merged segment by segment. A merge that fails keeps its segments;
the next run of the job loads them before it reads the source. State never runs ahead of data: the event with
the cursor is written when everything is merged.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lorchestra.errors import MissingKeyError, ObjectError, ObjectTooLargeError, SpoolError
from lorchestra.jobs.context import JobContext, JobProgress, JobResult
from lorchestra.jobs.failure import describe, error_code, is_retryable
from lorchestra.jobs.merging import SegmentMerger
from lorchestra.jobs.record_rate import RecordRate
from lorchestra.jobs.retry import Retry
from lorchestra.jobs.stored import last_cursor
from lorchestra.model import INGESTION_COUNTS, Checkpoint, Cursor, IdemKeyFn, Record, Rejection, Seen
from lorchestra.rejects import RejectFile, note_resolved
from lorchestra.sources.base import Accounts, Item, Source, SourceType
from lorchestra.spool import JobSpool, SegmentWriter
from lorchestra.stack_clients.event_client.objects import idem_key, serialised
from lorchestra.steps import Step, reached
from lorchestra.stores.base import Store, TouchesObjects

#: A larger object is rejected: no store takes it in one row, and memory must stay bounded.
OBJECT_BYTES_MAX = 96 * 1024 * 1024

_REPORT_SECONDS = 0.1
_COUNTS = (*INGESTION_COUNTS, "batches", "bytes")
_SHOWN_IF_MET = ("known", "not_found", "resolved")
_NOT_SHOWN = ("batches", "bytes", *_SHOWN_IF_MET)


def ingest(context: JobContext, *, source: Source, kind: SourceType, idem_key_fn: IdemKeyFn) -> JobResult:
    """Read the source's window and merge what it gives; log `ingestion.completed` or `ingestion.failed`.

    A context that says `retry_of` names rejects to read instead of a window.

    Raises:
        ConfigError: the job has no source_system.
        SourceError, StoreError, SpoolError: and `ingestion.failed` says what was done until then.
    """
    if context.source_system is None:
        raise MissingKeyError(f"jobs.{context.job_name}: needs a source_system")
    run = _Ingestion(
        context=context,
        source=source,
        idem_key_fn=idem_key_fn,
        source_system=context.source_system,
        object_type=context.object_type or kind.object_type,
        resumes=kind.resumes,
    )
    try:
        cursor = run.read_and_merge()
    except BaseException as error:
        # When not even the outbox can be written, the error itself is still what ends the run.
        with suppress(SpoolError):
            run.log_failed(error)
        raise
    return run.log_completed(cursor)


def keyed_entry(record: Record, idem_key_fn: IdemKeyFn, store: Store) -> tuple[str, bytes]:
    """Key and JSON of a record, as they are merged.

    Raises:
        ObjectError: it has no identity, is no JSON that the store keeps, or is too large.
    """
    key, payload = idem_key(record.data, idem_key_fn), serialised(record.data, store=store)
    if len(payload) > OBJECT_BYTES_MAX:
        raise ObjectTooLargeError(f"larger than {OBJECT_BYTES_MAX} bytes")
    return key, payload


@dataclass(kw_only=True)
class _Ingestion:
    context: JobContext
    source: Source
    idem_key_fn: IdemKeyFn
    source_system: str
    object_type: str
    resumes: bool
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0
    #: Where the next run could go on, with what is merged by now.
    cursor: Cursor | None = None
    checkpoint: Cursor | None = None
    rate: RecordRate = field(default_factory=RecordRate)

    def __post_init__(self) -> None:
        self.spool = JobSpool(self.context.spool, self.context.job_name)
        self.rejects = RejectFile(self.context.spool, self.context.run_id)
        self.merger = SegmentMerger(context=self.context, spool=self.spool, rejects=self.rejects)
        self.counts = self.merger.counts

    def read_and_merge(self) -> Cursor | None:
        self.merger.merge(recovered=True)
        if self.resumes:
            self.cursor = last_cursor(self.context.store, self.source_system, self.object_type)
        writer = self.spool.writer(
            self.context.run_id,
            source_system=self.source_system,
            object_type=self.object_type,
            bounds=self.context.store.batch_bounds,
        )
        read_to_its_end = True
        items = self._items()
        try:
            for item in items:
                if isinstance(item, Seen):
                    self._touch(item.external_ids)
                elif isinstance(item, Checkpoint):
                    self.checkpoint = item.cursor
                    if writer.is_empty:
                        self._reached_checkpoint()
                elif self.counts["records_extracted"] == self.context.limit:
                    read_to_its_end = False
                    break
                else:
                    self._write(item, writer)
                self._report()
        finally:
            try:
                # Whatever happened, what was extracted is kept for the next run.
                self._close(writer)
            finally:
                if isinstance(items, Generator):
                    items.close()
        self.merger.merge()
        self._reached_checkpoint()
        self._report(always=True)
        if self.context.retry_of is not None:
            self._note_resolved(self.context.retry_of)
            return self.cursor
        # A cursor taken after a part of the source would skip the rest.
        return self.source.next_cursor() if read_to_its_end else self.cursor

    def _items(self) -> Iterator[Item]:
        if self.context.retry_of is None:
            return self.source.records(self.context.window, self.cursor)
        self.retry = Retry(self.context.retried, self.source, resumes=self.resumes)
        return self.retry.items()

    def _note_resolved(self, run_id: str) -> None:
        resolved = self.retry.answered - self.rejects.positions
        self.counts["resolved"] = len(resolved)
        note_resolved(self.context.spool, run_id, resolved, by=self.context.run_id)

    def _write(self, item: Record | Rejection, writer: SegmentWriter) -> None:
        self.counts["records_extracted"] += 1
        entry = self._entry(item)
        if entry is not None:
            writer.append(*entry)
            reached(Step.EXTRACTED)
        if writer.full:
            self._close(writer)
            self.merger.merge()
            self._reached_checkpoint()

    def _close(self, writer: SegmentWriter) -> None:
        if writer.close() is not None:
            reached(Step.SEGMENT_WRITTEN)

    def _reached_checkpoint(self) -> None:
        """All that the source yielded before its newest checkpoint is merged."""
        if self.checkpoint is not None:
            self.cursor, self.checkpoint = self.checkpoint, None
            self.context.checkpoint(
                {"source_system": self.source_system, "object_type": self.object_type, "cursor": self.cursor}
            )

    def _touch(self, external_ids: Sequence[str]) -> None:
        self.counts["known"] += len(external_ids)
        if external_ids and isinstance(self.context.store, TouchesObjects):
            keys = [f"{self.source_system}:{self.object_type}:{one}" for one in external_ids]
            for key in keys:
                self.merger.keys.add(key)
            self.merger.usage.update(
                self.context.store.touch(
                    keys, seen_at=self.context.seen_at, correlation_id=self.context.run_id
                )
            )

    def _entry(self, item: Record | Rejection) -> tuple[str, bytes] | None:
        """Key and JSON of a record; None when it went to the reject file."""
        if isinstance(item, Rejection):
            self._reject(item.reason, item.position)
            return None
        try:
            entry = keyed_entry(item, self.idem_key_fn, self.context.store)
        except ObjectError as error:
            kept = None if isinstance(error, ObjectTooLargeError) else item.data
            self._reject(error.reason, item.position, kept, detail=error.message)
            return None
        if "_sdc_deleted_at" in item.data:
            self.counts["gone"] += 1
        return entry

    def _reject(self, reason: str, position: str, record: Any = None, detail: str | None = None) -> None:
        self.rejects.add(reason=reason, position=position, record=record, detail=detail)
        self.counts["rejected"] += 1

    def _report(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if not always and now - self.reported < _REPORT_SECONDS:
            return
        self.reported = now
        self.rate.note(now - self.started, self.counts["records_extracted"])
        progress = self.source.progress()
        self.context.report(
            JobProgress(
                records=self.counts["records_extracted"],
                bytes_done=progress.bytes_done,
                bytes_total=progress.bytes_total,
                records_done=progress.records_done,
                records_total=progress.records_total,
            )
        )

    def log_completed(self, cursor: Cursor | None) -> JobResult:
        telemetry = self._telemetry()
        reached(Step.INGESTION_ENDING)
        self.context.log_event(
            event_type="ingestion.completed",
            source_system=self.source_system,
            object_type=self.object_type,
            payload={**telemetry, "cursor": cursor},
        )
        shown = {name: self.counts[name] for name in _COUNTS if name not in _NOT_SHOWN}
        met = {name: telemetry[name] for name in _SHOWN_IF_MET if telemetry.get(name)}
        return JobResult(counts={**shown, **met})

    def log_failed(self, error: BaseException) -> None:
        waiting = len(self.spool.segments())
        self.context.log_event(
            event_type="ingestion.failed",
            source_system=self.source_system,
            object_type=self.object_type,
            status="failed",
            error_message=describe(error),
            payload={
                **self._telemetry(),
                "error_type": type(error).__name__,
                "error_code": error_code(error),
                "retryable": is_retryable(error),
                "resume": {"segments_kept": waiting, "cursor": self.cursor},
            },
        )

    def _telemetry(self) -> dict[str, Any]:
        window = self.context.window
        seconds = time.monotonic() - self.started
        return {
            **{name: self.counts[name] for name in _COUNTS},
            "objects": len(self.merger.keys),
            **{name: self.counts[name] for name in _SHOWN_IF_MET if name in self.counts},
            **self.merger.usage,
            **(self.source.telemetry() if isinstance(self.source, Accounts) else {}),
            "duration_seconds": round(seconds, 3),
            "records_over_time": self.rate.points(seconds, self.counts["records_extracted"]),
            "date_filter": {
                "since": window.since.isoformat() if window.since else None,
                "until": window.until.isoformat() if window.until else None,
            },
            "reject_reasons": self.rejects.reasons,
            "seen_at": self.context.seen_at.isoformat(),
        }
