"""Files in the spool that something else wrote into: nobody is stopped by them, and the rest is not lost."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lorchestra.errors import ObjectError
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import BatchBounds, Event
from lorchestra.outbox import Outbox
from lorchestra.rejects import RejectFile, note_resolved, open_rejects, rejects_path
from lorchestra.run_lock import RunMarker
from lorchestra.spool import JobSpool, UnreadableError, read_header, read_segment
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stack_clients.event_client.objects import idem_key, serialised
from lorchestra.stores import open_store

_HEADER = {"source_system": "acme", "object_type": "page"}
_BOUNDS = BatchBounds(bytes=16 * 1024 * 1024, seconds=20.0)
_STORE = open_store("duckdb:///never-opened.duckdb")
_RUN = "job-20251124143000"


def segment(data: bytes) -> None:
    """Good records before and after garbage come back; each line of the garbage is named or a record."""
    with TemporaryDirectory() as folder:
        spool = JobSpool(Path(folder), "job")
        writer = spool.writer(_RUN, bounds=_BOUNDS, **_HEADER)
        writer.append("first", b'{"a":1}')
        closed = writer.close()
        assert closed is not None
        text = closed.read_bytes()
        closed.write_bytes(text + data + b'\n["last",{"b":2}]\n')
        damage: list[int] = []
        [found] = spool.segments()
        assert read_header(found) == _HEADER
        entries = list(read_segment(found, damage))
        assert entries[0] == ("first", b'{"a":1}')
        assert entries[-1] == ("last", b'{"b":2}')
        assert len(entries) + len(damage) == 3 + data.count(b"\n")
        for key, payload in entries:
            key.encode()
            assert isinstance(json.loads(payload), dict)
        found.write_bytes(data)
        try:
            header = read_header(found)
        except UnreadableError:
            return
        assert header is None or set(_HEADER) <= set(header)


class _Kept:
    """What a store is given."""

    address = "store"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append_events(self, events: list[Event]) -> None:
        for event in events:
            make_event(
                event_type=event.event_type,
                source_system=event.source_system,
                correlation_id=event.correlation_id,
                trace_id=event.trace_id,
                object_type=event.object_type,
                status=event.status,
                error_message=event.error_message,
                idem_key=event.idem_key,
                payload=event.payload,
            )
        self.events += events


def outbox(data: bytes) -> None:
    """Events beside garbage are delivered, once; the garbage is kept where nobody reads it."""
    event = make_event(event_type="job.failed", source_system="x", correlation_id=_RUN, payload={"a": 2**63})
    with TemporaryDirectory() as folder:
        box = Outbox(Path(folder))
        box.path.write_bytes(data + b"\n")
        box.put(event, store=_Kept.address)
        assert _RUN in {one.event.correlation_id for one in box.waiting()}
        kept = _Kept()
        box.deliver(kept)  # type: ignore[arg-type]
        assert kept.events.count(event) == 1
        elsewhere = box.waiting()
        assert all(one.store != _Kept.address for one in elsewhere)
        assert bool(box) == bool(elsewhere)
        lines = {line for line in data.splitlines() if line}
        aside = set(box.unreadable.read_bytes().splitlines()) if box.unreadable.exists() else set()
        assert aside <= lines
        assert len(lines) <= len(aside) + len(kept.events) + len(elsewhere)


def marker(data: bytes) -> None:
    """A marker tells who runs a job, or nothing."""
    with TemporaryDirectory() as folder:
        found = RunMarker(Path(folder), "job")
        found.path.parent.mkdir()
        found.path.write_bytes(data)
        content = found.read()
        if content is not None:
            found.checkpoint({"source_system": "a", "object_type": "b", "cursor": {"n": 1}})
            again = found.read()
            assert again is not None
            assert again["run_id"] == content["run_id"]


def rejects(data: bytes) -> None:
    """A reject beside garbage is found and noted as resolved; the garbage stays as it is."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        path = rejects_path(root, _RUN)
        path.parent.mkdir()
        path.write_bytes(data + b"\n")
        RejectFile(root, _RUN).add(reason="invalid", position="here", record={"a": 1})
        assert "here" in {one.position for one in open_rejects(root, _RUN)}
        note_resolved(root, _RUN, ["here"], by="another")
        assert "here" not in {one.position for one in open_rejects(root, _RUN)}
        kept = path.read_bytes().split(b"\n")
        for line in data.split(b"\n"):
            assert not line or line in kept or b'"here"' in line or b"\\u" in line


