"""A number that is none breaks nothing that is shown: events may be anybody's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lorchestra.run_details import run_details, touched_objects
from lorchestra.run_text import run_lines
from lorchestra.stack_clients.event_client import log_event
from tests.project import JOB, Project, new_project
from tests.web.site import Site, job_path, run_path

NUMBERS: list[Any] = ["NaN", "Infinity", "-Infinity", -5, 1e308, 10**18, True, [], {"a": 1}, "12 s", None, ""]
OVER_TIME: list[Any] = [[0, 0], [1e308, 3], [-1, 2], [True, 1], [2, -7], [3, 10**18], ["4", 5], [5, 6], []]


def test_every_view_page_and_command_shows_it(tmp_path: Path, open_site: Callable[[Project], Site]) -> None:
    """As a duration, a count, a time, a cursor or a rate."""
    project = new_project(tmp_path)
    now = datetime.now(UTC)
    runs = [f"{JOB}-{now - timedelta(minutes=n):%Y%m%d%H%M%S}" for n in range(len(NUMBERS))]
    with project.store() as store:
        for run_id, number in zip(runs, NUMBERS, strict=True):
            about: dict[str, Any] = {"correlation_id": run_id, "bq_client": store}
            said = {"job_name": JOB, "duration_seconds": number}
            counts = dict.fromkeys(
                ("records_extracted", "inserted", "updated", "rejected", "objects"), number
            )
            log_event(
                event_type="job.started",
                source_system="lorchestra",
                object_type="job_run",
                payload={**said, "seen_at": number, "parameters": number},
                **about,
            )
            log_event(
                event_type="ingestion.completed",
                source_system="acct1",
                object_type="email",
                payload={
                    **said,
                    **counts,
                    "seen_at": number,
                    "cursor": number,
                    "records_over_time": OVER_TIME,
                },
                **about,
            )
            log_event(
                event_type="job.completed",
                source_system="lorchestra",
                object_type="job_run",
                payload=said,
                **about,
            )
    for view in ("job_runs", "ingestions"):
        took = project.table(f"SELECT duration_seconds AS seconds FROM `events_dev.{view}`")
        assert {row["seconds"] for row in took} <= {None, 1.0}

    site = open_site(project)
    for path in ("/", "/timeline?span=week", "/runs", job_path(JOB), "/objects", *map(run_path, runs)):
        answer = site.ask(path)
        assert answer.status == 200, (path, answer.text)
        assert " nan" not in answer.text.lower(), path
    project.lorchestra("status")
    project.lorchestra("jobs", "show", JOB)
    project.lorchestra("runs")
    project.lorchestra("report", "-o", "-")
    project.lorchestra("report", runs[0], "-o", "-")
    with project.store() as store:
        for run_id in runs:
            run = run_details(store, run_id)
            touched = [touched_objects(store, one, 10) for one in run.ingestions]
            assert any(run_id in line for line in run_lines(run, touched, store.tables, width=80)), run_id
