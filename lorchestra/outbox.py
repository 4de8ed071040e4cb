"""The outbox: events that could not be written to the store wait here, on this host, for the next command."""

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from lorchestra.json_values import check_json
from lorchestra.model import Event, EventStatus
from lorchestra.private_files import make_private_folder, open_private, replace_file
from lorchestra.spool import spool_errors
from lorchestra.stores.base import Store, address_of

_LOCK_SECONDS = 10.0
_FIELDS = tuple(field.name for field in fields(Event))
_TEXTS = ("event_id", "event_type", "source_system", "correlation_id")
_OPTIONAL_TEXTS = ("object_type", "idem_key", "trace_id", "error_message")


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingEvent:
    """An event, and the address of the store that it waits for."""

    store: str
    event: Event


class Outbox:
    """`outbox.jsonl` in the spool: `{"store", "event"}` a line, in the order in which they were put.

    Events keep their event_id, so delivering one twice adds it once, and wait for the store that they are of.

    A line that is no event, because a crash tore it or somebody else wrote it, is kept in
    `outbox.unreadable.jsonl` and stops nobody.
    """

    def __init__(self, spool: Path) -> None:
        self.path = spool / "outbox.jsonl"
        self.unreadable = spool / "outbox.unreadable.jsonl"

    def __bool__(self) -> bool:
        """Whether anything waits."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def waiting(self) -> list["WaitingEvent"]:
        """The events that wait, whatever their store, oldest first.

        Raises:
            SpoolError: the outbox cannot be read.
        """
        with spool_errors(self.path.parent):
            lines = self._lines()
        return [one for one in map(_waiting, lines) if one is not None]

    def put(self, event: Event, *, store: str) -> None:
        """Keep one event for the store of this address; when the call returns, it has reached the disk.

        Raises:
            SpoolError: not even this file can be written.
        """
        row = {name: getattr(event, name) for name in _FIELDS}
        row["created_at"] = event.created_at.isoformat()
        row["payload"] = None if event.payload is None else dict(event.payload)
        line = json.dumps({"store": store, "event": row}, allow_nan=False).encode() + b"\n"
        with spool_errors(self.path.parent):
            make_private_folder(self.path.parent)
            with self._lock(), open_private(self.path, "ab") as file:
                size = file.tell()
                # A line that a crash tore must not take this one with it.
                if not _ends_a_line(self.path):
                    line = b"\n" + line
                try:
                    if os.write(file.fileno(), line) < len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(file.fileno())
                except OSError:
                    self._cut(size)
                    raise

    def _cut(self, size: int) -> None:
        """Take back what a full disk took in part."""
        with suppress(OSError):
            os.truncate(self.path, size)
            if size == 0:
                self.path.unlink()

    def deliver(self, store: Store) -> int:
        """Append what waits for this store to it, and say how many events that were.

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
        read = [(line, _waiting(line)) for line in lines]
        events = [one.event for _, one in read if one is not None and one.store == address_of(store)]
        if events:
            store.append_events(events)
        unreadable = [line for line, one in read if one is None and line]
        done = {line for line, one in read if one is None or one.store == address_of(store)}
        if done:
            with spool_errors(self.path.parent), self._lock():
                self._set_aside(unreadable)
                self._keep_all_but(done)
        return len(events)

    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines() if self.path.exists() else []

    def _set_aside(self, lines: list[bytes]) -> None:
        if lines:
            with open_private(self.unreadable, "ab") as file:
                file.writelines(line + b"\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())

    def _keep_all_but(self, delivered: set[bytes]) -> None:
        kept = [line for line in self._lines() if line not in delivered]
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        replace_file(self.path, (line + b"\n" for line in kept))

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_SECONDS)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
        return file.read(1) in (b"\n", b"")


def _waiting(line: bytes) -> WaitingEvent | None:
    """The event in a line; None where there is none that a store could take."""
    try:
        content = json.loads(line)
        row = content["event"]
        row["created_at"] = datetime.fromisoformat(row["created_at"]).astimezone(UTC)
        row["status"] = EventStatus(row["status"])
        smallest, largest = check_json(row["payload"])
        json.dumps(row["payload"], allow_nan=False, ensure_ascii=False).encode()
        event = Event(**row)
        texts = [getattr(event, name) for name in _TEXTS]
        texts += [text for name in _OPTIONAL_TEXTS if (text := getattr(event, name)) is not None]
        fits = all(text.strip() and text.encode() for text in texts)
        fits &= isinstance(content["store"], str)
        fits &= -(2**63) <= smallest <= largest < 2**64 and isinstance(event.payload, dict | None)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return WaitingEvent(store=content["store"], event=event) if fits else None
