"""One run of a job at a time on a host: the lock, and the marker that tells who holds it."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from lorchestra.errors import AlreadyRunningError
from lorchestra.spool import make_private_folder, open_private, spool_errors


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
    """Hold the job's lock on this host for a run, and leave a marker that tells who runs it.

    Raises:
        AlreadyRunningError: another process holds it; the message says which.
        SpoolError: the spool folder cannot be written.
    """
    marker = RunMarker(spool, run.job_name)
    with spool_errors(spool):
        make_private_folder(marker.path.parent)
        try:
            marker.lock.acquire(blocking=False)
        except Timeout:
            raise AlreadyRunningError(
                f"job {run.job_name}: is being run already {marker.who()}",
                next_step="Wait for it to end; `lorchestra runs` shows it.",
            ) from None
    try:
        yield marker
    finally:
        marker.lock.release()


class RunMarker:
    """`runs/{job}.json` in the spool: which run holds the lock. Its mtime is the run's last sign of life."""

    def __init__(self, spool: Path, job_name: str) -> None:
        self.path = spool / "runs" / f"{job_name}.json"
        self.lock = FileLock(self.path.with_suffix(".lock"))

    def write(self, run: Run) -> None:
        """Say that this process runs the job now.

        Raises:
            SpoolError: it cannot be written.
        """
        self._write({**asdict(run), "pid": os.getpid(), "host": socket.gethostname()})

    def checkpoint(self, ingestion: Mapping[str, Any]) -> None:
        """Keep how far an ingestion of the run has come: its source_system, object_type and cursor.

        When the call returns it has reached the disk, whole.

        Raises:
            SpoolError: it cannot be written.
        """
        self._write({**(self.read() or {}), "ingestion": dict(ingestion)})

    def _write(self, content: Mapping[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        with spool_errors(self.path.parent):
            with open_private(new, "wb") as file:
                file.write(orjson.dumps(content))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)

    def beat(self) -> None:
        """Give a sign of life."""
        with suppress(OSError):
            os.utime(self.path)

    def remove(self) -> None:
        """The run has ended and its end is on record.

        Raises:
            SpoolError: it cannot be removed.
        """
        with spool_errors(self.path.parent):
            self.path.unlink(missing_ok=True)

    def remove_of(self, run: Run) -> None:
        """The same, unless it is another run's."""
        content = self.read()
        if content is not None and content["run_id"] == run.run_id:
            self.remove()

    def read(self) -> dict[str, Any] | None:
        """What the marker says; None when there is none, or none that a run wrote whole."""
        try:
            content: dict[str, Any] = orjson.loads(self.path.read_bytes())
            return content if _is_marker(content) else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
            return None

    def who(self) -> str:
        """Who holds the lock, as far as the marker tells."""
        content = self.read()
        if content is None:
            return "by another process"
        return f"by process {content['pid']} on {content['host']} (run {content['run_id']})"


def _is_marker(content: Mapping[str, Any]) -> bool:
    datetime.fromisoformat(content["started_at"]).astimezone(UTC)
    texts = [content[name] for name in ("run_id", "job_name", "package_name", "host")]
    ingestion = content.get("ingestion")
    if ingestion is not None:
        texts += [ingestion["source_system"], ingestion["object_type"]]
    return (
        all(isinstance(text, str) and text.strip() for text in texts)
        and isinstance(content["trace_id"], str | None)
        and content["trace_id"] != ""
        and isinstance(content["pid"], int)
        and (ingestion is None or isinstance(ingestion["cursor"], dict | None))
    )
