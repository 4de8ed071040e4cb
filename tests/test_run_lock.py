"""One run of a job at a time, and the marker that tells whose it is."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.errors import AlreadyRunningError, SpoolError
from lorchestra.run_holder import HolderFile
from lorchestra.run_lock import Run, RunMarker, job_lock
from tests.project import wait_until

AT = "2025-11-24T14:30:00+00:00"
KEYS = (
    "run_id",
    "job_name",
    "package_name",
    "started_at",
    "trace_id",
    "pid",
    "host",
    "boot_id",
    "store",
    "ingestion",
)


def a_run(name: str = "job", second: int = 0) -> Run:
    return Run(
        run_id=f"{name}-202511241430{second:02}",
        job_name=name,
        package_name="acme",
        started_at=datetime(2025, 11, 24, 14, 30, second, tzinfo=UTC),
        trace_id="t",
    )


def refusal(spool: Path, run: Run) -> str:
    with pytest.raises(AlreadyRunningError) as refused, job_lock(spool, run):
        pass
    return refused.value.message


def test_a_held_job_names_its_holder_and_others_are_free(tmp_path: Path) -> None:
    """From the first moment: who, on which host, since when in UTC and how long ago; then the run as well."""
    began = f"job job: is being run already by process {os.getpid()} on {socket.gethostname()} since "
    with job_lock(tmp_path, a_run()) as marker:
        said = refusal(tmp_path, a_run())
        assert said.startswith(began)
        assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(\d s ago\)$", said)
        marker.write(a_run())
        said = refusal(tmp_path, a_run(second=1))
        assert said.startswith(began)
        assert said.endswith(" s ago), run job-20251124143000")
        with job_lock(tmp_path, a_run("another.job")):
            pass
    with job_lock(tmp_path, a_run()):
        pass
    assert not list((tmp_path / "runs").glob("*.holder*"))


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
    kept.remove()
    assert not kept.path.exists()


def test_a_torn_marker_tells_nothing(tmp_path: Path) -> None:
    with job_lock(tmp_path, a_run()) as marker:
        marker.write(a_run())
        whole = marker.path.read_bytes()
        for end in range(len(whole)):
            for rest in (b"", b"\0" * (len(whole) - end)):
                marker.path.write_bytes(whole[:end] + rest)
                assert marker.read() is None


ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({"cursor": 1})
)


@settings(max_examples=40)
@given(ANYTHING | st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_a_marker_of_anything_stops_nobody(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    """Whatever a marker holds, it is read as a run with all its parts, or as none."""
    marker = RunMarker(tmp_path_factory.getbasetemp(), "job")
    marker.path.parent.mkdir(exist_ok=True)
    if isinstance(content, dict):
        content = {"run_id": "job-1", "job_name": "job", "package_name": "p", "started_at": AT, **content}
    marker.path.write_text(json.dumps(content))
    found = marker.read()
    assert found is None or set(found) - {"ingestion"} == set(KEYS) - {"ingestion"}
    if isinstance(content, dict) and not set(content) & set(KEYS[4:]) and content["started_at"] == AT:
        assert found is None or found["boot_id"] is None


def test_what_a_marker_tells_of_the_process(tmp_path: Path) -> None:
    """Which boot of which host, and which store; a checkpoint keeps all of it, whatever the file became."""
    with job_lock(tmp_path, a_run()) as marker:
        marker.write(a_run(), store="duckdb:///lorchestra.duckdb")
        written = marker.read()
        assert written is not None
        assert written["store"] == "duckdb:///lorchestra.duckdb"
        assert bool(written["boot_id"]) == Path("/proc/sys/kernel/random/boot_id").exists()
        marker.path.write_bytes(b"{")
        ingestion = {"source_system": "s", "object_type": "t", "cursor": {"line": 7}}
        marker.checkpoint(ingestion)
        assert marker.read() == written | {"ingestion": ingestion}


def test_a_silent_run_gives_signs_of_life_until_its_end(tmp_path: Path) -> None:
    with job_lock(tmp_path, a_run()) as marker:
        assert marker.last_alive() is None
        marker.write(a_run())
        os.utime(marker.path, (1, 1))
        threads = threading.active_count()
        with marker.beating():
            assert marker.last_alive() > datetime.now(UTC) - timedelta(seconds=60)
            os.utime(marker.path, (1, 1))
            wait_until(lambda: marker.path.stat().st_mtime > 1, "the next sign of life")
        assert threading.active_count() == threads
        marker.remove()
        marker.beat()
        assert marker.last_alive() is None


def test_a_forked_child_ends_the_beating_of_nobody(tmp_path: Path) -> None:
    with job_lock(tmp_path, a_run()) as marker:
        marker.write(a_run())
        with marker.beating():
            if (child := os.fork()) == 0:
                with suppress(BaseException), marker.beating():
                    pass
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            os.utime(marker.path, (1, 1))
            wait_until(lambda: marker.path.stat().st_mtime > 1, "a sign of life of the parent")


# Stale: what is left of a process that died. Whoever holds the lock then is told by the lock alone.

DYING = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from lorchestra.run_lock import Run, job_lock
run = Run(run_id="job-1", job_name="job", package_name="acme", started_at=datetime.now(UTC))
with job_lock(Path(sys.argv[1]), run) as marker:
    marker.write(run)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_run_left_holds_nobody_up_and_is_never_told(tmp_path: Path) -> None:
    """Its process id may be another's by now: of the next holder nothing is said but what is true."""
    subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    left = tmp_path / "runs" / "job.holder"
    assert left.exists()
    recycled = orjson.loads(left.read_bytes().splitlines()[-1]) | {"pid": os.getppid()}
    left.write_bytes(orjson.dumps(recycled) + b"\n")

    # A command that closes the dead run has the lock and is no run: it is waited for
    dead = RunMarker(tmp_path, "job")
    with dead.closing() as free, ThreadPoolExecutor() as pool:
        assert free
        started = pool.submit(started_at, tmp_path)
        with pytest.raises(TimeoutError):
            started.result(timeout=0.1)
        content = dead.read()
        assert content is not None
        assert content["run_id"] == "job-1"
        dead.remove()
        closed = time.monotonic()
        dead.release_lock()
        assert started.result(timeout=30) >= closed
    assert not left.exists()

    # And where a run has the lock there is nothing to close
    with job_lock(tmp_path, a_run()), RunMarker(tmp_path, "job").closing() as free:
        assert not free


