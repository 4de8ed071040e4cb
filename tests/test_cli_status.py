"""`lorchestra status` and `jobs show`: how jobs are, what needs a human, and the exit code for monitoring."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from lorchestra.stack_clients.event_client.events import make_event
from tests.past_runs import COMMANDING, HOSTILE, past_run
from tests.project import JOB, Project, new_project, wait_until
from tests.terminals import OnTerminal, on_terminal

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
JOBS = """
import time


def holds(context):
    context.upsert_objects(
        objects=[{"id": 1}, {"id": 2}],
        source_system="acme",
        object_type="page",
        idem_key_fn=lambda page: f"acme:page:{page['id']}",
    )
    (context.base / "begun").touch()
    for _ in range(1200):
        if (context.base / "go-on").exists():
            return
        time.sleep(0.05)
"""
KEYS = {
    "job_name",
    "configured",
    "state",
    "alerts",
    "last_run",
    "last_success_at",
    "age_seconds",
    "usual_gap_seconds",
    "usual_seconds",
    "usual_new",
    "running",
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The sample job, and one of a package that stores two objects and waits."""
    project = new_project(tmp_path)
    project.install("acme-jobs", JOBS, jobs=["holds"])
    with (tmp_path / "lorchestra.toml").open("a", encoding="utf-8") as file:
        file.write('\n[jobs.holds]\nsource_system = "acme"\n')
    return project


@contextmanager
def running(project: Project) -> Iterator[None]:
    """The job `holds`, while it runs; it ends well."""
    process = project.start("run", "holds")
    wait_until((project.folder / "begun").exists, "the job had begun")
    yield
    (project.folder / "go-on").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0


def daily(project: Project, job: str, *, last: int, error: str | None = None) -> None:
    """Seven runs, one a day, the newest of them `last` days ago."""
    with project.store() as store:
        store.create_tables()
        for days in range(last, last + 7):
            past_run(store, job, ago=days * DAY + HOUR, error=error if days == last else None)


def states(project: Project, *, code: int) -> dict[str, str]:
    rows = project.lorchestra("status", "--json", code=code).rows
    return {row["job_name"]: row["state"] for row in rows}


def test_before_the_first_run_it_says_what_to_type(project: Project) -> None:
    """A store without tables is no error, and nothing is made by looking."""
    told = project.lorchestra("status")
    assert told.stdout == f"no runs yet; type: lorchestra run {JOB}\n"
    assert states(project, code=0) == {JOB: "never ran", "holds": "never ran"}
    assert not project.database.exists()
    (project.folder / "lorchestra.toml").write_text("")
    project.variables.clear()
    assert project.lorchestra("status").stdout == "no runs yet; type: lorchestra run JOB\n"
    assert project.lorchestra("status", "--json").rows == []


def test_a_job_that_ran_well_is_ok_and_exits_with_0(project: Project) -> None:
    """The last run, how old its data are, and nothing that needs a human."""
    project.lorchestra("run", JOB)

    told = project.lorchestra("status").stdout.splitlines()

    assert told[0].split() == ["job", "state", "last", "run", "last", "success"]
    assert re.fullmatch(rf"{JOB} +ok +ok [\d.]+ s ago, 3 new +[\d.]+ s ago", told[1])
    assert re.fullmatch(r"holds +never ran +- +-", told[2])
    assert len(told) == 3


def test_a_long_run_counts_from_its_end(project: Project) -> None:
    """What ended three hours ago is three hours old, however long it took."""
    with project.store() as store:
        store.create_tables()
        past_run(store, JOB, ago=9 * HOUR, seconds=6 * HOUR.total_seconds(), inserted=5)
    line = project.lorchestra("status").stdout.splitlines()[1]
    assert re.fullmatch(rf"{JOB} +ok +ok 3 h ago, 5 new +3 h ago", line)


def test_a_failing_job_comes_first_with_its_next_step_and_exits_with_1(project: Project) -> None:
    """Why it failed, and what to type, stand below the table; both exit codes are 1."""
    daily(project, "aaa", last=0)
    (project.folder / "takeout.mbox").unlink()
    project.lorchestra("run", JOB, code=1)

    told = project.lorchestra("status", code=1).stdout

    lines = told.splitlines()
    assert re.match(rf"{JOB} +failing +failed [\d.]+ s ago +-$", lines[1])
    assert lines[2].startswith("aaa")
    assert f"{JOB}: failing: path: nothing matches it" in told
    assert "  Correct `path`" in told
    [first, *_] = project.lorchestra("status", "--json", code=1).rows
    assert first["job_name"] == JOB
    [alert] = first["alerts"]
    assert alert.keys() == {"kind", "message", "next_step"}
    assert alert["kind"] == "failing"
    assert first["last_run"]["error_code"] == "source.unreadable"
    # When it works again, so does the exit code.
    project.mailbox(3)
    project.lorchestra("run", JOB)
    assert states(project, code=0)[JOB] == "ok"


