"""The spool: extracted records wait here, on this host, until they are merged.

    {spool}/segments/{job}/{run_id}.{n}.jsonl   closed segments; `.part` while being written,
                                                `.unreadable` when something else wrote into one
    {spool}/rejects/{run_id}.jsonl              records that could not be stored, with reason and place

A segment is JSON Lines: a header `{"source_system", "object_type"}`, then `[idem_key, object]` a record. It
says all that a merge needs, so the next run can load what an earlier one left, whatever has changed since.
Files are readable by their owner only: they hold what the source holds.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import orjson

from lorchestra.errors import SpoolError
from lorchestra.model import BatchBounds
from lorchestra.private_files import make_private_folder, open_private

#: A segment is closed at so many records, or earlier at the bounds of the store's batches.
SEGMENT_RECORDS = 5000

_PART = ".part"
_UNREADABLE = ".unreadable"
_HEADER = ("source_system", "object_type")


class UnreadableError(ValueError):
    """A file in the spool that is not as it was written."""


class JobSpool:
    """The segments of one job. Only the process that holds the job's lock may use it."""

    def __init__(self, root: Path, job_name: str) -> None:
        self._folder = root / "segments" / job_name

    def segments(self) -> list[Path]:
        """Segments that wait to be merged, oldest first.

        What a killed run was still writing is among them, up to its last whole line.
        """
        if not self._folder.is_dir():
            return []
        with spool_errors(self._folder):
            for part in self._folder.glob(f"*{_PART}"):
                part.rename(part.with_suffix(""))
            found = [path for path in self._folder.glob("*.jsonl") if path.is_file()]
            return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def set_aside(self, segment: Path) -> Path:
        """Keep a segment that cannot be read whole where nobody reads it again; its new path.

        Raises:
            SpoolError: it cannot be renamed.
        """
        kept = segment.with_name(segment.name + _UNREADABLE)
        with spool_errors(self._folder):
            return segment.rename(kept)

    @property
    def waiting(self) -> int:
        """How many segments wait, or are being written. Any process may ask."""
        return sum(1 for _ in self._folder.glob("*.jsonl*")) if self._folder.is_dir() else 0

    def writer(
        self, run_id: str, *, source_system: str, object_type: str, bounds: BatchBounds
    ) -> "SegmentWriter":
        """A writer of this run's segments."""
        header = {"source_system": source_system, "object_type": object_type}
        return SegmentWriter(self._folder, run_id, header=header, bounds=bounds)


class SegmentWriter:
    """Writes records into one segment after another."""

    def __init__(self, folder: Path, run_id: str, *, header: dict[str, str], bounds: BatchBounds) -> None:
        self._bounds = bounds
        self._folder = folder
        self._run_id = run_id
        self._header = orjson.dumps(header) + b"\n"
        self._number = 0
        self._file: IO[bytes] | None = None
        self._records = 0
        self._bytes = 0
        self._closes_at = 0.0

    def append(self, idem_key: str, payload: bytes) -> None:
        """Add one record.

        Raises:
            SpoolError: the disk is full or the folder cannot be written.
        """
        with spool_errors(self._folder):
            if self._file is None:
                self._file = self._open()
            line = b"[" + orjson.dumps(idem_key) + b"," + payload + b"]\n"
            self._file.write(line)
        self._records += 1
        self._bytes += len(line)

    @property
    def full(self) -> bool:
        """Whether the open segment should be closed and merged."""
        return self._file is not None and (
            self._records >= SEGMENT_RECORDS
            or self._bytes >= self._bounds.bytes
            or time.monotonic() >= self._closes_at
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing was appended since the last segment was closed."""
        return self._file is None

    def close(self) -> Path | None:
        """Close the open segment and give its path; None when nothing was appended since the last time."""
        if self._file is None:
            return None
        part = Path(self._file.name)
        with spool_errors(self._folder):
            self._file.close()
            self._file = None
            closed = part.with_suffix("")
            part.rename(closed)
        return closed

    def _open(self) -> IO[bytes]:
        make_private_folder(self._folder)
        self._number += 1
        self._records = self._bytes = 0
        self._closes_at = time.monotonic() + self._bounds.seconds
        file = open_private(self._folder / f"{self._run_id}.{self._number:06d}.jsonl{_PART}", "wb")
        file.write(self._header)
        return file


def read_header(segment: Path) -> dict[str, str] | None:
    """The segment's header; None when the writer was killed before it was written.

    Raises:
        UnreadableError: it is none.
    """
    with segment.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return None
    try:
        header: dict[str, str] = orjson.loads(line)
        fits = all(header[name].strip() and ":" not in header[name] for name in _HEADER)
    except (ValueError, LookupError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise UnreadableError
    return header


def read_segment(segment: Path, damage: list[int] | None = None) -> Iterator[tuple[str, bytes]]:
    """Key and JSON text of each whole record, the bytes as they were appended.

    With `damage` given nothing is taken on trust: the numbers of lines that are no record are added to it,
    and the others go on. A last line without its end is no damage: its writer was killed.
    """
    with segment.open("rb") as file:
        file.readline()
        for number, line in enumerate(file, start=2):
            if damage is None:
                if not line.endswith(b"]\n"):
                    return
                yield _split(line)
            elif line.endswith(b"\n"):
                try:
                    yield _checked(line)
                except (ValueError, RecursionError):
                    damage.append(number)


def _checked(line: bytes) -> tuple[str, bytes]:
    if not line.startswith(b'["') or not line.endswith(b"}]\n"):
        raise UnreadableError
    key, payload = _split(line)
    try:
        valid = isinstance(orjson.loads(payload), dict)
    except orjson.JSONDecodeError:
        # Large numbers and deep nesting, it may be.
        valid = isinstance(json.loads(payload, parse_constant=_refused), dict)
    if not key or not valid:
        raise UnreadableError
    key.encode()
    return key, payload


def _refused(constant: str) -> None:
    raise UnreadableError(constant)


def _split(line: bytes) -> tuple[str, bytes]:
    # The key ends at the first quote after the one that opens it that is followed by ",{" and not escaped.
    end = line.find(b'",{', 2)
    if line[end - 1] != ord("\\"):
        return orjson.loads(line[1 : end + 1]), line[end + 2 : -2]
    # Only the key: what json makes of numbers and of deep nesting is no concern of a copy.
    key: str = json.JSONDecoder().raw_decode(line.decode(), 1)[0]
    return key, line[len(orjson.dumps(key)) + 2 : -2]


@contextmanager
def spool_errors(folder: Path) -> Iterator[None]:
    """What the operating system refuses, as a `SpoolError`."""
    try:
        yield
    except OSError as error:
        raise SpoolError(
            f"spool: cannot be written: {error.strerror or type(error).__name__}",
            place=str(folder),
            next_step="Free space there, or set path under [spool]; then run the job again.",
        ) from None
