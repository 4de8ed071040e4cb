"""Two processes at the same moment on everything that lorchestra can be asked.

`RACE_ROUNDS=5 pytest tests/reliability/test_same_job_twice.py` races every pair of commands so often.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from lorchestra.errors import AlreadyRunningError
from lorchestra.stack_clients.event_client.events import make_event
from tests.project import Outcome, Project
from tests.reliability.many import check_nothing_left
from tests.reliability.racer import Racer, running_racer

ROUNDS = int(os.environ.get("RACE_ROUNDS", "0"))

# A row without an id is rejected, and can be asked for again; then it has one.
SOURCE = """
import os
import time

from lorchestra.idem_keys import dataverse_row_idem_key
from lorchestra.model import Progress, Record, Rejection
from lorchestra.sources.base import SourceOptions, SourceType


class Options(SourceOptions):
    die: bool = False


class Rows:
    def __init__(self, options, context):
        self.die = options.die

    def records(self, window, cursor):
        for number in range(30):
            yield Record(data={"id": str(number)}, position=f"row {number}")
        yield Rejection(reason="not_now", position="row 30")
        if self.die:
            os.kill(os.getpid(), 9)

    def again(self, positions):
        for position in positions:
            yield Record(data={"id": position.removeprefix("row ")}, position=position)

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
    refetches=True,
)
"""

JOBS = """
[jobs.one]
source = "rows"
source_system = "acme-one"

[jobs.two]
source = "rows"
source_system = "acme-two"

[jobs.dying]
source = "rows"
source_system = "acme-dying"
die = true
"""

ALREADY_RUNNING = AlreadyRunningError.exit_code
#: Commands, and the exit codes that they may have while another does anything else beside them.
COMMANDS: dict[str, tuple[Sequence[str], set[int]]] = {
    "run": (["run", "one", "--json"], {0, ALREADY_RUNNING}),
    "run another": (["run", "two", "--json"], {0}),
    # What is rejected is resolved by the first; for the other there is nothing left to ask for.
    "retry": (["retry", "RUN_ID", "--json"], {0, 2, ALREADY_RUNNING}),
    "runs": (["runs", "--json"], {0}),
    "runs show": (["runs", "show", "RUN_ID", "--json"], {0}),
    "query": (["query", "SELECT COUNT(*) AS n FROM `events_dev.event_log`"], {0}),
    "verify": (["verify", "RUN_ID", "--json"], {0, 1}),
    "prune": (["prune", "--events", "1d", "--yes"], {0}),
    "setup": (["setup"], {0}),
    "setup --check": (["setup", "--check"], {0}),
    "doctor": (["doctor", "--json"], {0}),
    "jobs": (["jobs", "list", "--json"], {0}),
    "init": (["init"], {2}),
    "auth": (["auth", "gmail", "nobody", "--remove"], {2}),
}
NEW = ("run", "run another", "runs", "query", "setup", "doctor")


@pytest.fixture(scope="module")
def racer() -> Iterator[Racer]:
    with running_racer() as started:
        yield started


@pytest.fixture(scope="module")
def used(racer: Racer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which everything waits: a run with rejects, a dead one, and events in the outbox."""
    project = Project(folder=tmp_path_factory.mktemp("used"))
    project.install("acme-rows", SOURCE, sources={"rows": "ROWS"})
    project.configure(JOBS, store="")
    [first] = racer.race(project, ["run", "one", "--json"])
    assert first.rows[0]["rejected"] == 1, first
    [died] = racer.race(project, ["run", "dying"])
    assert died.code == -9
    waiting = [
        event | {"event_id": f"waits-{number}", "correlation_id": "waits", "idem_key": None}
        for number, event in enumerate(project.events()[:2])
    ]
    old = [
        make_event(event_type=kind, source_system="lorchestra", correlation_id="old", object_type="job_run")
        for kind in ("job.started", "job.completed")
    ]
    with project.store() as store:
        store.append_events([replace(one, created_at=one.created_at - timedelta(days=9)) for one in old])
        lines = [
            json.dumps({"store": store.address, "event": event}, default=lambda at: at.isoformat()) + "\n"
            for event in waiting
        ]
    project.outbox.write_text("".join(lines))
    (project.folder / "rejected-run").write_text(first.rows[0]["run_id"])
    return project


