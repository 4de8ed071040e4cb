"""One run of a job at a time, and the marker that tells whose it is."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorchestra.errors import AlreadyRunningError, SpoolError
from lorchestra.run_lock import Run, RunMarker, job_lock


def a_run(name: str = "job", second: int = 0) -> Run:
    return Run(
        run_id=f"{name}-202511241430{second:02}",
        job_name=name,
        package_name="acme",
        started_at=datetime(2025, 11, 24, 14, 30, second, tzinfo=UTC),
        trace_id="t",
    )


def test_a_held_job_names_its_holder_and_others_are_free(tmp_path: Path) -> None:
    with job_lock(tmp_path, a_run()) as marker:
        with pytest.raises(AlreadyRunningError, match="by another process"), job_lock(tmp_path, a_run()):
            pass
        marker.write(a_run())
        holder = rf"^job job: is being run already by process {os.getpid()} on .* \(run job-20251124143000\)"
        with pytest.raises(AlreadyRunningError, match=holder), job_lock(tmp_path, a_run(second=1)):
            pass
        with job_lock(tmp_path, a_run("another.job")):
            pass
    with job_lock(tmp_path, a_run()):
        pass


def test_a_marker_tells_its_run_and_is_its_owners_alone(tmp_path: Path) -> None:
    with job_lock(tmp_path / "spool", a_run("name.with.dots")) as marker:
        marker.write(a_run("name.with.dots"))

    kept = RunMarker(tmp_path / "spool", "name.with.dots")
    content = kept.read()
    assert content is not None
    assert (content["run_id"], content["trace_id"], content["pid"]) == (
        "name.with.dots-20251124143000",
        "t",
        os.getpid(),
    )
    assert datetime.fromisoformat(content["started_at"]) == a_run().started_at
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700
    kept.remove_of(a_run("name.with.dots", second=5))
    assert kept.path.exists()
    kept.remove_of(a_run("name.with.dots"))
    assert not kept.path.exists()


def test_a_torn_marker_tells_nothing(tmp_path: Path) -> None:
    with job_lock(tmp_path, a_run()) as marker:
        marker.write(a_run())
        whole = marker.path.read_bytes()
        for end in range(len(whole)):
            marker.path.write_bytes(whole[:end])
            assert marker.read() is None
        assert marker.who() == "by another process"


def test_a_sign_of_life_moves_the_markers_time(tmp_path: Path) -> None:
    with job_lock(tmp_path, a_run()) as marker:
        marker.write(a_run())
        os.utime(marker.path, (1, 1))
        marker.beat()
        assert marker.path.stat().st_mtime > 1
        marker.remove()
        marker.beat()
        assert not marker.path.exists()


def test_a_spool_that_is_no_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with (
        pytest.raises(SpoolError, match=r"^spool: cannot be written: "),
        job_lock(tmp_path / "spool", a_run()),
    ):
        pass
