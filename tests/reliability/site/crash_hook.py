"""Disturbs a run at one of its points. Only the standard library, as it is there before anything else.

`CRASH_AT` is `point:pass:failure[:path]`: at the n-th time that the run passes the point, the failure happens
to the process itself, or to the disk at the path. What happens elsewhere is asked for over the two file
descriptors of `CRASH_CHANNEL`. `CRASH_SEGMENT_RECORDS` makes small segments, so that a few records fill some.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FILLER = ".filler"
AWAY = ".away"
MS_RDONLY, MS_REMOUNT = 1, 32

_STEP = "lorchestra.step"
_SIGNALS = {"sigkill": signal.SIGKILL, "sigterm": signal.SIGTERM, "sigint": signal.SIGINT}
_PAGE, _MANY = 4096, 256 * 4096


def install() -> None:
    """Listen to the steps of this process, if the environment says so."""
    wanted = os.environ.get("CRASH_AT")
    small = os.environ.get("CRASH_SEGMENT_RECORDS")
    if wanted is None and small is None:
        return
    point, passes, failure, path = (wanted or ":0::").split(":", 3)
    left = int(passes)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event != _STEP:
            return
        if small is not None and arguments == ("starting",):
            sys.modules["lorchestra.spool"].SEGMENT_RECORDS = int(small)  # type: ignore[attr-defined]
        if arguments == (point,):
            left -= 1
            if left == 0:
                _disturb(failure, path)

    sys.addaudithook(hear)


def _disturb(failure: str, path: str) -> None:
    match failure:
        case "sigkill" | "sigterm" | "sigint":
            os.kill(os.getpid(), _SIGNALS[failure])
            # In a thread of its own a merge would go on before the main thread hears of the signal.
            time.sleep(0.05)
        case "exception":
            raise RuntimeError("secret-marker-4711")
        case "disk_full":
            fill(path)
        case "folder_away":
            Path(path).rename(path + AWAY)
        case "read_only":
            remount(path, MS_RDONLY)
        case _:
            _ask(failure)


def fill(folder: str) -> None:
    """Take all that is left of the file system."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with open(f"{folder}/{FILLER}", "wb", buffering=0) as file:  # noqa: PTH123
        if free:
            os.posix_fallocate(file.fileno(), 0, free)
        file.seek(free)
        try:
            while True:
                file.write(b"x" * _PAGE)
        except OSError:
            return


def remount(folder: str, flags: int) -> None:
    """Make the file system at the folder read-only, or writable again.

    Raises:
        OSError: the kernel refuses, as it does while a file there is open for writing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(None, folder.encode(), None, MS_REMOUNT | flags, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), folder)


def _ask(failure: str) -> None:
    """Let whoever watches over the tests do it, and wait until it is done."""
    asks, hears = map(int, os.environ["CRASH_CHANNEL"].split(","))
    os.write(asks, json.dumps({"asked": failure}).encode() + b"\n")
    os.read(hears, 1)
