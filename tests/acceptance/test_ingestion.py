"""Ingestion from a source that another package brings: cursors, rejects, and what a run that fails leaves."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.project import Project, wait_until

# Reads JSON Lines. A line {"do": …} makes it misbehave; its cursor is the number of lines it has read.
SOURCE = """
import json
import math
import os
import sys
import time

from lorchestra.errors import SourceUnavailableError
from lorchestra.idem_keys import dataverse_row_idem_key
from lorchestra.model import Progress, Record, Rejection, Window
from lorchestra.sources.base import SourceOptions, SourceType


class Options(SourceOptions):
    path: str
    api_key: str | None = None


class Lines:
    def __init__(self, options, context):
        self.base = context.base
        self.path = self.base / options.path
        self.read = 0

    def records(self, window, cursor):
        self.window, self.cursor = window, cursor
        begin = cursor["line"] if cursor and window == Window() else 0
        self.read = begin
        for line in self.path.read_text().splitlines()[begin:]:
            self.read += 1
            row = json.loads(line)
            position = f"line {self.read}"
            match row.get("do"):
                case None:
                    yield Record(data=row, position=position)
                case "nan":
                    yield Record(data={"id": "nan", "value": math.nan, "null": None}, position=position)
                case "set":
                    yield Record(data={"id": "set", "value": {1, 2}}, position=position)
                case "tuple key":
                    yield Record(data={"id": "key", (1, 2): 3}, position=position)
                case "reject":
                    yield Rejection(reason=row["reason"], position=position)
                case "raise":
                    raise SourceUnavailableError("the service does not answer")
                case "raise value":
                    raise ValueError("secret-marker-4711")
                case "exit":
                    sys.exit("secret-marker-4711")
                case "wait":
                    (self.base / "waiting").touch()
                    while not (self.base / "go-on").exists():
                        time.sleep(0.02)
                case "die":
                    os.kill(os.getpid(), 9)

    def next_cursor(self):
        return {"line": self.read} if self.window == Window() else self.cursor

    def progress(self):
        return Progress()


LINES = SourceType(
    summary="Lines of a file.",
    object_type="line",
    options=Options,
    open=Lines,
    idem_key_fn=lambda system: dataverse_row_idem_key(system, table="line", id_field="id"),
    resumes=True,
)
WHOLE = SourceType(
    summary="Lines of a file, read from the beginning each time.",
    object_type="line",
    options=Options,
    open=Lines,
    idem_key_fn=lambda system: dataverse_row_idem_key(system, table="line", id_field="id"),
)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(folder=tmp_path)
    project.install("acme-lines", SOURCE, sources={"lines": "LINES", "whole": "WHOLE"})
    project.configure(
        """
        [jobs.lines]
        source = "lines"
        source_system = "acme"
        path = "lines.jsonl"
        api_key = "secret-marker-4711"
        """
    )
    return project


def write(project: Project, *rows: Any) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project.folder / "lines.jsonl").write_text(text)


def run(project: Project, *options: str, code: int = 0) -> dict[str, Any]:
    return project.lorchestra("run", "lines", "--json", *options, code=code).rows[0]


def last(project: Project, event_type: str) -> dict[str, Any]:
    [*_, event] = [event for event in project.events() if event["event_type"] == event_type]
    payload = event["payload"]
    assert isinstance(payload, dict)
    return payload


def ids(project: Project) -> list[str]:
    return [row["external_id"] for row in project.objects()]


def test_a_run_goes_on_where_the_newest_completed_one_ended(project: Project) -> None:
    write(project, *({"id": number} for number in range(4)))

    # A part of the source is no place to go on from.
    assert run(project, "--limit", "2")["inserted"] == 2
    assert last(project, "ingestion.completed")["cursor"] is None
    assert run(project, "--until", "2025-01-01")["records_extracted"] == 4
    assert last(project, "ingestion.completed")["cursor"] is None
    assert run(project)["records_extracted"] == 4
    assert last(project, "ingestion.completed")["cursor"] == {"line": 4}

    write(project, *({"id": number} for number in range(5)))
    assert run(project)["inserted"] == 1
    assert last(project, "ingestion.completed")["cursor"] == {"line": 5}

    # --since asks for more than the cursor would give, and leaves it where it is; so does a failure.
    write(project, *({"id": number} for number in range(6)))
    assert run(project, "--since", "2025-01-01")["records_extracted"] == 6
    assert last(project, "ingestion.completed")["cursor"] == {"line": 5}
    write(project, *({"id": number} for number in range(6)), {"do": "raise"})
    failed = run(project, code=1)
    assert (failed["state"], failed["error_code"]) == ("failed", "source.unavailable")
    payload = last(project, "ingestion.failed")
    assert payload["resume"] == {"segments_kept": 1, "cursor": {"line": 5}}
    assert payload["retryable"] is True
    write(project, *({"id": number} for number in range(6)))
    again = run(project)
    # What the failed run had read was kept, and is loaded first.
    assert (again["recovered"], again["records_extracted"], again["unchanged"]) == (1, 1, 2)
    assert last(project, "ingestion.completed")["cursor"] == {"line": 6}
    assert "secret-marker" not in json.dumps(project.events(), default=str)
    assert ids(project) == [str(number) for number in range(6)]


