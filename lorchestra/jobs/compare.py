"""What a source has, beside what the table has of it."""

from collections.abc import Mapping
from datetime import datetime

from lorchestra.jobs.context import JobContext
from lorchestra.jobs.dry_run import count_records
from lorchestra.model import IdemKeyFn
from lorchestra.sources.base import Compares, Source


def compare(
    context: JobContext, *, source: Source, idem_key_fn: IdemKeyFn, before: datetime
) -> Mapping[str, int]:
    """Counts of the context's window: `records_extracted` in all, of them `known` and `new` to the table.

    What came to a source after `before` is left out, where the source can tell. A source that cannot say what
    it has is read, as for a dry run; nothing is written.

    Raises:
        SourceError, StoreError: one of the two cannot be asked.
    """
    if isinstance(source, Compares):
        return source.compare(context.window, before)
    return count_records(context, source=source, idem_key_fn=idem_key_fn)
