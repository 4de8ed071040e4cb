"""Cells of the matrix that are known not to be as they must be. The page tells of them."""

from collections.abc import Mapping

from lorchestra.steps import Step
from tests.reliability.matrix import POINTS, STORES

_NOT_TOLD = "What ends a run before `job.started` is written is not told in a sentence of our own"
_OUTBOX_FULL = "That the outbox cannot be written is told as an error of its own, and its empty file stays"
_STAGED = "The staging table of a run that could not drop it stays until BigQuery drops it, 24 hours later"
_LOST_START = "`job.started` arrived, but its run gets another id, so that one run is there that never ends"

#: Store, failure and point, with the reason. One that is right must be taken off.
KNOWN: Mapping[tuple[str, str, Step], str] = {
    **{(s, f, Step.STARTING): _NOT_TOLD for s in STORES for f in ("SIGTERM", "Ctrl-C", "exception")},
    **{("duckdb", "one disk full", point.step): _OUTBOX_FULL for point in POINTS[1:]},
    **{
        ("bigquery", failure, step): _STAGED
        for failure in ("store gone", "store read-only")
        for step in (Step.BATCH_STAGED, Step.BATCH_MERGING)
    },
    **{("bigquery", "answer lost", point.step): _STAGED for point in POINTS[1:-2]},
    ("bigquery", "answer lost", Step.STARTING): _LOST_START,
}