def objects(data: bytes) -> None:
    """An object comes back from the spool as it was given, or is a reject."""
    obj = Builder(data).value(0)
    record: Any = obj if isinstance(obj, dict) else {"id": "1", "value": obj}
    with TemporaryDirectory() as folder:
        try:
            key = idem_key(record, gmail_idem_key("acme"))
            payload = serialised(record, store=_STORE)
        except ObjectError as error:
            RejectFile(Path(folder), _RUN).add(reason=error.code, position="x", record=record)
            [line] = rejects_path(Path(folder), _RUN).read_bytes().splitlines()
            assert json.loads(line)["position"] == "x"
            return
        assert json.loads(payload) == json.loads(json.dumps(record))
        assert serialised(json.loads(payload), store=_STORE) == payload
        spool = JobSpool(Path(folder), "job")
        writer = spool.writer(_RUN, bounds=_BOUNDS, **_HEADER)
        writer.append(key, payload)
        writer.close()
        damage: list[int] = []
        [found] = spool.segments()
        assert list(read_segment(found, damage)) == [(key, payload)]
        assert not damage


class Builder:
    """Any value out of bytes: JSON and what is none, nested as deep as the bytes say."""

    _SCALARS: tuple[Callable[["Builder"], Any], ...] = (
        lambda _: None,
        lambda _: True,
        lambda self: self.byte() - 128,
        lambda self: int.from_bytes(self.bytes(), "big", signed=True),
        lambda self: 2 ** (self.byte() * 80),
        lambda self: self.text(),
        lambda self: self.text().encode("utf-16-be", "surrogatepass").decode("utf-8", "surrogateescape"),
        lambda self: float(self.byte()) / 7,
        lambda _: float("nan"),
        lambda _: float("inf"),
        lambda _: -0.0,
        lambda self: self.bytes(),
        lambda _: {1, 2},
        lambda _: (1, "null"),
        lambda _: object(),
    )

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def bytes(self) -> bytes:
        length = self.byte()
        self._at += length
        return self._data[self._at - length : self._at]

    def text(self) -> str:
        return self.bytes().decode("utf-8", "surrogateescape")

    def value(self, depth: int) -> Any:
        kind = self.byte()
        if depth > 40:
            return self._SCALARS[kind % len(self._SCALARS)](self)
        if kind < 90:
            return self._SCALARS[kind % len(self._SCALARS)](self)
        if kind < 150:
            return {self._name(): self.value(depth + 1) for _ in range(self.byte() % 5)}
        if kind < 200:
            return {
                "id": self.value(depth + 1),
                **{self._name(): self.value(depth + 1) for _ in range(kind % 4)},
            }
        if kind < 210:
            deep = self.value(depth + 1)
            for _ in range(self.byte() * 4):
                deep = [deep] if kind % 2 else {"k": deep}
            return deep
        return [self.value(depth + 1) for _ in range(self.byte() % 5)]

    def _name(self) -> Any:
        kind = self.byte()
        return self.text() if kind < 240 else (kind, None, kind / 2)[kind % 3]


def event_payload(data: bytes) -> None:
    """What an event may carry can also wait in the outbox."""
    payload = Builder(data).value(0)
    try:
        event = make_event(event_type="job.failed", source_system="x", correlation_id=_RUN, payload=payload)
    except ValueError:
        return
    with TemporaryDirectory() as folder:
        box = Outbox(Path(folder))
        box.put(event, store=_Kept.address)
        kept = _Kept()
        assert box.deliver(kept) == 1  # type: ignore[arg-type]
        assert json.dumps(kept.events[0].payload) == json.dumps(payload)
