"""One job: how long its runs took and what they stored, over months."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from lorchestra.history import list_runs
from lorchestra.spans import span
from lorchestra.web.charts import Chart, durations_chart, volume_chart
from lorchestra.web.marks import run_text, strip, strip_text
from lorchestra.web.reading import Reading, now
from lorchestra.web.svg import run_address, strip_svg

HISTORY = timedelta(days=180)
#: So many runs are points of their own; of more, each day is one.
RUNS_MAX = 150
_VOLUME = {"inserted": "new", "updated": "changed"}


def job_page(reading: Reading, job_name: str) -> dict[str, Any] | None:
    """The job with its charts and newest runs; None where there is no such job."""
    health = next((one for one in reading.healths() if one.job_name == job_name), None)
    if health is None:
        return None
    history = reading.remembered(("job", job_name), lambda: _history(reading, job_name))
    return {
        "health": health,
        "strip": strip_svg(strip(health.runs), strip_text(health.runs), linked=True),
        **history,
    }


def _history(reading: Reading, job_name: str) -> dict[str, Any]:
    days = reading.rows("job_days", job=job_name, first=now() - HISTORY)
    runs = list_runs(reading.store, job=job_name, limit=RUNS_MAX + 1)
    return {
        "runs": runs[:30],
        "totals": {
            name: sum(day[name] for day in days) for name in ("runs", "failed", "inserted", "updated")
        },
        "durations": _durations(days, runs),
        "volume": volume_chart(_every_day(days), _VOLUME, "New and changed objects of each day")
        if days
        else None,
    }


def _every_day(days: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The days from the first to the last, also those without a run."""
    found = {day["day"]: day for day in days}
    first, last = days[0]["day"], days[-1]["day"]
    dates = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [found.get(day, {"day": day, **dict.fromkeys(_VOLUME, 0)}) for day in dates]


def _durations(days: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> Chart | None:
    if not days:
        return None
    low, high = days[0]["usual_low"], days[0]["usual_high"]
    usual = None if low is None else (low, high)
    if len(runs) <= RUNS_MAX:
        points = [_point_of_run(run) for run in reversed(runs) if run["state"] != "running"]
        columns = ("run", "seconds", "failed")
    else:
        points = [_point_of_day(day) for day in days]
        columns = ("day", "seconds (median)", "failed")
    said = f"; eight of ten took {span(low)} to {span(high)}" if usual else ""
    return durations_chart(points, usual, f"How long runs took{said}", columns)


def _point_of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    failed = run["state"] == "failed"
    return {
        "at": run["started_at"],
        "seconds": None if failed else run["duration_seconds"],
        "failed": int(failed),
        "text": run_text(run),
        "link": run_address(run["run_id"]),
    }


def _point_of_day(day: Mapping[str, Any]) -> dict[str, Any]:
    median = day["median_seconds"]
    said = f", {day['failed']} failed" if day["failed"] else ""
    took = "" if median is None else f", half of them within {span(median)}"
    return {
        "at": datetime.combine(day["day"], time(12), tzinfo=UTC),
        "seconds": median,
        "failed": day["failed"],
        "text": f"{day['day']}: {day['runs']} runs{said}{took}",
        "link": f"/timeline?span=day&until={day['day'] + timedelta(days=1)}T00:00:00Z",
    }
