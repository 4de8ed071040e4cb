"""The spool: what was appended comes back byte for byte, whatever happened to the process in between."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.errors import SpoolError
from lorchestra.model import BatchBounds
from lorchestra.rejects import RejectFile
from lorchestra.spool import JobSpool, read_header, read_segment
from tests.project import JOB, new_project

HEADER = {"source_system": "acme", "object_type": "page"}
BOUNDS = BatchBounds(bytes=16 * 1024 * 1024, seconds=20.0)

# Besides any text: what could be taken for the end of a key.
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.text(
    st.sampled_from('",{\\aé\n\0\u2028'), min_size=1
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)


def texts(obj: dict[str, Any]) -> bytes:
    """An object as JSON, integers of any size included."""
    return json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()


def write(root: Path, entries: list[tuple[str, bytes]]) -> Path:
    writer = JobSpool(root, "job").writer("job-20251124143000", bounds=BOUNDS, **HEADER)
    for key, payload in entries:
        writer.append(key, payload)
    closed = writer.close()
    assert closed is not None
    return closed


@given(st.lists(st.tuples(KEYS, OBJECTS.map(texts)), min_size=1, max_size=6))
def test_records_come_back_as_they_were_appended(entries: list[tuple[str, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        segment = write(Path(folder), entries)
        assert read_header(segment) == HEADER
        assert list(read_segment(segment)) == entries


def test_an_object_that_json_could_not_read_again_is_copied_all_the_same() -> None:
    deep = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
    long = b'{"n":' + b"9" * 5000 + b"}"
    entries = [('with ",{ in it', deep), ("ends in \\", long), ("plain", deep)]
    with TemporaryDirectory() as folder:
        assert list(read_segment(write(Path(folder), entries))) == entries


@given(st.integers(min_value=0))
def test_a_torn_segment_gives_its_whole_records(cut: int) -> None:
    entries = [(f"key {number}", orjson.dumps({"id": number, "text": "x]\n}" * 3})) for number in range(4)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        closed = write(root, entries)
        text = closed.read_bytes()[: cut % (closed.stat().st_size + 1)]
        closed.unlink()
        closed.with_name(f"{closed.name}.part").write_bytes(text)

        [segment] = JobSpool(root, "job").segments()

        whole = text.count(b"\n")
        assert read_header(segment) == (HEADER if whole else None)
        assert list(read_segment(segment)) == entries[: max(0, whole - 1)]


def test_segments_come_oldest_first_and_are_their_owners_alone(tmp_path: Path) -> None:
    old_umask = os.umask(0)
    try:
        spool = JobSpool(tmp_path / "spool", "job")
        writer = spool.writer("job-2", bounds=BOUNDS, **HEADER)
        writer.append("a", b"{}")
        writer.close()
        writer.append("b", b"{}")
        assert writer.close() is not None
        assert writer.close() is None
        unfinished = spool.writer("job-1", bounds=BOUNDS, **HEADER)
        unfinished.append("c", b"{}")
        RejectFile(tmp_path / "spool", "job-1").add(reason="invalid", position="1", record={})
    finally:
        os.umask(old_umask)

    suffixes = {path.suffix for path in (tmp_path / "spool").rglob("*")}
    assert suffixes == {"", ".jsonl", ".part"}
    for path in (tmp_path / "spool", *(tmp_path / "spool").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    unfinished.close()
    assert [[key for key, _ in read_segment(path)] for path in spool.segments()] == [["a"], ["b"], ["c"]]


def test_a_reject_is_kept_whatever_it_is(tmp_path: Path) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    records = [{"id": None}, {"x": math.nan}, {(1, 2): 3}, circle, {"x": {1}}, "text \udc80", 10**5000, None]
    rejects = RejectFile(tmp_path, "job-1")
    for number, record in enumerate(records):
        rejects.add(reason="invalid", position=f"mail \udcff.mbox:{number}", record=record)

    lines = rejects.path.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert len(entries) == sum(rejects.reasons.values()) == len(records)
    assert rejects.reasons == {"invalid": len(records)}
    assert entries[0] == {"reason": "invalid", "position": "mail \udcff.mbox:0", "record": {"id": None}}
    assert [entry["excerpt"] for entry in entries[1:4]] == ["<dict>", "<dict>", "<dict>"]


def test_a_spool_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SpoolError, match=r"^spool: cannot be written: "):
        JobSpool(tmp_path / "spool", "job").writer("job-1", bounds=BOUNDS, **HEADER).append("a", b"{}")
    with pytest.raises(SpoolError, match=r"^spool: cannot be written: "):
        RejectFile(tmp_path / "spool", "job-1").add(reason="invalid", position="1")
    project = new_project(tmp_path)
    (tmp_path / ".lorchestra").write_text("a file")
    assert "spool: cannot be written" in project.lorchestra("run", JOB, code=1).stderr
    assert not project.database.exists()


def test_a_full_disk_fails_the_run_and_loses_nothing(tmp_path: Path) -> None:
    project = new_project(tmp_path, messages=100)
    # No file may grow beyond this, as on a disk that is full: the store is small yet, the segment is not.
    limited = ["bash", "-c", 'ulimit -f 700; exec "$0" "$@"']
    process = project.start("run", JOB, prefix=limited)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert "spool: cannot be written: File too large" in stderr
    assert " failed in " in stdout
    ends = [event["payload"]["error_code"] for event in project.events() if event["status"] == "failed"]
    assert ends == ["spool.unavailable", "spool.unavailable"]

    told = project.lorchestra("run", JOB, "--json").rows[0]
    assert told["recovered"] > 0
    assert told["recovered"] == told["unchanged"]
    assert len(project.objects()) == 100


def test_a_failed_merge_keeps_its_segments_for_the_next_run(tmp_path: Path) -> None:
    project = new_project(tmp_path, messages=3)
    project.lorchestra("setup")
    broken = "ALTER TABLE events_dev.raw_objects RENAME COLUMN external_id TO foreign_id"
    change = [sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"]
    subprocess.run([*change, project.database, broken], check=True)

    project.lorchestra("run", JOB, code=1)

    [failed] = [event for event in project.events() if event["event_type"] == "ingestion.failed"]
    assert failed["payload"]["error_code"] == "store.schema"
    assert failed["payload"]["resume"]["segments_kept"] == 1
    mended = "ALTER TABLE events_dev.raw_objects RENAME COLUMN foreign_id TO external_id"
    subprocess.run([*change, project.database, mended], check=True)
    (tmp_path / "takeout.mbox").unlink()

    # The source is gone, so this run fails too; what was extracted is loaded all the same.
    project.lorchestra("run", JOB, code=1)

    assert len(project.objects()) == 3
