"""The first page: what is wrong, what runs, and how the last seven days were."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from lorchestra.health import NEEDS_A_HUMAN, JobHealth
from lorchestra.web.days import days_between
from lorchestra.web.marks import strip, strip_text
from lorchestra.web.reading import OLD_SECONDS, RUNNING_OLD_SECONDS, Reading, now
from lorchestra.web.svg import strip_svg

DAYS = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """A job with what is drawn of it; `objects` is None where it is not known what the job reads."""

    health: JobHealth
    strip: Markup | None
    objects: int | None


def overview(reading: Reading, *, linked: bool = True) -> dict[str, Any]:
    """Every job, what is wrong first; the counts of all; and the last seven days."""
    return reading.remembered(
        ("overview", linked),
        lambda: reading.at_once(lambda: _overview(reading, linked=linked)),
        old_seconds=lambda made: RUNNING_OLD_SECONDS if made["running"] else OLD_SECONDS,
    )


def _overview(reading: Reading, *, linked: bool) -> dict[str, Any]:
    healths = reading.healths()
    stored = _stored(reading)
    rows = [_row(one, reading.configured.get(one.job_name), stored, linked=linked) for one in healths]
    today = now()
    week = reading.remembered(
        "week", lambda: days_between(reading, today - timedelta(days=DAYS - 1), today), by="events"
    )
    return {
        "rows": rows,
        "wrong": sum(any(alert.kind in NEEDS_A_HUMAN for alert in one.alerts) for one in healths),
        "unusual": sum(
            bool(one.alerts) and all(alert.kind not in NEEDS_A_HUMAN for alert in one.alerts)
            for one in healths
        ),
        "running": sum(bool(one.running) for one in healths),
        **week,
    }


def _stored(reading: Reading) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in reading.rows("stored_counts"):
        counts[row["source_system"]] = counts.get(row["source_system"], 0) + row["objects"]
    return counts


def _row(health: JobHealth, source_system: str | None, stored: Mapping[str, int], *, linked: bool) -> JobRow:
    return JobRow(
        health=health,
        strip=strip_svg(strip(health.runs), strip_text(health.runs), linked=linked) if health.runs else None,
        objects=None if source_system is None else stored.get(source_system, 0),
    )
