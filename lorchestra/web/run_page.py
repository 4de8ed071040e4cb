"""One run: what it was given, what it did and when, what it counted, and whether it is all there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorchestra.run_details import IngestionDetails, RunDetails, run_details, touched_objects
from lorchestra.verification import Check
from lorchestra.web.charts import Chart, counts_chart, rate_chart
from lorchestra.web.reading import Reading

OBJECTS_SHOWN = 20
#: What is drawn of the counts, and its titles.
_BARS = {"inserted": "new", "updated": "changed", "unchanged": "unchanged", "rejected": "rejected"}

#: Gives the checks of a run, as `lorchestra verify` makes them.
Verify = Callable[[str], Sequence[Check]]


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestionPart:
    """An ingestion with its charts and the first objects that it touched."""

    told: IngestionDetails
    counts: Chart | None
    rate: Chart | None
    objects: Sequence[Mapping[str, Any]]


def run_page(reading: Reading, run_id: str, *, verify: Verify | None) -> dict[str, Any]:
    """The run; its checks where `verify` makes them.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: the store cannot be asked.
    """
    run = run_details(reading.store, run_id)
    return {
        "run": run,
        "timeline": _timeline(run),
        "ingestions": [_part(reading, one) for one in run.ingestions],
        "checks": None if verify is None or run.running is not None else verify(run_id),
    }


def _timeline(run: RunDetails) -> list[dict[str, Any]]:
    return [
        {
            "seconds": max(0.0, (event["created_at"] - run.started_at).total_seconds()),
            "event": event,
        }
        for event in run.events
    ]


def _part(reading: Reading, told: IngestionDetails) -> IngestionPart:
    counts = {title: told.counts.get(name, 0) for name, title in _BARS.items()}
    points = told.records_over_time
    return IngestionPart(
        told=told,
        counts=counts_chart(counts, f"Records of {told.source_system}") if any(counts.values()) else None,
        rate=rate_chart(points, "Records read over time") if len(points) > 2 else None,
        objects=touched_objects(reading.store, told, OBJECTS_SHOWN),
    )
