"""One object that a store refuses must not keep out the others of its batch."""

from collections import Counter
from collections.abc import Callable, Iterable

from lorchestra.errors import ObjectRefusedError
from lorchestra.model import MergeCounts, StagedBatch
from lorchestra.stores.base import Store

# A store that takes nothing at all has another trouble than its objects.
_IN_A_ROW_MAX = 20


class AllButRefused:
    """Merges batches, and hands over key and JSON of each object that the store refuses."""

    def __init__(self, store: Store, refused: Callable[[str, bytes], None]) -> None:
        self._store = store
        self._refused = refused
        self._in_a_row = 0

    def merge(self, batch: StagedBatch) -> MergeCounts:
        """Merge a batch; where the store refuses it for an object, find that one by halving.

        Raises:
            ObjectRefusedError: it refuses one object after the other.
            StoreError: the merge failed. Parts of the batch may be merged.
        """
        try:
            counts = self._store.merge(batch)
        except ObjectRefusedError:
            if len(batch.idem_keys) > 1:
                return _sum(self.merge(half) for half in batch.halves())
            self._in_a_row += 1
            if self._in_a_row > _IN_A_ROW_MAX:
                raise
            self._refused(batch.idem_keys[0], batch.payloads[0])
            return MergeCounts(inserted=0, updated=0, unchanged=0, refused=1)
        self._in_a_row = 0
        return counts


def _sum(parts: Iterable[MergeCounts]) -> MergeCounts:
    merged = list(parts)
    return MergeCounts(
        inserted=sum(part.inserted for part in merged),
        updated=sum(part.updated for part in merged),
        unchanged=sum(part.unchanged for part in merged),
        refused=sum(part.refused for part in merged),
        usage=added_usage(merged),
    )


def added_usage(merged: Iterable[MergeCounts]) -> dict[str, int]:
    """What several merges took in all."""
    total: Counter[str] = Counter()
    for counts in merged:
        total.update(counts.usage)
    return dict(total)
