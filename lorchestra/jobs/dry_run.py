"""A dry run: read the source as a run would, write nothing, and say what would be written."""

import time
from itertools import islice

from lorchestra.errors import ObjectError, StoreSchemaError
from lorchestra.jobs.context import JobContext, JobProgress, JobResult
from lorchestra.jobs.ingest import keyed_entry
from lorchestra.jobs.stored import last_cursor
from lorchestra.model import Cursor, IdemKeyFn, Record
from lorchestra.queries import internal_query
from lorchestra.sources.base import Plans, Source

_KEYS_PER_QUERY = 5000
_REPORT_SECONDS = 0.1


def dry_run(context: JobContext, *, source: Source, idem_key_fn: IdemKeyFn) -> JobResult:
    """Count the records of the window: how many are new, known already, or would be rejected.

    Neither the store nor the spool is written, and no event is logged. A source that knows what it would
    fetch is only asked for that.
    """
    if isinstance(source, Plans):
        return JobResult(counts=source.plan(context.window, _cursor(context)))
    return JobResult(counts=count_records(context, source=source, idem_key_fn=idem_key_fn))


def count_records(context: JobContext, *, source: Source, idem_key_fn: IdemKeyFn) -> dict[str, int]:
    """Read the context's window, and count the records that are new to the table, known, or no objects.

    A record that occurs twice is counted as often.

    Raises:
        SourceError, StoreError: one of the two cannot be read.
    """
    counts = {"records_extracted": 0, "new": 0, "known": 0, "rejected": 0}
    keys: list[str] = []
    reported = 0.0
    for item in islice(source.records(context.window, None), context.limit):
        counts["records_extracted"] += 1
        if isinstance(item, Record):
            try:
                keys.append(keyed_entry(item, idem_key_fn, context.store)[0])
            except ObjectError:
                counts["rejected"] += 1
        else:
            counts["rejected"] += 1
        if len(keys) >= _KEYS_PER_QUERY:
            _count_known(context, keys, counts)
        if time.monotonic() - reported >= _REPORT_SECONDS:
            reported = time.monotonic()
            progress = source.progress()
            context.report(
                JobProgress(
                    records=counts["records_extracted"],
                    bytes_done=progress.bytes_done,
                    bytes_total=progress.bytes_total,
                )
            )
    _count_known(context, keys, counts)
    return counts


def _count_known(context: JobContext, keys: list[str], counts: dict[str, int]) -> None:
    if keys:
        known = _known(context, keys)
        counts["known"] += known
        counts["new"] += len(keys) - known
        keys.clear()


def _known(context: JobContext, keys: list[str]) -> int:
    try:
        result = context.store.query(internal_query("known_keys", context.store.tables), {"keys": keys})
    except StoreSchemaError:
        # There are no tables yet, so nothing is known.
        return 0
    known: int = result.to_pylist()[0]["known"]
    return known


def _cursor(context: JobContext) -> Cursor | None:
    try:
        return last_cursor(context.store, context.source_system or "", context.object_type or "")
    except StoreSchemaError:
        return None