def test_a_late_job_exits_with_1_if_it_is_configured(project: Project) -> None:
    """Daily for a week and then not for three days; a job that stands nowhere any more alarms nobody."""
    daily(project, JOB, last=3)
    daily(project, "removed", last=3)

    told = project.lorchestra("status", code=1).stdout

    assert f"{JOB}: late: last started 3 d ago, usually every 24 h" in told
    assert f"lorchestra run {JOB}" in told
    assert "3 d ago, usually 24 h" in told
    assert states(project, code=1) == {JOB: "late", "removed": "ok", "holds": "never ran"}
    late = project.lorchestra("status", "--json", code=1).rows[0]
    assert late["usual_gap_seconds"] == pytest.approx(DAY.total_seconds(), rel=0.01)
    assert late["age_seconds"] == pytest.approx((3 * DAY + HOUR).total_seconds(), abs=600)


def test_a_job_that_is_only_slow_or_quiet_exits_with_0(project: Project) -> None:
    """It is shown, and nobody is woken for it."""
    with project.store() as store:
        store.create_tables()
        for hours in range(1, 12):
            past_run(store, "slow", ago=hours * HOUR, seconds=100.0 if hours == 1 else 2.0)
            past_run(store, "quiet", ago=hours * HOUR, inserted=0 if hours == 1 else 5)
    found = states(project, code=0)
    assert list(found.items())[:2] == [("quiet", "quiet"), ("slow", "slow")]


def test_what_runs_is_shown_with_what_it_has_stored_so_far(project: Project) -> None:
    """Another process's run, while it goes on: the objects that it saw and those that are new."""
    with running(project):
        told = project.lorchestra("status").stdout
        [row] = [one for one in project.lorchestra("status", "--json").rows if one["running"]]
    assert re.search(r"^running\n  holds for [\d.]+ s: 2 objects seen, 2 new$", told, re.MULTILINE)
    assert row["state"] == "running"
    [run] = row["running"]
    assert run.keys() == {"run_id", "started_at", "seconds", "seen", "inserted"}
    assert (run["seen"], run["inserted"]) == (2, 2)
    assert states(project, code=0)["holds"] == "ok"


def test_what_runs_and_has_stored_nothing_is_shown(project: Project) -> None:
    """Also a job whose source nobody knows."""
    project.lorchestra("setup")
    with project.store() as store:
        begin = make_event(
            event_type="job.started",
            source_system="lorchestra",
            correlation_id="new-20250101000000",
            payload={"job_name": "new"},
        )
        store.append_events([begin])
    assert re.search(r"new for [\d.]+ s: 0 objects seen, 0 new", project.lorchestra("status").stdout)


def test_a_killed_run_is_closed_before_it_is_judged(project: Project) -> None:
    """A dead process does not run on for ever: its job is failing."""
    process = project.start("run", "holds")
    wait_until((project.folder / "begun").exists, "the job had begun")
    process.kill()
    process.communicate(timeout=30)
    assert states(project, code=1)["holds"] == "failing"


def test_its_json_has_the_same_keys_for_every_job(project: Project) -> None:
    """A program finds every key, whether the job ever ran or not."""
    project.lorchestra("run", JOB)
    rows = project.lorchestra("status", "--json").rows
    assert [row.keys() for row in rows] == [KEYS, KEYS]
    assert {row["job_name"]: row["last_run"] is None for row in rows} == {JOB: False, "holds": True}


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_on_a_terminal(project: Project, columns: int) -> None:
    """No line is longer than the terminal; states are whole, and so is what to type."""
    daily(project, JOB, last=3)
    daily(project, "n" * 90, last=0, error="e" * 200)

    shown = _COLOUR.sub("", on_terminal(project, "status", columns=columns).shown)

    lines = shown.splitlines()
    assert max(map(len, lines)) <= columns
    assert [line.split()[1] for line in lines[1:3]] == ["failing", "late"]
    assert lines[2].startswith(JOB)
    assert f"lorchestra run {JOB}" in " ".join(shown.split())


