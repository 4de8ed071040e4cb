"""The report in one file: what the page shows, to be mailed and printed; nothing in it leads elsewhere."""

from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from lorchestra.web.days import days_between
from lorchestra.web.marks import ticks, timeline
from lorchestra.web.overview import overview
from lorchestra.web.reading import Reading, now
from lorchestra.web.rendering import environment
from lorchestra.web.run_page import Verify, run_page
from lorchestra.web.svg import lane_svg

#: So many failed runs are told one by one.
FAILURES_MAX = 100


def report_of_run(reading: Reading, run_id: str, *, verify: Verify) -> str:
    """One run, and whether what it stored is all there.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: the store cannot be asked.
    """
    context = run_page(reading, run_id, verify=verify)
    return _rendered("report_run.html", context)


def report_since(reading: Reading, first: datetime) -> str:
    """Every job, and what happened from the day of `first` until now.

    Raises:
        StoreError: the store cannot be asked.
    """
    last = now()
    runs = reading.rows("runs_between", first=first, last=last)
    lanes = timeline(runs, first, last, last)
    failures = [run for run in reversed(runs) if run["state"] == "failed"]
    context = {
        **overview(reading, linked=False),
        **days_between(reading, first, last),
        "first": first,
        "last": last,
        "lanes": lanes,
        "drawn": {name: lane_svg(bars, None) for name, bars in lanes.items()},
        "ticks": ticks(first, last),
        "now": None,
        "failures": failures[:FAILURES_MAX],
        "failures_left_out": max(0, len(failures) - FAILURES_MAX),
    }
    return _rendered("report.html", context)


def _rendered(template: str, context: dict[str, Any]) -> str:
    style = (files("lorchestra.web") / "static" / "page.css").read_text(encoding="utf-8")
    return (
        environment(standalone=True)
        .get_template(template)
        # The stylesheet is ours.
        .render(path="", style=Markup(style), version=version("lorchestra"), made_at=now(), **context)  # noqa: S704
    )
