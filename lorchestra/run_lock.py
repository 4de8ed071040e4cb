"""One run of a job at a time on a host: the lock, and the marker of the run that has it."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from lorchestra.errors import AlreadyRunningError
from lorchestra.private_files import make_private_folder, replace_file
from lorchestra.run_holder import HolderFile
from lorchestra.spool import spool_errors

_BEAT_SECONDS = 1.0
# A command that closes a dead run has the lock too, for as long as it waits for the store.
_CLOSING_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_NAMES = ("run_id", "job_name", "package_name", "started_at")
_MORE = ("trace_id", "pid", "host", "boot_id", "store")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of a job."""

    run_id: str
    job_name: str
    package_name: str
    started_at: datetime
    trace_id: str | None = None


@contextmanager
def job_lock(spool: Path, run: Run) -> Iterator["RunMarker"]:
    """Hold the job's lock on this host for a run, and tell others who does.

    A command that only closes a dead run of the job is waited for.

    Raises:
        AlreadyRunningError: another process runs the job; the message says which, and since when.
        SpoolError: the spool folder cannot be written.
    """
    marker = RunMarker(spool, run.job_name)
    with spool_errors(spool):
        make_private_folder(marker.path.parent)
    marker.take_lock()
    try:
        marker.tell()
        yield marker
    finally:
        marker.release_lock()


class RunMarker:
    """`runs/{job}.json` in the spool: whose run holds the lock. Its mtime is the run's last sign of life."""

    def __init__(self, spool: Path, job_name: str) -> None:
        self.path = spool / "runs" / f"{job_name}.json"
        self.lock = FileLock(self.path.with_suffix(".lock"))
        self._holder = HolderFile(self.path.with_suffix(".holder"))
        self._content: Mapping[str, Any] | None = None

    def take_lock(self) -> None:
        """Take the job's lock.

        Raises:
            AlreadyRunningError: another process runs the job.
            SpoolError: the lock cannot be made.
        """
        deadline = time.monotonic() + _CLOSING_SECONDS
        while True:
            with spool_errors(self.path.parent), suppress(Timeout):
                self.lock.acquire(blocking=False)
                return
            # Held, and nobody runs the job: it is being closed, or its run begins or ends at this moment.
            holder = self._holder.read()
            if holder is not None or time.monotonic() >= deadline:
                raise AlreadyRunningError(
                    f"job {self.path.stem}: is being run already by {holder or 'another process'}",
                    next_step="Wait for it to end; `lorchestra runs` shows it.",
                )
            time.sleep(_LOOK_SECONDS)

    def tell(self) -> None:
        """Tell others that this process, which holds the lock, runs the job.

        Raises:
            SpoolError: it cannot be written.
        """
        with spool_errors(self.path.parent):
            self._holder.tell()

    def release_lock(self) -> None:
        """Let go of the lock."""
        self._holder.end()
        self.lock.release()

    @contextmanager
    def closing(self) -> Iterator[bool]:
        """Hold the lock to close a dead run; False when the job is being run, and there is nothing to close.

        Another command that closes it at the same time is waited for: afterwards the marker may be gone.

        Raises:
            SpoolError: the lock cannot be made.
        """
        try:
            self.take_lock()
        except AlreadyRunningError:
            yield False
            return
        try:
            yield True
        finally:
            self.release_lock()

    def write(self, run: Run, *, store: str | None = None) -> None:
        """Say that this process runs the job now, and into which store.

        When the call returns it has reached the disk, whole.

        Raises:
            SpoolError: it cannot be written.
        """
        process = {"pid": os.getpid(), "host": socket.gethostname(), "boot_id": _boot_id()}
        self._write({**asdict(run), **process, "store": store})
        self._holder.tell_run(run.run_id)

    def checkpoint(self, ingestion: Mapping[str, Any]) -> None:
        """Keep how far an ingestion of the run has come: its source_system, object_type and cursor.

        When the call returns it has reached the disk, whole.

        Raises:
            SpoolError: it cannot be written.
        """
        self._write({**(self._content or self.read() or {}), "ingestion": dict(ingestion)})

    def _write(self, content: Mapping[str, Any]) -> None:
        with spool_errors(self.path.parent):
            replace_file(self.path, [orjson.dumps(content)])
        self._content = content

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Give a sign of life every second, whatever the run is doing, until the end."""
        stopped, process = threading.Event(), os.getpid()

        def beat() -> None:
            while not stopped.wait(_BEAT_SECONDS):
                self.beat()

        self.beat()
        thread = threading.Thread(target=beat, name="sign-of-life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # A child that was forked meanwhile has no such thread.
            if os.getpid() == process:
                stopped.set()
                thread.join()

    def beat(self) -> None:
        """Give a sign of life."""
        with suppress(OSError):
            os.utime(self.path)

    def last_alive(self) -> datetime | None:
        """When the run gave its last sign of life; None when there is no marker."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except OSError:
            return None

    def remove(self) -> None:
        """The run has ended and its end is on record. The caller has the lock.

        Raises:
            SpoolError: it cannot be removed.
        """
        with spool_errors(self.path.parent):
            for path in (self.path, self.path.with_suffix(".new")):
                path.unlink(missing_ok=True)
            self._holder.remove_dead()

    def read(self) -> dict[str, Any] | None:
        """The run (run_id, job_name, package_name, started_at, trace_id), its pid, host, boot_id and store.

        With them `ingestion`, where there was a checkpoint. What an older version did not write is None. The
        whole is None when there is no marker, or nothing in it that names a run: it was torn, for one.
        """
        try:
            content = orjson.loads(self.path.read_bytes())
            if not all(isinstance(content[name], str) for name in _NAMES):
                return None
            if datetime.fromisoformat(content["started_at"]).tzinfo is None:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        known = {name: content.get(name) for name in (*_NAMES, *_MORE)}
        if _is_checkpoint(ingestion := content.get("ingestion")):
            known["ingestion"] = ingestion
        return known


def _is_checkpoint(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "cursor" in value
        and all(isinstance(value.get(name), str) for name in ("source_system", "object_type"))
    )


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None