def test_colour_is_for_terminals_alone(project: Project) -> None:
    """A pipe gets no escape sequence, even where others are told to colour; NO_COLOR is respected."""
    daily(project, JOB, last=3)
    for arguments in (["status"], ["jobs", "show", JOB]):
        code = 1 if arguments == ["status"] else 0
        piped = project.lorchestra(*arguments, env={"FORCE_COLOR": "1"}, code=code).stdout
        assert "\x1b" not in piped
        assert "\x1b[3" in on_terminal(project, *arguments).shown
        assert "\x1b[3" not in on_terminal(project, *arguments, env={"NO_COLOR": "1"}).shown


def test_watching_shows_a_run_to_its_end(project: Project) -> None:
    """It redraws while another process runs and writes, so it holds no lock; Ctrl-C ends it."""
    process = project.start("run", "holds")
    wait_until((project.folder / "begun").exists, "the job had begun")
    stopped: list[bool] = []

    def act(terminal: OnTerminal) -> None:
        if "2 objects seen" in terminal.shown:
            (project.folder / "go-on").touch()
        if re.search(r"ok [\d.]+ s ago", _COLOUR.sub("", terminal.shown)) and not stopped:
            stopped.append(True)
            terminal.process.send_signal(signal.SIGINT)

    watched = on_terminal(project, "status", "--watch", seen=act)

    process.communicate(timeout=60)
    assert (watched.end(), process.returncode) == (130, 0)
    assert "2 objects seen, 2 new" in watched.shown


def test_watching_needs_a_terminal(project: Project) -> None:
    """A program is told what else there is."""
    assert "--watch: needs a terminal" in project.lorchestra("status", "--watch", code=2).stderr
    assert "runs tail --json" in project.lorchestra("status", "--watch", "--json", code=2).stderr


def test_what_the_log_holds_does_not_command_the_terminal(project: Project) -> None:
    """Whatever stands in a name, an error or a next step: no control letter reaches a terminal or a pipe."""
    daily(project, JOB, last=0, error=HOSTILE)
    daily(project, f"x{HOSTILE}", last=0, error=HOSTILE * 50)
    for arguments in (["status"], ["jobs", "show", JOB]):
        for told in (
            project.lorchestra(*arguments, code=1 if arguments == ["status"] else 0).stdout,
            on_terminal(project, *arguments).shown,
        ):
            assert [bad for bad in COMMANDING if bad in told] == []
            assert "name" in told
    rows = project.lorchestra("status", "--json", code=1).rows
    assert f"x{HOSTILE}" in {row["job_name"] for row in rows}


# --- One job


def test_a_job_is_shown_with_how_its_last_runs_were(project: Project) -> None:
    """A bar for each run, oldest first, a cross for a failure; what is usual, and its last success."""
    with project.store() as store:
        store.create_tables()
        for hours, seconds in ((5, 1.0), (4, 8.0), (3, 4.0), (2, 8.0)):
            error = "no" if hours == 3 else None
            past_run(store, JOB, ago=hours * HOUR, seconds=seconds, error=error)

    told = project.lorchestra("jobs", "show", JOB).stdout

    assert "last runs     ▁█\N{MULTIPLICATION SIGN}█\n" in told
    assert re.search(r"last success  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", told)
    # Four runs of one day are no rhythm.
    assert "usually       takes 4.5 s, 5 new\n" in told
    [row] = project.lorchestra("jobs", "show", JOB, "--json").rows
    assert [run["state"] for run in row["history"]] == ["succeeded", "failed", "succeeded", "succeeded"]
    assert (row["usual_seconds"], row["usual_new"]) == (4.5, 5)
    assert row["usual_gap_seconds"] is None
    assert row["state"] == "ok"
    assert row["last_success_at"] is not None
    with project.store() as store:
        for days in range(2, 8):
            past_run(store, JOB, ago=days * 24 * HOUR)
    assert ", 5 new, every 24 h\n" in project.lorchestra("jobs", "show", JOB).stdout
    [row] = project.lorchestra("jobs", "show", JOB, "--json").rows
    assert row["usual_gap_seconds"] == pytest.approx(24 * 3600, abs=2)


def test_a_job_that_never_ran_is_shown_without_a_store(project: Project) -> None:
    """Its settings are checked before there is anything to tell of its runs."""
    assert "last runs" not in project.lorchestra("jobs", "show", JOB).stdout
    [row] = project.lorchestra("jobs", "show", JOB, "--json").rows
    assert (row["history"], row["usual_seconds"], row["state"]) == ([], None, "never ran")
    assert not project.database.exists()
    project.database.write_bytes(os.urandom(100))
    assert "takeout.mbox" in project.lorchestra("jobs", "show", JOB, code=1).stdout