ORPHANING = DYING.replace("    os.kill(", "    if os.fork() == 0:\n        time.sleep(60)\n    os.kill(")


def test_a_child_that_outlives_a_killed_run_is_not_taken_for_it(tmp_path: Path) -> None:
    """It may keep files open that it got from the run, but it runs no job."""
    parent = subprocess.Popen([sys.executable, "-c", ORPHANING, str(tmp_path)], start_new_session=True)
    try:
        parent.wait(timeout=60)
        assert (tmp_path / "runs" / "job.holder").exists()
        assert HolderFile(tmp_path / "runs" / "job.holder").read() is None
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
    with job_lock(tmp_path, a_run()):
        pass


def started_at(spool: Path) -> float:
    with job_lock(spool, a_run()):
        return time.monotonic()


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"{", b"[]\n", b'{"pid":1}\n', b"\xff\n"], ids=repr)
def test_a_holder_file_that_was_torn_tells_nothing(tmp_path: Path, content: bytes) -> None:
    with job_lock(tmp_path, a_run()):
        path = tmp_path / "runs" / "job.holder"
        with path.open("r+b") as file:
            file.truncate()
            file.write(content)
        holder = HolderFile(path).read()
        assert holder is None


def test_two_that_start_at_once_are_one_run_and_one_refusal(tmp_path: Path) -> None:
    """However they collide, one has the lock, and the other names it: never a lock that nobody has."""
    pid = os.getpid()
    for _ in range(40):
        both = threading.Barrier(2)

        def start(both: threading.Barrier = both) -> str:
            both.wait()
            try:
                with job_lock(tmp_path, a_run()):
                    both.wait()
                    return "ran"
            except AlreadyRunningError as error:
                both.wait()
                return error.message

        with ThreadPoolExecutor() as pool:
            ran, refused = sorted((one.result() for one in [pool.submit(start), pool.submit(start)]), key=len)
        assert ran == "ran"
        assert f"by process {pid} on" in refused


def test_a_spool_that_is_no_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with (
        pytest.raises(SpoolError, match=r"^spool: cannot be written: "),
        job_lock(tmp_path / "spool", a_run()),
    ):
        pass
