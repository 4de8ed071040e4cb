"""`lorchestra runs show` and `runs tail`: one run as a whole, and the event log as it grows."""

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorchestra.model import Event
from lorchestra.run_tail import OVERLAP, EventTail
from lorchestra.stack_clients.event_client import log_event
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import Store, open_store
from tests.past_runs import COMMANDING, HOSTILE, past_run
from tests.project import JOB, SOURCE_SYSTEM, Project, new_project, wait_until
from tests.terminals import on_terminal
from tests.test_cli_jobs import TRACE_ID, locked

HOUR = timedelta(hours=1)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path)


def ran(project: Project, *arguments: str, code: int = 0) -> str:
    """Run the job; the id of the run."""
    run_id: str = project.lorchestra("run", JOB, "--json", *arguments, code=code).rows[0]["run_id"]
    return run_id


def shown(project: Project, run_id: str, *options: str) -> str:
    return project.lorchestra("runs", "show", run_id, *options).stdout


# --- One run


def test_a_run_is_shown_from_its_start_to_what_it_stored(project: Project) -> None:
    """Who it was, each event with what it says, counts, objects, and what it was given."""
    run_id = ran(project, "--trace-id", TRACE_ID, "--since", "2025-11-01")

    told = shown(project, run_id)

    for pattern in (
        rf"^run       {run_id}$",
        rf"^job       {JOB} \(lorchestra\)$",
        r"^state     succeeded$",
        r"^started   \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$",
        r"^duration  \d+\.\d{3} s$",
        r"^host      \S+$",
        rf"^trace id  {TRACE_ID}$",
        r"^ +0  job.started +lorchestra +on \S+$",
        rf"^ +[\d.]+  ingestion.completed  {SOURCE_SYSTEM}  in [\d.]+ s: 3 records: 3 new, 0 changed",
        r"^ +[\d.]+  job.completed +lorchestra +in [\d.]+ s$",
        r"^  counts   3 read, 3 new, 0 changed, 0 unchanged, 0 known, 0 rejected, 0 gone$",
        r"^  objects  3 first seen by this run, 3 last seen by it$",
        r"^  since +2025-11-01$",
        r"^  options.path +takeout.mbox$",
    ):
        assert re.search(pattern, told, re.MULTILINE), pattern
    # A key has an id of the source, which may be anything: it is shown to whoever asks for it.
    assert f"{SOURCE_SYSTEM}:email" not in told
    # Without a run of its own, it has no error and no next step.
    assert not re.search(r"^(error|next) ", told, re.MULTILINE)


def test_what_is_typed_for_more_gives_all_objects_of_the_run(project: Project) -> None:
    """Ten keys are shown, those of new objects first; the command below them gives every object."""
    ran(project)
    project.mailbox(15)
    run_id = ran(project)

    told = shown(project, run_id, "--keys")

    keys = re.findall(rf"^    ({SOURCE_SYSTEM}:email:\S+)$", told, re.MULTILINE)
    stored = project.objects()
    new = [row["idem_key"] for row in stored if row["first_seen"] == row["last_seen"]]
    assert len(new) == 12
    assert keys == new[:10]
    assert "12 first seen by this run, 15 last seen by it" in told
    [command] = [line.strip() for line in told.splitlines() if line.startswith("  lorchestra query")]
    rows = project.lorchestra(*shlex.split(command)[1:], "--format", "json").rows
    assert sorted(row["idem_key"] for row in rows) == [row["idem_key"] for row in stored]


def test_later_runs_take_over_what_they_saw(project: Project) -> None:
    """An old run has what it stored first, and is no longer the last that saw it."""
    first, second = ran(project), ran(project)
    assert "3 first seen by this run, 0 last seen by it" in shown(project, first)
    assert "0 first seen by this run, 3 last seen by it" in shown(project, second)


def test_a_failed_run_says_why_and_what_to_type(project: Project) -> None:
    """Error, code and next step stand in full, as the terminal said them when it failed."""
    (project.folder / "takeout.mbox").unlink()
    run_id = ran(project, code=1)

    told = shown(project, run_id)

    assert "state     failed" in told
    assert "error     path: nothing matches it [source.unreadable]" in told
    assert "next      Correct `path`; it is relative to the folder of the configuration file." in told
    assert "path: nothing matches it [source.unreadable]" in next(
        line for line in told.splitlines() if "job.failed" in line
    )


