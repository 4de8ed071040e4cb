"""Segments of the spool into the store, and what came of them."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lorchestra.jobs.context import JobContext
from lorchestra.rejects import UNREADABLE, RejectFile
from lorchestra.spool import JobSpool, UnreadableError, read_header, read_segment
from lorchestra.stack_clients.event_client.objects import merge_in_batches
from lorchestra.steps import Step, reached

#: Why a record is in the reject file that the store would not take.
REFUSED = "refused_by_store"

# So many fit into a set in a few megabytes; more are counted in less room.
_FEW = 100_000
_ADDED_UP = ("inserted", "updated", "unchanged", "duplicates", "batches", "bytes")


class DistinctKeys:
    """How many different keys were seen, in eight bytes for each that was given."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, key: str) -> None:
        """Count a key, unless it was given before."""
        self._hashes.append(hash(key))

    def passing(self, entries: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """The same entries, their keys counted."""
        for entry in entries:
            self._hashes.append(hash(entry[0]))
            yield entry

    def __len__(self) -> int:
        if len(self._hashes) <= _FEW:
            return len(set(self._hashes))
        import pyarrow as pa  # noqa: PLC0415 - takes time to load
        import pyarrow.compute as pc  # noqa: PLC0415

        hashes = pa.Array.from_buffers(pa.int64(), len(self._hashes), [None, pa.py_buffer(self._hashes)])
        return int(pc.count_distinct(hashes).as_py())


@dataclass(kw_only=True)
class SegmentMerger:
    """Merges the segments of one job under one run. `counts`, `usage` and `keys` add up over all of them."""

    context: JobContext
    spool: JobSpool
    rejects: RejectFile
    counts: Counter[str] = field(default_factory=Counter)
    usage: Counter[str] = field(default_factory=Counter)
    #: The objects that the run saw.
    keys: DistinctKeys = field(default_factory=DistinctKeys)

    def merge(self, *, recovered: bool = False) -> None:
        """Merge what waits, and drop each segment that is merged; say so when an earlier run left them.

        An object that the store refuses goes to the reject file of this run, whole; the others are merged.

        Raises:
            StoreError: a merge failed; the segments that are left wait.
            SpoolError: the spool cannot be read or written.
        """
        for segment in self.spool.segments():
            damage: list[int] = []
            try:
                header = read_header(segment)
            except UnreadableError:
                header, damage = None, [1]
            if header is not None:
                self._merge_one(segment, header, damage if recovered else None)
                reached(Step.SEGMENT_MERGED)
            if damage:
                self._set_aside(segment, damage)
            else:
                segment.unlink()

    def _set_aside(self, segment: Path, damage: Sequence[int]) -> None:
        """What cannot be read is kept, and each line of it is a reject."""
        kept = self.spool.set_aside(segment)
        for line in damage:
            self.rejects.add(reason=UNREADABLE, position=f"{kept.name}:line {line}")
        self.counts["rejected"] += len(damage)
        self.counts["recovered"] += len(damage)

    def _merge_one(self, segment: Path, header: Mapping[str, str], damage: list[int] | None) -> None:
        """Merge a segment. Of one that an earlier run left, `damage` takes the lines that are no record."""
        result = merge_in_batches(
            self.keys.passing(read_segment(segment, damage)),
            store=self.context.store,
            target=self.context.target(
                source_system=header["source_system"], object_type=header["object_type"]
            ),
            first_index=self.counts["batches"],
            refused=self._reject,
        )
        for name in _ADDED_UP:
            self.counts[name] += getattr(result, name)
        self.usage.update(result.usage)
        if damage is not None:
            self.counts["recovered"] += result.records

    def _reject(self, key: str, payload: bytes) -> None:
        self.rejects.add(reason=REFUSED, position=key, payload=payload)
        self.counts["rejected"] += 1
