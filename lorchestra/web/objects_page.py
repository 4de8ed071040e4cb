"""What is stored: source by source, and one object."""

import json
from collections.abc import Mapping
from typing import Any

from lorchestra.web.charts import Chart, growth_chart, volume_chart
from lorchestra.web.reading import Reading
from lorchestra.web.tree import tree

NEWEST = 50


def objects_page(reading: Reading) -> dict[str, Any]:
    """Every source."""
    return {"sources": reading.remembered("sources", lambda: reading.rows("sources"))}


def source_page(reading: Reading, source_system: str, object_type: str) -> dict[str, Any] | None:
    """One source: how it grew, and what came last; None where there is no such source."""
    source = {"source_system": source_system, "object_type": object_type}
    days = reading.remembered(
        ("objects_by_day", source_system, object_type), lambda: reading.rows("objects_by_day", **source)
    )
    if not days and not any({**one, **source} == one for one in objects_page(reading)["sources"]):
        return None
    return {
        **source,
        "objects": days[-1]["objects_until_then"] if days else 0,
        "growth": _growth(days) if days else None,
        "newest": reading.rows("newest_objects", **source, limit=NEWEST),
    }


def object_page(reading: Reading, idem_key: str) -> dict[str, Any] | None:
    """One object: its row, the runs that stored and saw it, its payload; None where there is none."""
    found = reading.rows("one_object", idem_key=idem_key)
    if not found:
        return None
    row = found[0]
    runs = reading.rows(
        "runs_seen_at",
        source_system=row["source_system"],
        object_type=row["object_type"],
        seen_ats=[row["first_seen"], row["last_seen"]],
    )
    return {
        "row": row,
        "runs": {
            name: next((run["run_id"] for run in runs if run["seen_at"] == row[name]), None)
            for name in ("first_seen", "last_seen")
        },
        "size": len(row["payload"].encode()),
        "payload": tree(_value(row["payload"])),
    }


def _growth(days: list[Mapping[str, Any]] | list[dict[str, Any]]) -> Chart:
    if len(days) == 1:
        return volume_chart(days, {"objects": "new"}, "Objects that came on each day")
    return growth_chart(days, "Objects at the end of each day")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # Nested deeper than Python follows.
        return text