def test_a_source_that_does_not_resume_is_read_whole_each_time(project: Project) -> None:
    config = project.folder / "lorchestra.toml"
    config.write_text(config.read_text().replace('source = "lines"', 'source = "whole"'))
    write(project, {"id": 1}, {"id": 2})

    assert run(project)["inserted"] == 2
    assert run(project)["unchanged"] == 2


def test_what_cannot_be_stored_is_counted_and_kept_aside(project: Project) -> None:
    write(
        project,
        {"id": "good"},
        {"name": "no id"},
        {"do": "nan"},
        {"do": "set"},
        {"do": "tuple key"},
        {"do": "reject", "reason": "too_large"},
        {"id": "gone", "_sdc_deleted_at": "2025-11-20T00:00:00Z"},
        {"id": ["a", "list"]},
        {"id": "good", "version": 2},
    )

    outcome = project.lorchestra("run", "lines")

    rejects = project.spool / "rejects" / f"{outcome.stdout.split()[0]}.jsonl"
    entries = [json.loads(line, parse_constant=pytest.fail) for line in rejects.read_text().splitlines()]
    assert [(entry["reason"], entry["position"]) for entry in entries] == [
        ("no_identity", "line 2"),
        ("invalid", "line 3"),
        ("invalid", "line 4"),
        ("invalid", "line 5"),
        ("too_large", "line 6"),
        ("no_identity", "line 8"),
    ]
    assert entries[0]["record"] == {"name": "no id"}
    assert rejects.stat().st_mode & 0o777 == 0o600
    assert str(rejects) in outcome.stderr
    assert "6 rejected" in outcome.stdout
    payload = last(project, "ingestion.completed")
    assert payload["reject_reasons"] == {"no_identity": 2, "invalid": 3, "too_large": 1}
    assert (payload["rejected"], payload["inserted"], payload["duplicates"], payload["gone"]) == (6, 2, 1, 1)
    assert ids(project) == ["gone", "good"]
    assert project.objects()[1]["payload"] == {"id": "good", "version": 2}


def test_reasons_of_a_source_do_not_outgrow_an_event(project: Project) -> None:
    write(project, {"id": 1}, *({"do": "reject", "reason": f"row {n} is bad " * 20} for n in range(1500)))

    assert run(project)["rejected"] == 1500
    reasons = last(project, "ingestion.completed")["reject_reasons"]
    assert sum(reasons.values()) == 1500
    assert reasons["other"] > 1000