def copy_of(project: Project, folder: Path) -> Project:
    """A project like this one, in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(project.folder, folder)
    return Project(folder=folder, variables={"PYTHONPATH": str(folder / "site"), "HOME": str(folder)})


def pairs(names: Sequence[str]) -> list[Sequence[str]]:
    return list(combinations_with_replacement(names, 2))


#: All at once, and those that write the same; all pairs on demand.
COLLISIONS = pairs(list(COMMANDS)) * ROUNDS or [
    list(COMMANDS),
    ("run", "run"),
    ("runs", "runs"),
    ("retry", "retry"),
]
FIRST = pairs(NEW) * ROUNDS or [NEW, ("run", "setup")]


def test_commands_at_the_same_moment_in_a_project_that_is_used(
    racer: Racer, used: Project, tmp_path: Path
) -> None:
    """Each does its work or is refused; the dead run has one end, and each event is there once."""
    # Given a project where a dead run is to be closed and events are to be delivered by whoever comes first
    for names in COLLISIONS:
        project = copy_of(used, tmp_path / "project")
        run_id = (project.folder / "rejected-run").read_text()
        # When commands come at the same moment
        outcomes = race(racer, project, names, run_id)
        # Then, after one more that only looks
        [last] = racer.race(project, ["runs", "--json"])
        assert last.code == 0
        check(project, f"{names}: {outcomes}")
        refused = [one for one in outcomes if "is being run already" in one.stderr]
        assert len(refused) <= 1
        for one in refused:
            assert one.code == ALREADY_RUNNING
            assert one.stdout == ""
            assert " by process " in one.stderr
            assert " UTC (" in one.stderr


def test_commands_at_the_same_moment_where_nothing_is_there(
    racer: Racer, used: Project, tmp_path: Path
) -> None:
    """Several make the file for the first time: one with all tables comes of it, and nothing beside it."""
    for names in FIRST:
        project = copy_of(used, tmp_path / "project")
        shutil.rmtree(project.spool)
        project.database.unlink()
        outcomes = race(racer, project, names, "")
        made = project.database.exists()
        assert made == bool(set(names) & {"run", "run another", "setup"}), outcomes
        if made:
            check(project, f"{names}: {outcomes}", used=False)


def race(racer: Racer, project: Project, names: Sequence[str], run_id: str) -> list[Outcome]:
    commands = [[word.replace("RUN_ID", run_id) for word in COMMANDS[name][0]] for name in names]
    outcomes = racer.race(project, *commands)
    for name, outcome in zip(names, outcomes, strict=True):
        allowed = set(COMMANDS[name][1])
        if not run_id and name == "query":
            allowed.add(1)  # there is nothing to ask yet
        if list(names).count(name) > 1 and name.startswith(("run ", "verify", "prune")):
            allowed.add(ALREADY_RUNNING)
        assert outcome.code in allowed, f"{names}: {outcomes}"
        assert "Traceback" not in outcome.stderr, f"{names}: {outcomes}"
        if name == "verify" and outcome.code != ALREADY_RUNNING:
            # There is a reject until it is tried again.
            wrong = {check["check"] for check in outcome.rows if check["state"] == "missing"}
            assert wrong == ({"rejects"} if outcome.code else set()), f"{names}: {outcomes}"
    return outcomes


def check(project: Project, what: str, *, used: bool = True) -> None:
    """Each run has one start and one end, no event is there twice, nothing waits."""
    events = project.events()
    assert len({event["event_id"] for event in events}) == len(events), what
    of_runs: dict[str, list[str]] = {}
    for event in events:
        of_runs.setdefault(event["correlation_id"], []).append(event["event_type"])
    if used:
        assert sorted(of_runs.pop("waits")) == ["ingestion.completed", "job.started"], what
    # All of it is there, or nothing.
    assert of_runs.pop("old", []) in ([], ["job.started", "job.completed"]), what
    for run_id, types in of_runs.items():
        ends = [kind for kind in types if kind in ("job.completed", "job.failed")]
        assert types.count("job.started") == 1, what
        fails = run_id.startswith("dying") or (run_id.startswith("verify") and "job.failed" in types)
        assert ends == ["job.failed" if fails else "job.completed"], what
    keys = [row["idem_key"] for row in project.table("SELECT idem_key FROM `events_dev.raw_objects`")]
    assert len(keys) == len(set(keys)), what
    rejects = project.spool / "rejects"
    segments = project.spool / "segments" / "dying"
    for folder in (rejects, segments):
        shutil.rmtree(folder, ignore_errors=True)
    check_nothing_left(project)
