"""A queue before a busy file: first come, first served, among processes of one host.

    .NAME.queue/{when}.{random}       the place of one that waits, locked while its process lives
    .NAME.queue/{when}.{random}.new   what it is making, if anything

The folder is there only while somebody waits. It is a courtesy: where none can be kept, everyone is first.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SCRATCH = ".new"
# One that waits shows itself at every look. One that was stopped must not keep the others waiting.
_SILENT_SECONDS = 2.0
_TRIES = 10


class FileQueue:
    """Those who wait for one file."""

    def __init__(self, file: Path) -> None:
        self._folder = file.with_name(f".{file.name}.queue")

    def is_empty(self) -> bool:
        """Whether nobody waits."""
        try:
            return not self._folder.is_dir()
        except OSError:
            return True

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """A place at the end of the queue, until it is left."""
        place = Place(self._folder)
        try:
            yield place
        finally:
            place.leave()

    def remove_dead(self) -> None:
        """Remove the places of processes that died, and what they were making."""
        with suppress(OSError):
            for place in _places(self._folder):
                _is_taken(place)
            self._folder.rmdir()


class Place:
    """One place in a queue. It belongs to this process alone, and goes when the process dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{time.time_ns():020d}.{secrets.token_hex(4)}"
        self._file: int | None = None

    def is_first(self) -> bool:
        """Whether nobody who lives came earlier; and a sign that this one lives."""
        try:
            self.take()
            earlier = [place for place in _places(self._path.parent) if place.name < self._path.name]
            return not any(_is_taken(place) for place in earlier)
        except OSError:
            return True

    def take(self) -> Path:
        """Be in the queue; the path of a file that this place may make beside it.

        Raises:
            OSError: no folder can be made here.
        """
        for _ in range(_TRIES):
            if self._file is not None and self._path.exists():
                break
            self._let_go()
            # Whoever leaves may remove the folder at this moment, and whoever looks a place without a lock.
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
                with suppress(OSError):
                    fcntl.flock(self._file, fcntl.LOCK_SH)
        if self._file is not None:
            os.utime(self._file)
        return self._path.with_name(self._path.name + _SCRATCH)

    def leave(self) -> None:
        """Give up the place; the last to leave removes the folder."""
        if self._file is not None:
            with suppress(OSError):
                _remove(self._path)
            self._let_go()
            with suppress(OSError):
                self._path.parent.rmdir()

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _places(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.count(".") == 1)


def _is_taken(place: Path) -> bool:
    """Whether the process that has the place lives and looks; the place of a dead one is removed."""
    try:
        with place.open("rb") as file:
            silent = abs(time.time() - os.fstat(file.fileno()).st_mtime) > _SILENT_SECONDS
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return not silent
            _remove(place)
    except FileNotFoundError:
        pass
    return False


def _remove(place: Path) -> None:
    """Remove what was being made first: as long as the place is there, it can be found."""
    for path in (*place.parent.glob(f"{place.name}{_SCRATCH}*"), place):
        path.unlink(missing_ok=True)
