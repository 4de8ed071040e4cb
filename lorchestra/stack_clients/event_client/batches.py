"""Objects on their way to the store, collected into batches: of equal keys in one batch the last is left."""

import time
from collections.abc import Callable, Iterable, Iterator

from lorchestra.model import BatchBounds

# A millisecond or two of work.
_IN_A_ROW_BYTES = 256 * 1024


class Batch:
    """Keys and JSON texts; or several batches of different keys, joined, which come to the same."""

    def __init__(self, index: int) -> None:
        #: Its number in the run, or that of the first of those that were joined.
        self.index = index
        self.payloads: dict[str, bytes] = {}
        #: Of all that were added, those that were replaced included.
        self.records = self.bytes = 0

    def join(self, later: "Batch", *, most_bytes: int) -> bool:
        """Take in the batch after this one, unless it is too much.

        Nor where they have a key in common: that would be counted differently.
        """
        if self.bytes + later.bytes > most_bytes or not self.payloads.keys().isdisjoint(later.payloads):
            return False
        self.payloads |= later.payloads
        self.records += later.records
        self.bytes += later.bytes
        return True


def batches(
    entries: Iterable[tuple[str, bytes]],
    batch_size: int,
    bounds: BatchBounds,
    *,
    first_index: int = 0,
    give_way: Callable[[], None],
) -> Iterator[Batch]:
    """Batches of `batch_size` objects, closed earlier at the bounds; a very large object stands alone.

    `give_way` is called every now and then, while objects follow each other without a pause.
    """
    batch = Batch(first_index)
    closes_at = time.monotonic() + bounds.seconds
    in_a_row = 0
    for key, text in entries:
        size = len(text)
        if batch.records and batch.bytes + size > 2 * bounds.bytes:
            yield batch
            batch = Batch(batch.index + 1)
            closes_at = time.monotonic() + bounds.seconds
        batch.payloads[key] = text
        batch.records += 1
        batch.bytes += size
        in_a_row += size
        if in_a_row >= _IN_A_ROW_BYTES:
            in_a_row = 0
            give_way()
        if batch.records >= batch_size or batch.bytes >= bounds.bytes or time.monotonic() >= closes_at:
            yield batch
            batch = Batch(batch.index + 1)
            closes_at = time.monotonic() + bounds.seconds
    if batch.records:
        yield batch
