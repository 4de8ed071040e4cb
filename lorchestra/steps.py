"""The named points of a run, in their order, for whoever observes or disturbs one.

Each is an audit event (PEP 578): a hook added by `sys.addaudithook` hears `lorchestra.step` with the name. A
hook that raises ends the run there, as any error would. Without a hook a point costs nothing worth telling.
"""

import sys
from enum import StrEnum

AUDIT_EVENT = "lorchestra.step"


class Step(StrEnum):
    """A point that a run passes; the second group is passed for each record, segment or batch."""

    STARTING = "starting"  # job.started is about to be written
    STARTED = "started"  # job.started is on record; nothing was read yet

    EXTRACTED = "extracted"  # one record is in the open segment
    SEGMENT_WRITTEN = "segment_written"  # a segment is closed
    BATCH_STAGED = "batch_staged"  # a batch is where the store can merge it from
    BATCH_MERGING = "batch_merging"  # the store has begun to merge it; nothing is committed
    SEGMENT_MERGED = "segment_merged"  # all of a segment is in the store; its file is still there

    INGESTION_ENDING = "ingestion_ending"  # ingestion.completed is about to be written
    ENDING = "ending"  # job.completed is about to be written


def reached(step: Step) -> None:
    """Tell the hooks, if any, that the run is at this point."""
    sys.audit(AUDIT_EVENT, step.value)
