"""Objects on their way to a store: in which batches, and what of a failure becomes of them."""

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.errors import ObjectError, StoreUnreachableError
from lorchestra.model import BatchBounds, MergeCounts, StagedBatch
from lorchestra.stack_clients.event_client.batches import Batch, batches
from tests.test_event_client import Recorder, upsert

BOUNDS = BatchBounds(bytes=100, seconds=20.0, join=True)
entries = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.binary(min_size=1, max_size=120)), max_size=40)


class Gated(Recorder):
    """A store that begins with a batch, goes on when it is let, and says when it has `size` objects."""

    batch_bounds = BatchBounds(bytes=1_000_000, seconds=20.0, join=True)

    def __init__(self, size: int) -> None:
        self.size = size
        self.began, self.go_on, self.has_all = threading.Event(), threading.Event(), threading.Event()
        self.merged: list[StagedBatch] = []

    def merge(self, batch: StagedBatch) -> MergeCounts:
        self.began.set()
        assert self.go_on.wait(10)
        self.merged.append(batch)
        if sum(len(one.idem_keys) for one in self.merged) == self.size:
            self.has_all.set()
        return super().merge(batch)


def closed(found: list[tuple[str, bytes]], batch_size: int) -> list[Batch]:
    return list(batches(found, batch_size, BOUNDS, give_way=lambda: None))


@given(found=entries, batch_size=st.integers(1, 9))
def test_batches_hold_everything_in_order_and_keep_to_their_bounds(
    found: list[tuple[str, bytes]], batch_size: int
) -> None:
    """The last of equal keys is left; only an object that is too large for a batch exceeds its bytes."""
    rest = list(found)
    for batch in closed(found, batch_size):
        taken, rest = rest[: batch.records], rest[batch.records :]
        assert batch.payloads == dict(taken)
        assert batch.bytes == sum(len(text) for _, text in taken)
        assert 1 <= batch.records <= batch_size
        assert batch.records == 1 or batch.bytes <= 2 * BOUNDS.bytes
    assert rest == []


@given(found=entries, batch_size=st.integers(1, 9))
def test_joining_changes_no_count(found: list[tuple[str, bytes]], batch_size: int) -> None:
    """However many batches are joined, they come to what they would have come to one by one."""

    def merged(some: list[Batch]) -> tuple[dict[str, bytes], dict[str, int]]:
        there: dict[str, bytes] = {}
        counted = dict.fromkeys(("inserted", "updated", "unchanged", "records", "bytes"), 0)
        for batch in some:
            for key, text in batch.payloads.items():
                what = "unchanged" if there.get(key) == text else "updated" if key in there else "inserted"
                counted[what] += 1
            there |= batch.payloads
            for name in ("records", "bytes"):
                counted[name] += getattr(batch, name)
        return there, counted

    together: list[Batch] = []
    for batch in closed(found, batch_size):
        if not together or not together[-1].join(batch, most_bytes=BOUNDS.bytes):
            together.append(batch)
    assert all(batch.records <= batch_size or batch.bytes <= BOUNDS.bytes for batch in together)
    assert merged(together) == merged(closed(found, batch_size))


def test_small_batches_that_wait_are_merged_as_one() -> None:
    """A store that is slow to begin is begun with once for all that came meanwhile."""
    store = Gated(40)

    def objects() -> Iterator[dict[str, Any]]:
        for number in range(40):
            if number == 11:
                assert store.began.wait(10)
            yield {"id": f"{number:08x}"}
        store.go_on.set()

    result = upsert(store, objects(), batch_size=10)

    assert [len(batch.idem_keys) for batch in store.merged] == [10, 30]
    assert [batch.index for batch in store.merged] == [0, 1]
    assert (result.batches, result.records, result.inserted) == (4, 40, 40)


def test_what_waits_is_merged_as_soon_as_the_store_is_free() -> None:
    """A source that pauses keeps nothing from the store that was handed over before."""
    store = Gated(6)

    def objects() -> Iterator[Any]:
        for number in range(7):
            if number == 3:
                assert store.began.wait(10)
            if number == 6:
                store.go_on.set()
                assert store.has_all.wait(10)
            yield {"id": f"{number:08x}"}

    assert upsert(store, objects(), batch_size=2).inserted == 7


def test_what_waits_is_merged_before_an_error_is_raised() -> None:
    """Batches before a bad object are merged, those that had to wait too."""
    store = Gated(8)

    def objects() -> Iterator[Any]:
        for number in range(9):
            if number == 4:
                assert store.began.wait(10)
            yield {"id": f"{number:08x}"}
        store.go_on.set()
        yield "no object"

    with pytest.raises(ObjectError, match="number 10"):
        upsert(store, objects(), batch_size=2)
    assert store.has_all.is_set()
    assert sum(len(batch.idem_keys) for batch in store.merged) == 8


def test_after_a_failed_merge_nothing_more_is_handed_over() -> None:
    """Its error is raised, also where it was the last one."""
    merged: list[int] = []

    class Failing(Recorder):
        def merge(self, batch: StagedBatch) -> MergeCounts:
            merged.append(batch.index)
            if batch.index == 1:
                raise StoreUnreachableError("store: gone")
            return super().merge(batch)

    for number in (4, 9):
        merged.clear()
        with pytest.raises(StoreUnreachableError):
            upsert(Failing(), ({"id": f"{one:08x}"} for one in range(number)), batch_size=2)
        assert merged == [0, 1]


@pytest.mark.parametrize("number", [2, 4, 5])
def test_an_interrupt_waits_for_the_merge(number: int) -> None:
    """Wherever it hits the thread that collects, no merge is left running behind."""
    merged: list[int] = []

    class Slow(Recorder):
        def merge(self, batch: StagedBatch) -> MergeCounts:
            if batch.index == 0:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            threading.Event().wait(0.2)
            merged.append(batch.index)
            return super().merge(batch)

    with pytest.raises(KeyboardInterrupt):
        upsert(Slow(), ({"id": f"{one:08x}"} for one in range(number)), batch_size=2)
    assert merged[0] == 0
