"""`lorchestra run` tells when its job begins to fail and when it is ok again, and is otherwise as without."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lorchestra.stores import open_store
from tests.past_runs import past_runs
from tests.project import JOB, Outcome, Project, new_project
from tests.receivers import Webhook, webhook

SECRET = "hunter2-7f3a"
VARIABLE = "LORCHESTRA_NOTIFY_URLS"
# What differs from run to run.
_OWN = {"run_id", "duration_seconds", "seen_at", "pid", "records_over_time"}


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    return new_project(tmp_path / "project")


def break_source(project: Project) -> None:
    (project.folder / "takeout.mbox").unlink()


def comparable(outcome: Outcome, project: Project) -> list[Any]:
    rows = [{name: value for name, value in row.items() if name not in _OWN} for row in outcome.rows]
    events = [
        (
            event["event_type"],
            event["status"],
            event["error_message"],
            {name: value for name, value in event["payload"].items() if name not in _OWN},
        )
        for event in project.events()
    ]
    return [outcome.code, rows, events]


def hidden(project: Project, *outcomes: Outcome) -> None:
    """The secret of the URL is in nothing that was said or written."""
    said = "".join(outcome.words for outcome in outcomes)
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"lorchestra.duckdb"}
    # It is looked for where it would be found.
    assert any(SECRET.encode() in path.read_bytes() for path in files if path.name == ".env")
    assert SECRET not in said
    assert SECRET not in str(project.events())
    for path in files:
        assert path.name == ".env" or SECRET.encode() not in path.read_bytes(), path


def test_a_job_is_told_when_it_fails_and_when_it_is_ok_again(project: Project, hook: Webhook) -> None:
    """Once each, however often it fails; from `.env`."""
    (project.folder / ".env").write_text(f"{VARIABLE}={hook.url(SECRET)}\n")
    ran = [project.lorchestra("run", JOB)]
    assert hook.messages == []
    break_source(project)
    ran += [project.lorchestra("run", JOB, code=1) for _ in range(3)]
    assert hook.titles == [f"lorchestra: {JOB} is failing"]
    failed = next(event for event in project.events() if event["event_type"] == "job.failed")
    sentence, step, run, _host = hook.messages[0]["message"].splitlines()
    assert sentence == failed["error_message"]
    assert step == failed["payload"]["next_step"]
    assert run == f"Run: {failed['correlation_id']}"
    project.mailbox(4)
    ran += [project.lorchestra("run", JOB) for _ in range(2)]
    assert hook.titles[1:] == [f"lorchestra: {JOB} is ok again"]
    assert not any("otif" in one.stderr for one in ran)
    hidden(project, *ran)


def test_status_tells_of_every_job_when_it_is_asked_to(project: Project, hook: Webhook) -> None:
    """What no run tells: that one is late. Once; and without `--notify` nobody is told."""
    (project.folder / ".env").write_text(f"{VARIABLE}={hook.url(SECRET)}\n")
    with open_store(f"duckdb:///{project.database}") as store:
        store.append_events(past_runs(JOB, 8, every=timedelta(days=1), last_began=timedelta(days=3)))
    assert project.lorchestra("status", code=1).stderr == ""
    assert hook.messages == []
    for _ in range(2):
        project.lorchestra("status", "--notify", code=1)
    assert hook.titles == [f"lorchestra: {JOB} is late"]
    project.lorchestra("run", JOB)
    project.lorchestra("status", "--notify")
    assert hook.titles[1:] == [f"lorchestra: {JOB} is ok again"]


def test_status_without_urls_notifies_nobody_and_says_so(project: Project) -> None:
    """Who asks for it in vain is told."""
    told = project.lorchestra("status", "--notify", code=2).stderr
    assert "[notify]" in told
    assert VARIABLE in told


def test_a_first_failure_is_told(project: Project, hook: Webhook) -> None:
    """Also where nothing is known of the job; from the file. Our own commands are told of by none."""
    with (project.folder / "lorchestra.toml").open("a") as file:
        file.write(f'\n[notify]\nurls = ["{hook.url(SECRET)}"]\n')
    break_source(project)
    project.lorchestra("run", JOB, code=1)
    project.lorchestra("run", JOB, "--dry-run", code=1)
    project.lorchestra("verify", "--store-only", code=1)
    assert hook.titles == [f"lorchestra: {JOB} is failing"]


@pytest.mark.parametrize("fault", ["refused", "500", "hangs", "malformed", "not installed"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_notifier_that_does_not_work_changes_nothing(
    project: Project, hook: Webhook, tmp_path: Path, fault: str, fails: bool
) -> None:
    """Exit code, what is printed and what is logged are as without; one line says what is wrong."""
    (tmp_path / "without").mkdir()
    without = new_project(tmp_path / "without")
    url = hook.url(SECRET)
    env: dict[str, str] = {}
    match fault:
        case "refused":
            with webhook() as closed:
                url = closed.url(SECRET)
        case "500":
            hook.status = 500
        case "hangs":
            hook.status = None
        case "malformed":
            url = f"slack://{SECRET}"
        case "not installed":
            (tmp_path / "site").mkdir()
            (tmp_path / "site" / "apprise.py").write_text("raise ModuleNotFoundError(name='apprise')")
            env["PYTHONPATH"] = str(tmp_path / "site")
    (project.folder / ".env").write_text(f"{VARIABLE}={url}\n")
    if not fails:
        # Only a change is told: this one is from failing to ok.
        for one in (project, without):
            break_source(one)
            one.lorchestra("run", JOB, code=1)
            one.mailbox(3)
        (project.spool / "notified").mkdir(parents=True, exist_ok=True)
        address = "duckdb:///lorchestra.duckdb#events_dev.event_log"
        (project.spool / "notified" / f"{JOB}.json").write_text(f'{{"{address}": "failing"}}')
    else:
        for one in (project, without):
            break_source(one)

    plain = without.lorchestra("run", JOB, "--json", code=int(fails))
    told = project.lorchestra("run", JOB, "--json", code=int(fails), env=env)

    assert comparable(told, project) == comparable(plain, without)
    (line,) = [line for line in told.stderr.splitlines() if line.startswith("Not notified: ")]
    if fault == "not installed":
        assert line.endswith("Type: pip install 'lorchestra[notify]'")
    else:
        assert f"{url.partition(':')[0]}, notify.urls[0]" in line
    assert len(told.stderr.splitlines()) == len(plain.stderr.splitlines()) + 1
    hidden(project, told)


def test_two_runs_that_end_together_tell_each_of_its_own(project: Project, hook: Webhook) -> None:
    """Jobs do not hold each other's notifications up."""
    tables = "".join(
        f"\n[jobs.{name}]\nsource = 'takeout'\nsource_system = 'x--{name}'\npath = 'none.mbox'\n"
        for name in ("one", "two")
    )
    with (project.folder / "lorchestra.toml").open("a") as file:
        file.write(f'{tables}\n[notify]\nurls = ["{hook.url()}"]\n')
    runs = [
        threading.Thread(target=project.lorchestra, args=("run", name), kwargs={"code": 1})
        for name in ("one", "two")
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(hook.titles) == ["lorchestra: one is failing", "lorchestra: two is failing"]


def test_a_mistake_in_the_urls_is_named_by_its_place(project: Project) -> None:
    """Never by its value, wherever it stands; nothing is run."""
    for text in (f"json://a/b {SECRET}", SECRET):
        told = project.lorchestra("run", JOB, code=2, env={VARIABLE: text})
        place = len(text.split()) - 1
        assert f"{VARIABLE}: urls[{place}] must be a URL such as" in told.stderr
        assert SECRET not in told.words
    with (project.folder / "lorchestra.toml").open("a") as file:
        file.write(f'\n[notify]\nurls = ["json://a", "{SECRET}"]\n')
    told = project.lorchestra("run", JOB, code=2)
    assert "notify.urls: urls[1] must be a URL such as" in told.stderr
    assert SECRET not in told.words
    assert not project.database.exists()


def test_doctor_says_which_urls_can_be_used(project: Project) -> None:
    project.lorchestra("run", JOB)
    urls = {VARIABLE: f"json://user:{SECRET}@host/x slack://{SECRET}"}
    told = project.lorchestra("doctor", "--json", code=1, env=urls)
    rows = [(row["state"], row["found"]) for row in told.rows if row["check"] == "notify"]
    assert [found for _, found in rows] == [
        "json, notify.urls[0]",
        "slack, notify.urls[1]: is no URL that apprise can use",
    ]
    assert [state for state, _ in rows] == ["ok", "missing"]
    assert SECRET not in told.words
