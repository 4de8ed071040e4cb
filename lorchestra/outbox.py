"""The outbox: events that could not be written to the store wait here, on this host, for the next command."""

import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import orjson
from filelock import FileLock

from lorchestra.model import Event, EventStatus
from lorchestra.stores.base import Store

_LOCK_SECONDS = 10.0


class Outbox:
    """`outbox.jsonl` in the spool. Events keep their event_id, so delivering one twice adds it once."""

    def __init__(self, spool: Path) -> None:
        self.path = spool / "outbox.jsonl"

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self.path.exists() and self.path.stat().st_size > 0

    def put(self, event: Event) -> None:
        """Keep one event; when the call returns, it has reached the disk.

        Raises:
            OSError: not even this file can be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock(), self.path.open("ab") as file:
            file.write(orjson.dumps(asdict(event)) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def deliver(self, store: Store) -> int:
        """Append what waits to the store, and say how many events that were.

        Raises:
            StoreError: the store cannot be reached; everything stays in the outbox.
        """
        if not self:
            return 0
        with self._lock():
            # A line torn by a crash while it was written is no event.
            events = [_event(line) for line in self.path.read_bytes().splitlines() if line.endswith(b"}")]
            store.append_events(events)
            self.path.unlink()
        return len(events)

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_SECONDS)


def _event(line: bytes) -> Event:
    row = orjson.loads(line)
    row["created_at"] = datetime.fromisoformat(row["created_at"])
    row["status"] = EventStatus(row["status"])
    return Event(**row)