def test_a_cursor_is_shown_as_it_was_before_and_after(project: Project) -> None:
    """Before is where the newest ingestion until then ended, or how far it got where it failed."""
    ends = (
        ("ingestion.completed", {"cursor": {"at": 1}}),
        ("ingestion.failed", {"resume": {"cursor": {"at": 2}}}),
        ("ingestion.failed", {"resume": {"cursor": None}}),
        ("ingestion.completed", {"cursor": {"at": 4}}),
    )
    with project.store() as store:
        store.create_tables()
        for number, (event_type, payload) in enumerate(ends, start=1):
            log_event(
                event_type=event_type,
                source_system="acme",
                object_type="page",
                correlation_id=f"pages-2025010100000{number}",
                payload=payload,
                bq_client=store,
            )
    found = [shown(project, f"pages-2025010100000{number}") for number in range(1, 5)]
    cursors = [re.findall(r"cursor (?:before|after) +(.+)$", told, re.MULTILINE) for told in found]
    assert cursors == [
        ["none", '{"at": 1}'],
        ['{"at": 1}', '{"at": 2}'],
        ['{"at": 2}', "none"],
        ['{"at": 2}', '{"at": 4}'],
    ]


def test_events_of_any_form_are_shown(project: Project) -> None:
    """A log that others write into: payloads with other types, or none, break nothing."""
    with project.store() as store:
        store.create_tables()
        for payload in (None, {}, {"seen_at": 7, "records_over_time": [1, ["a"]], "cursor": [], "resume": 1}):
            for event_type in ("job.started", "ingestion.failed", "ingestion.completed", "report.sent"):
                log_event(
                    event_type=event_type,
                    source_system="acme",
                    object_type="page",
                    correlation_id="odd",
                    payload=payload,
                    bq_client=store,
                )
        log_event(event_type="report.sent", source_system="acme", correlation_id="alone", bq_client=store)
    assert re.search(r"^state +running$", shown(project, "odd"), re.MULTILINE)
    assert re.search(r"^state +pending$", shown(project, "alone"), re.MULTILINE)


# --- Following


