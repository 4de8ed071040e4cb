"""The specification's integration test (its step 5) and its "Queries Enabled", as they are typed there.

Only the program's name differs: `lorchestra query` where the specification has `bq query`.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from lorchestra.model import TableNames
from lorchestra.queries import named_query
from tests.project import JOB, SOURCE_SYSTEM, Project, message_text, new_project

MESSAGES = 100

# Step 5, from "Run Gmail job" on. What a later test looks at is kept in files.
STEP_5 = """
lorchestra run gmail_ingest_acct1 --since "2025-11-20" > first-run.txt
RUN_ID=$(cut -d ' ' -f 1 first-run.txt)
echo "$RUN_ID" > run-id.txt

lorchestra query --format json "
SELECT event_type, source_system, object_type, created_at,
       payload
FROM events_dev.event_log
WHERE object_type = 'job_run'
ORDER BY created_at DESC
LIMIT 10
" > job-events.json

lorchestra query --format json "
SELECT event_type, source_system, object_type, created_at,
       JSON_EXTRACT_SCALAR(payload, '$.records_extracted') as count
FROM events_dev.event_log
WHERE object_type = 'email' AND event_type LIKE 'ingestion.%'
ORDER BY created_at DESC
LIMIT 5
" > ingestion-events.json

lorchestra query --param run_id=$RUN_ID "
SELECT COUNT(*) as per_object_events
FROM events_dev.event_log
WHERE correlation_id = @run_id
  AND event_type NOT IN ('job.started','ingestion.completed','job.completed','job.failed')
" --format csv > per-object-events.csv

lorchestra query --format json "
SELECT object_type, source_system, COUNT(*) as count
FROM events_dev.raw_objects
WHERE object_type = 'email'
GROUP BY object_type, source_system
" > counts.json

COUNT="SELECT COUNT(*) FROM events_dev.raw_objects \
WHERE object_type='email' AND source_system='tap-gmail--acct1-personal'"
LAST_SEEN="SELECT MAX(last_seen) as latest_last_seen FROM events_dev.raw_objects \
WHERE object_type='email' AND source_system='tap-gmail--acct1-personal'"
FIRST_SEEN="SELECT MAX(first_seen) as latest_first_seen FROM events_dev.raw_objects"

BEFORE_COUNT=$(lorchestra query --format=csv "$COUNT" | tail -n 1)
BEFORE_SEEN=$(lorchestra query --format=csv "$LAST_SEEN" | tail -n 1)
BEFORE_FIRST=$(lorchestra query --format=csv "$FIRST_SEEN" | tail -n 1)

lorchestra run gmail_ingest_acct1 --since "2025-11-20" > second-run.txt

AFTER_COUNT=$(lorchestra query --format=csv "$COUNT" | tail -n 1)
AFTER_SEEN=$(lorchestra query --format=csv "$LAST_SEEN" | tail -n 1)
AFTER_FIRST=$(lorchestra query --format=csv "$FIRST_SEEN" | tail -n 1)

echo "Before: $BEFORE_COUNT, After: $AFTER_COUNT (should be equal)"
echo "$BEFORE_SEEN $AFTER_SEEN"
echo "$BEFORE_FIRST $AFTER_FIRST"
"""

# "Queries Enabled", and the names they can be called by.
QUERIES_ENABLED = {
    "latest_runs": """
SELECT *
FROM `events_dev.event_log`
WHERE object_type = 'job_run'
ORDER BY created_at DESC
""",
    "job_history": """
SELECT
  event_type,
  created_at,
  JSON_EXTRACT_SCALAR(payload, '$.job_name') as job_name,
  JSON_EXTRACT_SCALAR(payload, '$.duration_seconds') as duration
FROM `events_dev.event_log`
WHERE object_type = 'job_run'
ORDER BY created_at DESC
""",
    "failed_jobs": """
SELECT *
FROM `events_dev.event_log`
WHERE event_type = 'job.failed'
  AND DATE(created_at) >= CURRENT_DATE() - 7
""",
    "latest_objects": """
SELECT *
FROM `events_dev.raw_objects`
WHERE object_type = 'email'
ORDER BY last_seen DESC
""",
    "per_object_events": """
