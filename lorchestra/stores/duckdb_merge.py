"""How a batch is merged into `raw_objects` in a DuckDB file: within a transaction that is open already.

In as few statements as it takes, and with as few values brought to Python: meanwhile another thread collects
the next batch, and each of the two waits for the other.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from lorchestra.model import MergeCounts, StagedBatch
from lorchestra.steps import Step, reached
from lorchestra.stores import duckdb_rows as rows

if TYPE_CHECKING:
    import pyarrow as pa


class BatchMerge:
    """One batch. Its payloads go to the engine only where they must be written."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, batch: StagedBatch, statement: Callable[[str], str]
    ) -> None:
        self._connection = connection
        self._batch = batch
        self._statement = statement
        self._digests = rows.Digests([], [])
        #: By its number in the batch, a changed object: when it was first seen, in microseconds.
        self._changed: dict[int, int] = {}

    def run(self) -> MergeCounts:
        """Write what is new or changed, and note when the rest was seen."""
        [(seed,)] = self._run("digest_seed")
        self._digests = rows.Digests.of(self._batch, seed=seed)
        reached(Step.BATCH_STAGED)
        self._run("match_batch", **rows.staged(self._batch, self._digests))
        [(new, others)] = self._run("count_matched")
        if others:
            self._replace()
        objects, changed = len(self._batch.idem_keys), len(self._changed)
        unchanged = objects - new - changed
        if unchanged:
            self._run("touch_unchanged", seen_at=self._batch.seen_at)
        if new or changed:
            self._write(range(objects) if new == objects else self._new() if new else [])
        reached(Step.BATCH_MERGING)
        return MergeCounts(inserted=new, updated=changed, unchanged=unchanged)

    def _replace(self) -> None:
        """Delete the rows of what changed; a key that somebody gave several rows gets one again."""
        found = self._run("find_others")
        unknown = [
            (row_id, self._batch.payloads[number]) for number, row_id, same, _ in found if same is None
        ]
        same_rows: set[int] = set()
        if unknown:
            self._show("unknown", rows.unknown(unknown))
            same_rows = {row_id for (row_id,) in self._run("same_payloads")}
        for number, row_id, same, first_seen in found:
            if not same and row_id not in same_rows:
                self._changed[number] = min(first_seen, self._changed.get(number, first_seen))
        hashes = self._digests.key_hashes
        replaced = [(row_id, hashes[number]) for number, row_id, _, _ in found if number in self._changed]
        if replaced:
            self._show("changed", rows.changed(replaced))
            self._run("delete_changed")
        learned = {number for number, _, same, _ in found if same is None}.difference(self._changed)
        if learned:
            self._show("learned", rows.learned(self._digests.at(sorted(learned))))
            self._run("insert_digests")

    def _new(self) -> Sequence[int]:
        [(new,)] = self._run("find_new")
        numbers: Sequence[int] = new
        return numbers

    def _write(self, new: Sequence[int]) -> None:
        numbers = sorted([*new, *self._changed]) if self._changed else new
        self._show("written", rows.written(self._batch, numbers, self._digests, self._changed))
        self._run("insert_written")
        # So that the payloads go when the batch goes.
        self._connection.unregister("written")

    def _show(self, name: str, table: "pa.Table") -> None:
        self._connection.register(name, table)

    def _run(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(self._statement(name), values or None).fetchall()
