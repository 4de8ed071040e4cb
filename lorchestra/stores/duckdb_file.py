"""A DuckDB file that several processes share: opened for moments, waited for while it is busy."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from lorchestra.errors import (
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnreachableError,
    StoreUnreadableError,
)
from lorchestra.stores.duckdb_engine import Attached, Engines
from lorchestra.stores.duckdb_held import HeldConnection
from lorchestra.stores.duckdb_interrupt import interrupted_by_signals
from lorchestra.stores.duckdb_rows import ROWS_PER_GROUP, WRITE_MEMORY_BYTES, WRITE_THREADS
from lorchestra.stores.file_queue import FileQueue

# Small blocks: a run of a few rows grows the file by 0.1 MB instead of 0.8 MB; bulk loads are as fast.
_BLOCK_SIZE = 16384
_SETTINGS_OF_WRITERS = f"""
-- A commit brings the file up to date at once.
SET wal_autocheckpoint = '1KB';
-- Compacting on its own, the engine would rewrite gigabytes at the end of a run of ten rows.
SET max_vacuum_tasks = 0;
SET threads = {WRITE_THREADS};
SET memory_limit = '{WRITE_MEMORY_BYTES}B';
"""
_HOLDER = re.compile(r"held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")
_LOCKED = "Could not set lock on file"
# A look at the queue costs nothing, a try to open the file 10 ms of work.
_LOOK_SECONDS = 0.01
_FIRST_TRY_SECONDS, _LAST_TRY_SECONDS = 0.01, 0.05
# What of an engine's message is told, and what it means.
_REASONS: dict[str, type[StoreError]] = {
    "No space left on device": StoreFullError,
    "Disk quota exceeded": StoreFullError,
    "File too large": StoreFullError,
    "Permission denied": StoreReadOnlyError,
    "Read-only file system": StoreReadOnlyError,
    "Operation not permitted": StoreReadOnlyError,
    "Is a directory": StoreUnreadableError,
    "not a valid DuckDB database file": StoreUnreadableError,
    "No such file or directory": StoreUnreachableError,
    "Input/output error": StoreUnreachableError,
}


class DuckDBFile:
    """The file, and the wait for it: DuckDB lets one process write, or several read, never both.

    Who finds it busy waits in a queue, so that nobody is overtaken again and again: not by others that write,
    and not by readers that come all the time.
    """

    def __init__(self, path: Path, *, busy_timeout_seconds: float) -> None:
        self.path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._queue = FileQueue(path)
        self._seen = False
        self._kept = threading.local()
        spilled = self._beside(".tmp")
        self._readers = Engines(path, options="READ_ONLY", spilled=spilled, settings="")
        self._writers = Engines(
            path,
            # The size of row groups can be chosen in no other way. Each thread fills some of its own.
            options=f"ROW_GROUP_SIZE {ROWS_PER_GROUP}",
            spilled=spilled,
            settings=f"{_SETTINGS_OF_WRITERS} SET preserve_insertion_order = false",
        )

    def close(self) -> None:
        """Let go of what is kept for the next time."""
        self._readers.close()
        self._writers.close()

    def exists(self) -> bool:
        """Whether there is anything at the path.

        Raises:
            StoreUnreachableError: a file that was there is gone. A disk that was unplugged must not become an
                empty store.
            StoreError: its folder may not be looked into.
        """
        try:
            there = self.path.exists()
        except OSError as error:
            raise self.failure("cannot be opened", error) from None
        if self._seen and not there:
            raise self._gone()
        self._seen = there
        return there

    def remove_half_made(self) -> None:
        """Remove what processes left that were killed while they waited for the file or made it."""
        if not self._queue.is_empty():
            self._queue.remove_dead()

    @contextmanager
    def open_for_reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, read-only; other readers may have it at the same time."""
        if (kept := self._kept_connection()) is not None:
            yield kept
            return
        with self._connection(read_only=True) as connection:
            yield connection

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Until it ends, this thread reads by one connection."""
        before = self._kept_connection()
        with self.open_for_reading() as connection:
            self._kept.connection = connection
            try:
                yield
            finally:
                self._kept.connection = before

    def _kept_connection(self) -> duckdb.DuckDBPyConnection | None:
        return getattr(self._kept, "connection", None)

    @contextmanager
    def open_for_writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, made when it is not there. Closing brings the file up to date (a checkpoint)."""
        held: HeldConnection | None = getattr(self._kept, "held", None)
        with self._opened() if held is None else held.use() as connection:
            yield connection

    @contextmanager
    def held(self) -> Iterator[Callable[[], None]]:
        """Until it ends, writes of this thread share a connection as long as nobody waits for the file.

        What it gives lets go of the file until the next write.
        """
        held = HeldConnection(
            self._opened, identity=self._identity, is_wanted=lambda: not self._queue.is_empty()
        )
        self._kept.held = held
        try:
            yield held.let_go
        finally:
            self._kept.held = None
            held.let_go()

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.exists():
            self._make()
        with self._connection(read_only=False) as connection:
            yield connection

    def _make(self) -> None:
        """An empty file, made beside its place and then linked into it.

        So a process that is killed here leaves nothing half made at the path, and of two that make it at the
        same time one gives way. The block size can only be chosen by whoever makes the file.
        """
        self.remove_half_made()
        try:
            with self._queue.place() as place:
                new = place.take()
                duckdb.connect(new, config={"default_block_size": str(_BLOCK_SIZE)}).close()
                # It will hold what the sources hold: mail is its owner's business.
                new.chmod(0o600)
                with suppress(FileExistsError):
                    self.path.hardlink_to(new)
        except (duckdb.Error, OSError) as error:
            raise self.failure("cannot be opened", error) from None

    @contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        opened = self._connect(read_only=read_only)
        is_sound = False
        try:
            self._keep_private(read_only=read_only)
            with interrupted_by_signals(opened.connection):
                # In what it takes for a shell, as `python -c`, DuckDB draws a bar on standard output.
                opened.connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
                yield opened.connection
            is_sound = True
        finally:
            opened.close(is_sound=is_sound)
            with suppress(OSError):
                self._beside(".tmp").rmdir()

    def _keep_private(self, *, read_only: bool) -> None:
        """What the engine writes beside the file holds the same data, and would get the rights of the umask.

        It takes what is there already: a log that is empty, and a folder for what does not fit into memory.
        """
        with suppress(OSError):
            self._beside(".tmp").mkdir(mode=0o700)
        if not read_only:
            with suppress(OSError):
                os.close(os.open(self._beside(".wal"), os.O_CREAT | os.O_WRONLY, 0o600))

    def _beside(self, suffix: str) -> Path:
        # Of a link, the engine takes the file that it leads to.
        path = self.path.resolve()
        return path.with_name(path.name + suffix)

    def _connect(self, *, read_only: bool) -> Attached:
        deadline = time.monotonic() + self._busy_timeout_seconds
        holder: re.Match[str] | None = None
        if self._queue.is_empty():
            opened, holder = self._try(read_only=read_only)
            if opened is not None:
                return opened
        next_try, pause = 0.0, _FIRST_TRY_SECONDS
        with self._queue.place() as place:
            while True:
                over = (now := time.monotonic()) >= deadline
                if over or (place.is_first() and now >= next_try):
                    opened, holder = self._try(read_only=read_only)
                    if opened is not None:
                        return opened
                    next_try, pause = now + pause, min(pause * 2, _LAST_TRY_SECONDS)
                if over:
                    raise self._busy(holder)
                time.sleep(max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic())))

    def _try(self, *, read_only: bool) -> tuple[Attached, None] | tuple[None, re.Match[str] | None]:
        """The file, open; or none while it is busy, and who has it."""
        before = self._identity()
        try:
            opened = self._readers.attached() if read_only else self._writer()
            if not read_only and self._identity() != before and not _has_tables(opened.connection):
                # It went at this very moment, and opening made a new one, empty.
                self.path.unlink()
                opened.close(is_sound=False)
                raise self._gone()
            return opened, None
        except (duckdb.IOException, duckdb.ConnectionException, duckdb.ResourceInUseException) as error:
            # The last two: this very process has the file open in another way.
            if isinstance(error, duckdb.IOException) and _LOCKED not in str(error):
                raise self.failure("cannot be opened", error) from None
            return None, _HOLDER.search(str(error))
        except (duckdb.Error, OSError) as error:
            raise self.failure("cannot be opened", error) from None

    def _writer(self) -> Attached:
        try:
            return self._writers.attached()
        except duckdb.ResourceInUseException:
            # Who has it open in this very process, in a notebook, say, shares it.
            shared = duckdb.connect(self.path)
            shared.execute(_SETTINGS_OF_WRITERS)
            return Attached(shared)

    def _identity(self) -> tuple[int, int] | None:
        """Which file it is, while it may be moved and others put into its place."""
        if not self.exists():
            return None
        with suppress(FileNotFoundError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def _gone(self) -> StoreUnreachableError:
        return StoreUnreachableError(
            "store: the file is gone; it was there a moment ago",
            place=str(self.path),
            next_step="Bring it back: mount its disk again, or move it to its place.",
        )

    def _busy(self, holder: re.Match[str] | None) -> StoreBusyError:
        who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "this very process"
        return StoreBusyError(
            f"store: the file is in use by {who}; waited {self._busy_timeout_seconds:g} s",
            place=str(self.path),
            next_step="Close that program, or raise busy_timeout_seconds under [store], and run again.",
        )

    def failure(self, what: str, error: Exception) -> StoreError:
        """What the engine or the operating system refused, by its reason."""
        kind = _REASONS.get(_reason(error) or "", StoreUnreachableError)
        return kind(f"store: {what}: {type(error).__name__}{cause(error)}", place=str(self.path))


def _has_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall() != []


def cause(error: Exception) -> str:
    """The operating system's reason inside an engine's message: ` (No space left on device)`, or nothing.

    The rest of such a message may quote the data that the engine choked on.
    """
    reason = _reason(error)
    return f" ({reason})" if reason else ""


def _reason(error: Exception) -> str | None:
    return next((reason for reason in _REASONS if reason in str(error)), None)


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