SELECT COUNT(*) as per_object_events
FROM `events_dev.event_log`
WHERE correlation_id = @run_id
  AND event_type NOT IN ('job.started','ingestion.completed','job.completed','job.failed')
""",
}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The project after step 5, and what the script printed."""

    project: Project
    said: list[str]

    @property
    def run_id(self) -> str:
        return (self.project.folder / "run-id.txt").read_text().strip()

    def file(self, name: str) -> str:
        return (self.project.folder / name).read_text()


@pytest.fixture(scope="module", params=["duckdb", "bigquery"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("specification")
    with pytest.MonkeyPatch.context() as environment:
        url = None
        if request.param == "bigquery":
            # Right at the emulator: whatever stands between could help.
            environment.setenv("BIGQUERY_EMULATOR_HOST", request.getfixturevalue("emulator"))
            url = "bigquery://local-orchestration/events_dev"
        project = new_project(folder, messages=MESSAGES, store_url=url)
        if url is not None:
            project.lorchestra("setup")
        yield Finished(project=project, said=project.shell(STEP_5).splitlines())


def _moments(line: str) -> tuple[datetime, datetime]:
    before, after = line.split()
    return datetime.fromisoformat(before), datetime.fromisoformat(after)


def test_a_run_is_three_events_under_one_correlation_id(finished: Finished) -> None:
    assert re.fullmatch(rf"{JOB}-[0-9]{{14}}", finished.run_id)
    events = finished.project.events(finished.run_id)

    assert [event["event_type"] for event in events] == [
        "job.started",
        "ingestion.completed",
        "job.completed",
    ]
    assert [event["object_type"] for event in events] == ["job_run", "email", "job_run"]
    assert [event["source_system"] for event in events] == ["lorchestra", SOURCE_SYSTEM, "lorchestra"]
    assert {event["status"] for event in events} == {"ok"}
    assert [event["idem_key"] for event in events] == [None, None, None]
    assert [event["trace_id"] for event in events] == [None, None, None]
    assert [event["error_message"] for event in events] == [None, None, None]
    # Two runs, whatever the number of objects.
    assert len(finished.project.events()) == 6


def test_payloads_are_small_telemetry(finished: Finished) -> None:
    started, ingested, completed = (event["payload"] for event in finished.project.events(finished.run_id))

    assert set(started) >= {"job_name", "package_name", "parameters", "host", "pid", "version"}
    assert (started["job_name"], started["package_name"]) == (JOB, "lorchestra")
    assert started["parameters"]["since"] == "2025-11-20"
    assert started["parameters"]["source_system"] == SOURCE_SYSTEM
    assert started["parameters"]["options"] == {"path": "takeout.mbox"}
    assert isinstance(started["pid"], int)

    assert ingested["records_extracted"] == ingested["inserted"] == MESSAGES
    zero = ("updated", "unchanged", "duplicates", "rejected", "gone")
    assert [ingested[name] for name in zero] == [0] * len(zero)
    assert ingested["batches"] == 1
    assert ingested["bytes"] > MESSAGES * 1000
    assert ingested["date_filter"] == {"since": "2025-11-20T00:00:00+00:00", "until": None}
    assert "cursor" in ingested

    assert {name: completed[name] for name in ("job_name", "package_name")} == {
        "job_name": JOB,
        "package_name": "lorchestra",
    }
    for payload in (ingested, completed):
        assert isinstance(payload["duration_seconds"], float)
        assert 0 < payload["duration_seconds"] < 60
    for payload in (started, ingested, completed):
        text = json.dumps(payload)
        assert len(text) < 2000
        assert "quick brown fox" not in text


def test_raw_objects_have_the_full_objects(finished: Finished) -> None:
    objects = finished.project.objects()

    assert len(objects) == MESSAGES
    assert {row["source_system"] for row in objects} == {SOURCE_SYSTEM}
    assert {row["object_type"] for row in objects} == {"email"}
    for row in objects:
        assert row["idem_key"] == f"{SOURCE_SYSTEM}:email:{row['external_id']}"
        assert row["payload"]["id"] == row["external_id"]
    assert sum(len(json.dumps(row["payload"])) for row in objects) / MESSAGES > 10_000
    subjects = {
        header["value"]
        for row in objects
        for header in row["payload"]["payload"]["headers"]
        if header["name"] == "Subject"
    }
    assert subjects == {f"Message {number}" for number in range(MESSAGES)}
    assert any(row["payload"]["snippet"].startswith(message_text(7)) for row in objects)


def test_seen_at_joins_a_run_to_the_rows_it_saw_last(finished: Finished) -> None:
    [row] = finished.project.table(
        """
        SELECT event.correlation_id, COUNT(*) AS objects
        FROM `events_dev.event_log` AS event
        JOIN `events_dev.raw_objects` AS object
          ON object.last_seen = CAST(JSON_VALUE(event.payload, '$.seen_at') AS TIMESTAMP)
        WHERE event.event_type = 'ingestion.completed'
        GROUP BY event.correlation_id
        """
    )
    runs = {event["correlation_id"] for event in finished.project.events()}

    assert row["objects"] == MESSAGES
    assert runs == {finished.run_id, row["correlation_id"]}
    assert row["correlation_id"] > finished.run_id


def test_the_queries_of_step_5_say_what_they_should(finished: Finished) -> None:
    events = json.loads(finished.file("job-events.json"))
    assert [event["event_type"] for event in events] == ["job.completed", "job.started"]
    assert all(event["payload"]["job_name"] == JOB for event in events)

    [ingestion] = json.loads(finished.file("ingestion-events.json"))
    assert ingestion["event_type"] == "ingestion.completed"
    assert ingestion["count"] == str(MESSAGES)

    assert finished.file("per-object-events.csv") == "per_object_events\n0\n"
    assert json.loads(finished.file("counts.json")) == [
        {"object_type": "email", "source_system": SOURCE_SYSTEM, "count": MESSAGES}
    ]


def test_running_twice_changes_nothing_but_last_seen(finished: Finished) -> None:
    counts, last_seen, first_seen = finished.said

    assert counts == f"Before: {MESSAGES}, After: {MESSAGES} (should be equal)"
    before, after = _moments(last_seen)
    assert before < after
    before, after = _moments(first_seen)
    assert before == after
    assert f"{MESSAGES} unchanged" in finished.file("second-run.txt")
    assert f"{MESSAGES} new" in finished.file("first-run.txt")


def test_the_queries_enabled_have_names() -> None:
    for name, text in QUERIES_ENABLED.items():
        comment, _, statement = named_query(name, TableNames()).partition("\n")
        assert comment.startswith("-- ")
        assert statement.strip() == text.strip()


@pytest.mark.parametrize("name", QUERIES_ENABLED)
def test_the_queries_enabled_run_as_they_are_written(finished: Finished, name: str) -> None:
    parameters = ["--param", f"run_id={finished.run_id}"] if name == "per_object_events" else []

    rows = finished.project.lorchestra("query", QUERIES_ENABLED[name], "--format", "json", *parameters).rows

    match name:
        case "latest_runs" | "job_history":
            assert [row["event_type"] for row in rows] == ["job.completed", "job.started"] * 2
        case "failed_jobs":
            assert rows == []
        case "latest_objects":
            assert len(rows) == MESSAGES
            assert all(isinstance(row["payload"], dict) for row in rows)
        case _:
            assert rows == [{"per_object_events": 0}]
    if name == "job_history":
        assert {row["job_name"] for row in rows} == {JOB}
        assert all(float(row["duration"]) > 0 for row in rows if row["event_type"] == "job.completed")


def test_runs_shows_both_runs(finished: Finished) -> None:
    runs = finished.project.lorchestra("runs", "--json").rows

    assert [run["state"] for run in runs] == ["succeeded", "succeeded"]
    assert [(run["inserted"], run["unchanged"]) for run in runs] == [(0, MESSAGES), (MESSAGES, 0)]
    shown = finished.project.lorchestra("query", "latest_runs", "--format", "csv").stdout
    [header, *rows] = csv.reader(io.StringIO(shown))
    assert header[:2] == ["event_id", "event_type"]
    assert json.loads(rows[0][header.index("payload")])["job_name"] == JOB