def lines_of(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def interrupted(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    return process.returncode


def test_following_shows_the_last_ten_events_and_then_each_new_one(project: Project) -> None:
    """Events of runs in other processes, as they are appended; the log is not locked meanwhile."""
    for _ in range(4):
        ran(project)
    process = project.start("runs", "tail")
    before = [event["event_type"] for event in project.events()][-10:]
    assert [line.split()[3] for line in lines_of(process, 10)] == before

    ran(project)
    (project.folder / "takeout.mbox").unlink()
    ran(project, code=1)

    new = lines_of(process, 6)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  " + JOB + r"  job\.started  on \S+", new[0])
    assert new[1].endswith("3 records: 0 new, 0 changed, 3 unchanged")
    assert [line.split()[3] for line in new[2:]] == [
        "job.completed",
        "job.started",
        "ingestion.failed",
        "job.failed",
    ]
    assert new[5].endswith("path: nothing matches it [source.unreadable]")
    assert interrupted(process) == 130


def test_following_begins_before_there_is_a_store(project: Project) -> None:
    """The first run of all is seen; `--json` gives each event as an object of its own, on a line."""
    process = project.start("runs", "tail", "--json")
    run_id = ran(project)
    events = [json.loads(line) for line in lines_of(process, 3)]
    assert {event["correlation_id"] for event in events} == {run_id}
    assert [event["event_type"] for event in events] == project.event_types()
    assert events[1]["payload"]["inserted"] == 3
    assert interrupted(process) == 130


def test_following_ends_quietly_when_its_reader_has_gone(project: Project) -> None:
    """Even when nothing happens any more that could be written."""
    ran(project)
    process = project.start("runs", "tail")
    lines_of(process, 3)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_following_one_job_leaves_out_the_others(project: Project) -> None:
    """Also a job whose name begins with the name of this one."""
    with project.store() as store:
        store.create_tables()
        for job in ("a", "a-b", "b"):
            past_run(store, job, ago=HOUR)
    process = project.start("runs", "tail", "--job", "a", "--json")
    begin = [json.loads(line) for line in lines_of(process, 3)]
    with project.store() as store:
        new = [past_run(store, job, ago=timedelta(seconds=5)) for job in ("a-b", "a")]
    assert {json.loads(line)["correlation_id"] for line in lines_of(process, 3)} == {new[1]}
    assert {event["payload"].get("job_name", "a") for event in begin} == {"a"}
    assert interrupted(process) == 130


def test_a_busy_store_is_waited_for(project: Project) -> None:
    """Nothing is missed and nothing is said while another program holds the file."""
    config = project.folder / "lorchestra.toml"
    config.write_text(config.read_text().replace("busy_timeout_seconds = 10", "busy_timeout_seconds = 0.1"))
    ran(project)
    with locked(project.database):
        process = project.start("runs", "tail")
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        assert process.poll() is None
    assert [line.split()[3] for line in lines_of(process, 3)] == project.event_types()
    assert interrupted(process) == 130


def test_a_run_that_dies_is_seen(project: Project) -> None:
    """Who follows is told that a process was killed, without another command."""
    project.install("acme-jobs", "import time\ndef sleeps(context):\n    time.sleep(60)\n", jobs=["sleeps"])
    run = project.start("run", "sleeps")
    process = project.start("runs", "tail")
    assert lines_of(process, 1)[0].split()[3] == "job.started"
    run.kill()
    run.communicate(timeout=30)
    assert "job.failed" in lines_of(process, 1)[0]
    assert interrupted(process) == 130


def event_at(offset: timedelta) -> Event:
    event = make_event(event_type="report.sent", source_system="acme", correlation_id="any")
    return replace(event, created_at=datetime.now(UTC) + offset)


def ids(events: Sequence[dict[str, object]]) -> list[object]:
    return [event["event_id"] for event in events]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.timedeltas(min_value=-OVERLAP + timedelta(minutes=2), max_value=HOUR), max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_each_event_is_shown_once_however_late_it_comes(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[timedelta]]
) -> None:
    """Events arrive out of order, late from an outbox or from a clock that is ahead; each is given once."""
    store = open_store(f"duckdb:///{tmp_path_factory.mktemp('tail') / 'a.duckdb'}")
    store.create_tables()
    tail = EventTail(store, job=None)
    store.append_events([event_at(timedelta())])
    assert len(tail.look()) == 1
    for batch in batches:
        events = [event_at(offset) for offset in batch]
        if events:
            store.append_events(events)
        assert sorted(map(str, ids(tail.look()))) == sorted(event.event_id for event in events)
    assert tail.look() == []


def test_old_events_are_not_shown_again(duckdb_store: Store) -> None:
    """Of a long log the last ten, even where all of it is of the last minutes."""
    duckdb_store.create_tables()
    events = [event_at(timedelta(seconds=-number)) for number in range(30)]
    duckdb_store.append_events(events)
    tail = EventTail(duckdb_store, job=None)
    assert ids(tail.look()) == [event.event_id for event in reversed(events[:10])]
    assert tail.look() == []


# --- Hostile texts


def test_what_the_log_holds_does_not_command_the_terminal(project: Project) -> None:
    """No field of any event reaches a terminal or a pipe with its control letters."""
    with project.store() as store:
        store.create_tables()
        for event_type in ("job.started", "ingestion.completed", "ingestion.failed", "job.failed"):
            log_event(
                event_type=event_type,
                source_system=HOSTILE,
                object_type=HOSTILE,
                correlation_id=f"{HOSTILE}-20250101000000",
                trace_id=HOSTILE,
                idem_key=HOSTILE,
                status="failed" if event_type.endswith("failed") else "ok",
                error_message=HOSTILE if event_type.endswith("failed") else None,
                payload={
                    "job_name": HOSTILE,
                    "package_name": HOSTILE,
                    "host": HOSTILE,
                    "parameters": {HOSTILE: HOSTILE, "options": {HOSTILE: [HOSTILE]}},
                    "error_code": HOSTILE,
                    "next_step": HOSTILE * 100,
                    "cursor": {HOSTILE: HOSTILE},
                    "seen_at": "2025-01-01T00:00:00+00:00",
                    HOSTILE: 7,
                },
                bq_client=store,
            )
    for told in (
        shown(project, f"{HOSTILE}-20250101000000", "--keys"),
        on_terminal(project, "runs", "show", f"{HOSTILE}-20250101000000").shown,
        "\n".join(lines_of(process := project.start("runs", "tail"), 4)),
    ):
        assert [bad for bad in COMMANDING if bad in told] == []
        assert "name" in told
    assert interrupted(process) == 130


def test_a_run_that_goes_on_is_shown_with_what_it_has_stored(project: Project) -> None:
    """How long it runs by now, and how far it has come."""
    project.install(
        "acme-jobs",
        """
        import time
        def holds(context):
            context.upsert_objects(
                objects=[{"id": 1}], source_system="acme", object_type="page",
                idem_key_fn=lambda page: f"acme:page:{page['id']}",
            )
            (context.base / "begun").touch()
            time.sleep(60)
        """,
        jobs=["holds"],
    )
    with (project.folder / "lorchestra.toml").open("a", encoding="utf-8") as file:
        file.write('\n[jobs.holds]\nsource_system = "acme"\n')
    run = project.start("run", "holds")
    wait_until((project.folder / "begun").exists, "the job had begun")
    told = shown(project, project.events()[0]["correlation_id"])
    assert re.search(r"^running  for [\d.]+ s: 1 objects seen, 1 new$", told, re.MULTILINE)
    assert "duration" not in told
    interrupted(run)
