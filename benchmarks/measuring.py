"""A command as a whole process: how long it takes, and how much memory."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: How often memory is looked at, where its course is wanted.
SAMPLE_SECONDS = 0.05
#: What takes longer has failed.
LIMIT_SECONDS = 900.0

# Not those of an address.
_FOLDERS = re.compile(r"(?<![\w:/.])(?:/[\w.+~-]+)+/(?=\w)")


class FailedError(Exception):
    """The command did not do it; the text has its last words."""


def last_words(said: str) -> str:
    """The last line, without the folders of this machine."""
    lines = said.strip().splitlines()
    return _FOLDERS.sub("", lines[-1]) if lines else ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Wall-clock and processor seconds from start to end, and the largest process's peak of memory."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    #: The database afterwards, where there is one.
    file_bytes: int = 0
    #: Seconds since the start, and the bytes that were resident then; only where asked for.
    course: tuple[tuple[float, int], ...] = ()


def measure(
    command: Sequence[str | Path],
    *,
    file: Path | None = None,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    sampled: bool = False,
) -> Measured:
    """Run it to its end, in a folder and with variables beside those of this process.

    Raises:
        FailedError: it failed, or took too long.
    """
    # What others wrote goes to the disk now, not while this one waits for its own.
    os.sync()
    with tempfile.TemporaryFile() as told:
        started = time.perf_counter()
        # A session of its own, so that those which it starts end with it.
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
        )
        late = threading.Event()
        with _watched(process, late), _course_of(process.pid, started, sampled=sampled) as course:
            # What a process and those that it waited for took, as the operating system counted it.
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        if late.is_set():
            raise FailedError(f"took longer than {LIMIT_SECONDS:.0f} s")
        if process.returncode:
            told.seek(0)
            said = told.read().decode(errors="replace")
            raise FailedError(last_words(said) or f"ended with {process.returncode}")
    kilo = 1 if sys.platform == "darwin" else 1024
    return Measured(
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * kilo,
        file_bytes=size_of(file) if file is not None else 0,
        course=tuple(course),
    )


@contextmanager
def _watched(process: subprocess.Popen[bytes], late: threading.Event) -> Iterator[None]:
    """End it when it takes too long, and when we are ended ourselves."""

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def too_late() -> None:
        late.set()
        end()

    timer = threading.Timer(LIMIT_SECONDS, too_late)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BaseException:
        end()
        raise
    finally:
        timer.cancel()


@contextmanager
def _course_of(pid: int, started: float, *, sampled: bool) -> Iterator[list[tuple[float, int]]]:
    course: list[tuple[float, int]] = []
    over = threading.Event()

    def look() -> None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            while not over.wait(SAMPLE_SECONDS):
                resident = process.memory_info().rss
                # One that has ended, and was not waited for yet, has none.
                if resident:
                    course.append((time.perf_counter() - started, resident))

    thread = threading.Thread(target=look)
    if sampled:
        thread.start()
    try:
        yield course
    finally:
        over.set()
        if sampled:
            thread.join()


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def remove(file: Path) -> None:
    """A database, and what stands beside it under its name."""
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