@pytest.mark.parametrize(
    ("misdeed", "error_type", "error_code"),
    [("raise value", "ValueError", "job.raised"), ("exit", "SystemExit", "job.exited")],
)
def test_an_ingestion_that_fails_says_so_without_its_data(
    project: Project, misdeed: str, error_type: str, error_code: str
) -> None:
    write(project, {"id": 1}, {"do": misdeed})

    outcome = project.lorchestra("run", "lines", code=1)

    started, ingestion, failed = project.events()
    assert started["payload"]["parameters"]["options"] == {"path": "lines.jsonl", "api_key": "***"}
    for event in (ingestion, failed):
        assert event["payload"]["error_type"] == error_type
        assert event["payload"]["error_code"] == error_code
    assert ingestion["payload"]["records_extracted"] == 1
    everything = outcome.words + json.dumps(project.events(), default=str)
    assert "secret-marker" not in everything


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_an_ended_run_had_read_is_loaded_by_the_next(project: Project, number: signal.Signals) -> None:
    write(project, {"id": 1}, {"id": 2}, {"do": "wait"})
    process = project.start("run", "lines")
    wait_until((project.folder / "waiting").exists, "the source waits")
    # A slow source does not keep the store: others read it meanwhile.
    [running] = project.lorchestra("runs", "--json").rows
    assert running["state"] == "running"
    process.send_signal(number)
    process.communicate(timeout=30)

    expected = (
        ["job.started"] if number == signal.SIGKILL else ["job.started", "ingestion.failed", "job.failed"]
    )
    assert project.event_types() == expected
    [segment] = (project.spool / "segments" / "lines").iterdir()
    if number == signal.SIGKILL:
        # Killed before anything was flushed; as much may have reached the disk as of any torn file.
        header = b'{"source_system":"acme","object_type":"line"}\n'
        segment.write_bytes(
            header + b'["acme:line:1",{"id":1}]\n["acme:line:2",{"id":2}]\n["acme:line:3",{"i'
        )
    # The source is gone; what had been read of it is not.
    (project.folder / "lines.jsonl").unlink()
    run(project, code=1)

    assert ids(project) == ["1", "2"]
    assert last(project, "ingestion.failed")["recovered"] == 2
    assert [row["state"] for row in project.lorchestra("runs", "--json").rows] == ["failed", "failed"]
    assert last(project, "job.failed")["error_type"] == "FileNotFoundError"
    assert list((project.spool / "segments" / "lines").iterdir()) == []


def test_a_run_that_dies_after_its_source_is_closed_by_the_next(project: Project) -> None:
    write(project, {"id": 1}, {"do": "die"})
    process = project.start("run", "lines")
    process.communicate(timeout=30)
    write(project, {"id": 1})

    assert run(project)["inserted"] == 1
    states = [row["state"] for row in project.lorchestra("runs", "--json").rows]
    assert states == ["succeeded", "failed"]


def test_a_source_that_cannot_be_imported_or_named_is_wrong_use(project: Project) -> None:
    module = project.folder / "site" / "acme_lines.py"
    module.write_text('raise RuntimeError("secret-marker-4711")\n')

    refused = project.lorchestra("run", "lines", code=2)

    assert "cannot be imported: RuntimeError" in refused.stderr
    assert "secret-marker" not in refused.words
    assert not project.spool.exists()


def test_rejects_are_tried_again_and_what_is_stored_is_noted(project: Project) -> None:
    """Kept records as they were kept; the others from a source that can be read again."""
    project.configure(
        """
        [jobs.lines]
        source = "whole"
        source_system = "acme"
        path = "lines.jsonl"
        """
    )
    write(project, {"id": 1}, {"name": "no id"}, {"do": "reject", "reason": "broken"}, {"do": "nan"})
    first = project.lorchestra("run", "lines")
    run_id = first.stdout.split()[0]
    assert f"lorchestra retry {run_id}" in first.stderr

    # Nothing has changed, so nothing is resolved, and nothing is lost of it.
    again = project.lorchestra("retry", run_id, "--json").rows[0]
    assert (again["records_extracted"], again["rejected"], again.get("resolved", 0)) == (3, 3, 0)
    # One line is mended at the source.
    write(project, {"id": 1}, {"name": "no id"}, {"id": 3}, {"do": "nan"})
    again = project.lorchestra("retry", run_id, "--json").rows[0]
    assert (again["inserted"], again["rejected"], again["resolved"]) == (1, 2, 1)
    assert ids(project) == ["1", "3"]
    # The identity comes from another field now.
    module = project.folder / "site" / "acme_lines.py"
    module.write_text(module.read_text().replace('id_field="id"', 'id_field="name"'))
    again = project.lorchestra("retry", run_id, "--json").rows[0]
    assert (again["inserted"], again["rejected"], again["resolved"]) == (1, 1, 1)
    stored = {row["external_id"]: row["payload"] for row in project.objects()}
    assert stored["no id"] == {"name": "no id"}
    [receipt] = [
        row
        for row in project.lorchestra("verify", run_id, "--store-only", "--json", code=1).rows
        if row["check"] == "rejects"
    ]
    assert (receipt["state"], receipt["found"]) == ("missing", "1 not resolved")


def test_a_record_that_was_not_kept_whole_is_not_stored_by_a_retry(project: Project) -> None:
    """A source that goes on from a cursor cannot be read again, and what is shown of a set is no set."""
    write(project, {"id": 1}, {"do": "set"})
    run_id = project.lorchestra("run", "lines").stdout.split()[0]
    assert "none was kept" in project.lorchestra("retry", run_id, code=2).stderr
    assert ids(project) == ["1"]
