"""A command as a whole process: how long it takes, and how much memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class FailedError(Exception):
    """The command did not do it; the text has its last words."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Wall-clock and processor seconds from start to end, and the largest process's peak of memory."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(command: Sequence[str | Path]) -> Measured:
    """Run it to its end.

    Raises:
        FailedError: it failed.
    """
    with tempfile.TemporaryFile() as told:
        started = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=told)
        # What a process and those that it waited for took, as the operating system counted it.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            lines = told.read().decode(errors="replace").strip().splitlines()
            raise FailedError(lines[-1] if lines else f"ended with {process.returncode}")
    kilo = 1 if sys.platform == "darwin" else 1024
    return Measured(
        seconds=seconds, cpu_seconds=used.ru_utime + used.ru_stime, peak_bytes=used.ru_maxrss * kilo
    )
