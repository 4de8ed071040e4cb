"""The outbox: events that could not be written to the store wait here, on this host, for the next command."""

import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import orjson
from filelock import FileLock

from lorchestra.model import Event, EventStatus
from lorchestra.spool import make_private_folder, open_private, spool_errors
from lorchestra.stores.base import Store

_LOCK_SECONDS = 10.0


class Outbox:
    """`outbox.jsonl` in the spool. Events keep their event_id, so delivering one twice adds it once."""

    def __init__(self, spool: Path) -> None:
        self.path = spool / "outbox.jsonl"

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self.path.exists() and self.path.stat().st_size > 0

    def run_ids(self) -> set[str]:
        """The runs that events wait of.

        Raises:
            SpoolError: the outbox cannot be read.
        """
        with spool_errors(self.path.parent):
            lines = self._lines()
        return {event.correlation_id for event in map(_event, lines) if event is not None}

    def put(self, event: Event) -> None:
        """Keep one event; when the call returns, it has reached the disk.

        Raises:
            SpoolError: not even this file can be written.
        """
        line = orjson.dumps(asdict(event)) + b"\n"
        with spool_errors(self.path.parent):
            make_private_folder(self.path.parent)
            with self._lock(), open_private(self.path, "ab") as file:
                # A line that a crash or a full disk tore must not take this one with it.
                if not _ends_a_line(self.path):
                    line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    def deliver(self, store: Store) -> int:
        """Append what waits to the store, and say how many events that were.

        Raises:
            StoreError: the store cannot be reached; everything stays in the outbox.
            SpoolError: the outbox cannot be read or written; everything stays in it.
        """
        if not self:
            return 0
        # Not under the lock: whoever puts an event must not wait for a busy store. Two commands may deliver
        # the same events; the store takes each once.
        with spool_errors(self.path.parent), self._lock():
            lines = self._lines()
        events = [event for event in map(_event, lines) if event is not None]
        store.append_events(events)
        with spool_errors(self.path.parent), self._lock():
            self._keep_all_but(set(lines))
        return len(events)

    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines() if self.path.exists() else []

    def _keep_all_but(self, delivered: set[bytes]) -> None:
        kept = [line for line in self._lines() if line not in delivered]
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        new = self.path.with_suffix(".new")
        with open_private(new, "wb") as file:
            file.writelines(line + b"\n" for line in kept)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_SECONDS)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
        return file.read(1) in (b"\n", b"")


def _event(line: bytes) -> Event | None:
    """The event in a line; None where the line was torn while it was written: what it said was never kept."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    row["created_at"] = datetime.fromisoformat(row["created_at"])
    row["status"] = EventStatus(row["status"])
    return Event(**row)
