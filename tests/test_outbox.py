"""The outbox: what is put into it reaches the store, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorchestra.errors import SpoolError, StoreUnreachableError
from lorchestra.history import run_events
from lorchestra.model import Event
from lorchestra.outbox import Outbox
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores import Store

RUN_ID = "job-20251124143000"


def event(number: int = 0, **more: Any) -> Event:
    values = {
        "event_type": "job.failed",
        "source_system": "lorchestra",
        "correlation_id": RUN_ID,
        "status": "failed",
        "error_message": "Ünverhofft\u2028kommt oft.",
        "trace_id": "t",
        "payload": {"number": number, "nested": {"a": [1, {}]}},
    }
    return make_event(**{**values, **more})


def numbers(store: Store) -> list[int]:
    return [row["payload"]["number"] for row in run_events(store, RUN_ID)]


def test_events_arrive_as_they_were_put_and_once(tmp_path: Path, duckdb_store: Store) -> None:
    outbox = Outbox(tmp_path / "spool")
    put = [event(number) for number in range(3)]
    for each in put:
        outbox.put(each, store=duckdb_store.address)
    before_delivery = outbox.path.read_bytes()

    assert outbox
    assert outbox.deliver(duckdb_store) == 3
    assert not outbox
    assert outbox.deliver(duckdb_store) == 0
    # A crash between the store's commit and the removal of the file: everything is delivered again.
    outbox.path.write_bytes(before_delivery)
    assert outbox.deliver(duckdb_store) == 3

    rows = run_events(duckdb_store, RUN_ID)
    assert [row["event_id"] for row in rows] == [each.event_id for each in put]
    for row, each in zip(rows, put, strict=True):
        assert row["created_at"] == each.created_at
        assert (row["error_message"], row["trace_id"]) == (each.error_message, each.trace_id)
        assert row["payload"] == each.payload


def test_a_torn_line_costs_only_itself(tmp_path: Path, duckdb_store: Store) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(event(1), store=duckdb_store.address)
    whole = outbox.path.read_bytes()
    # Every place at which a crash may have torn the second line.
    for end in range(1, len(whole) - 1):
        outbox.path.write_bytes(whole + whole[:end])
        outbox.put(event(2), store=duckdb_store.address)
        assert len(outbox._lines()) == 3
    assert outbox.deliver(duckdb_store) == 2
    assert numbers(duckdb_store) == [1, 2]
    assert not outbox

    outbox.path.write_bytes(whole[: whole.index(b"}}")] + b"}")
    assert outbox.deliver(duckdb_store) == 0
    assert not outbox


def test_what_cannot_be_delivered_stays(tmp_path: Path, open_file: Callable[..., Store]) -> None:
    outbox = Outbox(tmp_path / "spool")
    store = open_file("no/such/folder/x.duckdb")
    outbox.put(event(1), store=store.address)

    with pytest.raises(StoreUnreachableError):
        outbox.deliver(store)

    assert outbox
    assert outbox.path.stat().st_mode & 0o777 == 0o600
    assert outbox.path.parent.stat().st_mode & 0o777 == 0o700


def test_an_event_goes_to_the_store_that_it_is_of(tmp_path: Path, open_file: Callable[..., Store]) -> None:
    outbox = Outbox(tmp_path / "spool")
    stores = [open_file("a.duckdb"), open_file("b.duckdb"), open_file("a.duckdb", dataset="other")]
    for number in range(6):
        outbox.put(event(number), store=stores[number % 3].address)

    for index, store in enumerate(stores):
        assert outbox
        assert outbox.deliver(store) == 2
        assert numbers(store) == [index, index + 3]
    assert not outbox


@pytest.mark.parametrize(
    "garbage", [b"\0\0\0", b"[]", b"7", b'{"store": 7}', b'{"event": {"event_id": 7}}', b"\xff"]
)
def test_garbage_costs_only_itself(tmp_path: Path, duckdb_store: Store, garbage: bytes) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(event(1), store=duckdb_store.address)
    outbox.path.write_bytes(garbage + b"\n" + outbox.path.read_bytes())

    assert outbox.deliver(duckdb_store) == 1
    assert not outbox


def test_an_event_put_during_a_delivery_is_not_lost(tmp_path: Path, duckdb_store: Store) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(event(1), store=duckdb_store.address)

    class PutsMeanwhile:
        """A store during whose work another command puts an event."""

        address = duckdb_store.address

        def append_events(self, events: list[Event]) -> None:
            Outbox(tmp_path).put(event(2), store=self.address)
            duckdb_store.append_events(events)

    assert outbox.deliver(PutsMeanwhile()) == 1  # type: ignore[arg-type]
    assert outbox.deliver(duckdb_store) == 1
    assert numbers(duckdb_store) == [1, 2]


def test_an_outbox_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SpoolError, match=r"^spool: cannot be written: "):
        Outbox(tmp_path / "spool").put(event(), store="duckdb:///x")
