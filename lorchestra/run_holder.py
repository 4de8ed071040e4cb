"""Who holds a job's lock and since when: said in a file that is locked itself.

The operating system takes the lock off when the process dies, however it dies. So what the file says is true
as long as it is locked, and nobody's after that; no process id has to be trusted.
"""

import fcntl
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import orjson

from lorchestra.private_files import open_private

_UNITS = ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min"), (0, 1, "s"))


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that runs a job; `run_id` is None until the run has one."""

    pid: int
    host: str
    since: datetime
    run_id: str | None = None

    def __str__(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        since = f"{self.since:%Y-%m-%d %H:%M:%S} UTC ({_ago(datetime.now(UTC) - self.since)} ago)"
        return f"process {self.pid} on {self.host} since {since}{run}"


class HolderFile:
    """`runs/{job}.holder` in the spool. Only who has the job's lock writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._holder: Holder | None = None

    def tell(self) -> None:
        """Tell that this process holds the lock, from now on.

        Raises:
            OSError: it cannot be written.
        """
        # Locked before it is in its place: there is no moment at which it could be taken for a dead one's.
        new = self._new()
        self._file = open_private(new, "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._holder = Holder(pid=os.getpid(), host=socket.gethostname(), since=datetime.now(UTC))
        self._write()
        new.replace(self._path)

    def tell_run(self, run_id: str) -> None:
        """Add the run's id, once there is one."""
        if self._holder is not None:
            self._holder = replace(self._holder, run_id=run_id)
            with suppress(OSError):
                self._write()

    def end(self) -> None:
        """Tell it no more. The lock must still be held."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            with suppress(OSError):
                self._file.close()
            self._file = None

    def read(self) -> Holder | None:
        """Who holds the lock now; None when nobody does, or none that tells."""
        try:
            with self._path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    holder = _last_holder(file.read())
                    return holder if holder is not None and _lives(holder) else None
        except OSError:
            pass
        return None

    def remove_dead(self) -> None:
        """Remove what a process left that was killed. The caller has the lock."""
        if self._file is None:
            for path in (self._path, self._new()):
                with suppress(OSError):
                    path.unlink()

    def _new(self) -> Path:
        return self._path.with_suffix(".holder.new")

    def _write(self) -> None:
        if self._file is not None and self._holder is not None:
            self._file.write(orjson.dumps(asdict(self._holder)) + b"\n")
            self._file.flush()


def _lives(holder: Holder) -> bool:
    """Whether the process is there. One that it forked may have outlived it, and keep the file locked."""
    if holder.host == socket.gethostname():
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
    return True


def _last_holder(text: bytes) -> Holder | None:
    """What the last whole line says."""
    for line in reversed(text.splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            content = orjson.loads(line)
            return Holder(**{**content, "since": datetime.fromisoformat(content["since"])})
    return None


def _ago(passed: timedelta) -> str:
    seconds = max(0.0, passed.total_seconds())
    return next(f"{seconds // size:.0f} {unit}" for least, size, unit in _UNITS if seconds >= least)
