"""Eight jobs, two readers and somebody's own DuckDB shell on one file.

For minutes: `python -m tests.reliability.many SECONDS`.
"""

import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb

from tests.project import Project
from tests.reliability.racer import Racer, running_racer

# Each run reads all records again; one in ten has changed since the run before.
SOURCE = """
from lorchestra.idem_keys import dataverse_row_idem_key
from lorchestra.model import Progress, Record
from lorchestra.sources.base import SourceOptions, SourceType


class Options(SourceOptions):
    count: int


class Rows:
    def __init__(self, options, context):
        self.count = options.count
        passes = context.base / f"passes-{context.source_system}"
        self.passed = passes.stat().st_size if passes.exists() else 0
        with passes.open("a") as file:
            file.write(".")

    def records(self, window, cursor):
        for number in range(self.count):
            changed = self.passed if number % 10 == 0 else 0
            data = {"id": f"{number:06}", "changed": changed, "text": f"row {number} " * 5}
            yield Record(data=data, position=f"row {number}")

    def next_cursor(self):
        return None

    def progress(self):
        return Progress()


ROWS = SourceType(
    summary="Rows.",
    object_type="row",
    options=Options,
    open=Rows,
    idem_key_fn=lambda system: dataverse_row_idem_key(system, table="row", id_field="id"),
)
"""


def project_of(folder: Path, *, jobs: int, records: int, store_url: str | None = None) -> Project:
    """A project with jobs `rows0`, `rows1` … of so many records each; the busy timeout is the default."""
    project = Project(folder=folder, store_url=store_url)
    project.install("acme-rows", SOURCE, sources={"rows": "ROWS"})
    project.configure(
        *(
            f"""
            [jobs.rows{number}]
            source = "rows"
            source_system = "acme-{number}"
            count = {records}
            """
            for number in range(jobs)
        ),
        store="",
    )
    return project


@contextmanager
def shell(path: Path, *, longest: float) -> Iterator[None]:
    """Somebody's own shell: it holds the file for moments, and for a second or two, and lets go of it."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_shell, args=(path, longest, stop))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join()
    assert process.exitcode == 0


def _shell(path: Path, longest: float, stop: Event) -> None:
    while not stop.wait(random.uniform(0.1, 0.6)):
        try:
            with duckdb.connect(path, read_only=random.random() < 0.5) as connection:
                connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
                stop.wait(random.choice((0.01, 0.1, longest)))
        except (duckdb.IOException, duckdb.CatalogException):
            stop.wait(0.05)


def many_at_once(
    racer: Racer, project: Project, *, jobs: int, records: int, passes: Callable[[int], bool]
) -> Counter[str]:
    """Run all jobs beside each other, again and again as long as `passes`, while others look.

    Every command must end with 0, every count must be exact; returned is how often what was done.
    """
    did: Counter[str] = Counter()
    running = True

    def run(job: str) -> None:
        number = 0
        while passes(number):
            [outcome] = racer.race(project, ["run", job, "--json"])
            assert outcome.code == 0, (job, number, outcome)
            [row] = outcome.rows
            changed = (records + 9) // 10 if number else 0
            expected = (0 if number else records, changed, records - changed if number else 0)
            assert (row["inserted"], row["updated"], row["unchanged"]) == expected, (job, number, row)
            number += 1
            did["runs"] += 1

    def look(*arguments: str) -> None:
        seen = 0
        while running:
            [outcome] = racer.race(project, arguments)
            if not seen and arguments[0] == "query" and outcome.code == 1:
                assert "Run `lorchestra setup`" in outcome.stderr, outcome
                continue
            assert outcome.code == 0, outcome
            rows = outcome.rows
            now = rows[0]["n"] if rows and "n" in rows[0] else len(rows)
            assert now >= seen, "what was there is not there any more"
            seen = now
            did["looks"] += 1

    count = "SELECT COUNT(*) AS n FROM `events_dev.event_log`"
    with ThreadPoolExecutor(jobs + 2) as pool:
        working = [pool.submit(run, f"rows{number}") for number in range(jobs)]
        looking = [
            pool.submit(look, "runs", "--json", "--limit", "1000"),
            pool.submit(look, "query", count, "--format", "json"),
        ]
        try:
            for one in working:
                one.result()
        finally:
            running = False
        for one in looking:
            one.result()
    did["passes"] = did["runs"] // jobs
    return did


def check_account(project: Project, *, jobs: int, records: int, runs: int) -> None:
    """Every run has one start and one end, every object is there once, and nothing waits or lies about."""
    events = project.events()
    of_runs: dict[str, list[str]] = {}
    for event in events:
        of_runs.setdefault(event["correlation_id"], []).append(event["event_type"])
    assert len(of_runs) == runs
    whole = ["ingestion.completed", "job.completed", "job.started"]
    assert all(sorted(types) == whole for types in of_runs.values()), of_runs
    [row] = project.table("SELECT COUNT(*) AS n, COUNT(DISTINCT idem_key) AS d FROM `events_dev.raw_objects`")
    assert (row["n"], row["d"]) == (jobs * records, jobs * records)
    check_nothing_left(project)


def check_nothing_left(project: Project) -> None:
    """No marker, holder, segment or event waits, and beside the database there is nothing of ours."""
    left = [path.name for path in project.spool.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []
    assert [path.name for path in project.folder.glob(".lorchestra.duckdb*")] == []


def main(seconds: float) -> None:
    """Eight jobs, two readers and a shell for so long, and then the account."""
    ends = time.monotonic() + seconds
    size = {"jobs": 8, "records": 6000}
    with tempfile.TemporaryDirectory() as folder, running_racer() as racer:
        project = project_of(Path(folder), **size)
        with shell(project.database, longest=2.0):
            did = many_at_once(
                racer, project, **size, passes=lambda number: not number or time.monotonic() < ends
            )
        check_account(project, **size, runs=did["runs"])
        sys.stdout.write(json.dumps({**did, "bytes": project.database.stat().st_size}) + "\n")


if __name__ == "__main__":
    main(float(sys.argv[1]))
