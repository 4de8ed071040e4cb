"""A DuckDB file that several processes share: opened for moments, waited for while it is busy."""

import random
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from lorchestra.errors import StoreBusyError, StoreUnavailableError

# Small blocks: a run of a few rows grows the file by 0.1 MB instead of 0.8 MB; bulk loads are as fast.
_BLOCK_SIZE = 16384
_HOLDER = re.compile(r"held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")
_INTERRUPTED = "Query interrupted"
_LOCKED = "Could not set lock on file"
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.5
_REASONS = (
    "No space left on device",
    "File too large",
    "Input/output error",
    "Disk quota exceeded",
    "Permission denied",
    "Read-only file system",
    "No such file or directory",
    "Is a directory",
    "not a valid DuckDB database file",
)


class DuckDBFile:
    """The file, and the wait for it: DuckDB lets one process write, or several read, never both."""

    def __init__(self, path: Path, *, busy_timeout_seconds: float) -> None:
        self.path = path
        self._busy_timeout_seconds = busy_timeout_seconds

    def exists(self) -> bool:
        """Whether there is anything at the path.

        Raises:
            StoreUnavailableError: its folder may not be looked into.
        """
        try:
            return self.path.exists()
        except OSError as error:
            raise self._unavailable(error) from None

    @contextmanager
    def open_for_reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, read-only; other readers may have it at the same time."""
        with self._connection(read_only=True) as connection:
            yield connection

    @contextmanager
    def open_for_writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, made when it is not there. Closing brings the file up to date (a checkpoint)."""
        if not self.exists():
            self._make()
        with self._connection(read_only=False) as connection:
            yield connection

    def _make(self) -> None:
        """An empty file, made beside its place and then linked into it.

        So a process that is killed here leaves nothing half made at the path, and of two that make it at the
        same time one gives way. The block size can only be chosen by whoever makes the file.
        """
        new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            duckdb.connect(new, config={"default_block_size": str(_BLOCK_SIZE)}).close()
            # It will hold what the sources hold: mail is its owner's business.
            new.chmod(0o600)
            with suppress(FileExistsError):
                self.path.hardlink_to(new)
        except (duckdb.Error, OSError) as error:
            raise self._unavailable(error) from None
        finally:
            with suppress(OSError):
                new.unlink()

    @contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect(read_only=read_only)
        try:
            with _signals_as_they_are():
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
        finally:
            connection.close()

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self._busy_timeout_seconds
        wait = _FIRST_WAIT
        while True:
            try:
                return duckdb.connect(self.path, read_only=read_only)
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                # This very process may have the file open in the other mode: a ConnectionException.
                if isinstance(error, duckdb.IOException) and _LOCKED not in str(error):
                    raise self._unavailable(error) from None
                if time.monotonic() >= deadline:
                    raise self._busy(_HOLDER.search(str(error))) from None
            except (duckdb.Error, OSError) as error:
                raise self._unavailable(error) from None
            jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads waiting processes, hides nothing
            time.sleep(min(wait * jitter, max(0.0, deadline - time.monotonic())))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _busy(self, holder: re.Match[str] | None) -> StoreBusyError:
        who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "this very process"
        return StoreBusyError(
            f"store: the file is in use by {who}; waited {self._busy_timeout_seconds:g} s",
            place=str(self.path),
            next_step="Close that program, or raise busy_timeout_seconds under [store], and run again.",
        )

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"store: cannot be opened: {type(error).__name__}{cause(error)}",
            place=str(self.path),
            next_step="Check that its folder exists and is writable, and that it is a DuckDB file.",
        )


@contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """A signal that arrives during a query comes out of the engine as a RuntimeError of its own."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _INTERRUPTED:
            raise
        raise KeyboardInterrupt from error


def cause(error: Exception) -> str:
    """The operating system's reason inside an engine's message: ` (No space left on device)`, or nothing.

    The rest of such a message may quote the data that the engine choked on.
    """
    return next((f" ({reason})" for reason in _REASONS if reason in str(error)), "")


def first_line(error: Exception) -> str:
    """The engine's message without the lines that point into the statement."""
    return str(error).split("\n", 1)[0]


def is_conflict(error: Exception) -> bool:
    """Whether two threads of one process wrote the same rows; the later one gives way."""
    return isinstance(error, duckdb.TransactionException) and "conflict" in str(error).lower()


def is_utf8(path: str) -> bool:
    """Whether the engine, which takes UTF-8 only, can be told this path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
