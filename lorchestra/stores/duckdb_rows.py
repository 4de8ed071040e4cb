"""What goes into a DuckDB file, in the form in which DuckDB takes it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import orjson
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from lorchestra.model import Event, StagedBatch
from lorchestra.setup import EVENT_LOG_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Threads of the engine while it writes. More would need more memory.
WRITE_THREADS = max(1, min(4, os.cpu_count() or 1))
#: Memory of the engine while it writes what is not larger than a batch should be.
WRITE_MEMORY_BYTES = 400 * 1024 * 1024
#: The fewest that the engine has in a row group, which one thread compresses.
ROWS_PER_GROUP = 2048


@dataclass(frozen=True)
class Digests:
    """Hashes of keys, of 64 bits, and of their payloads, of 128 in hexadecimal."""

    key_hashes: Sequence[int]
    payload_hashes: Sequence[str]

    @classmethod
    def of(cls, batch: StagedBatch, *, seed: int) -> Self:
        """Those of a batch, in its order."""
        return cls(
            [xxh3_64_intdigest(key.encode(), seed=seed) for key in batch.idem_keys],
            [xxh3_128_hexdigest(payload, seed=seed) for payload in batch.payloads],
        )

    def at(self, numbers: Sequence[int]) -> "Digests":
        """Those of these objects."""
        return Digests(
            [self.key_hashes[number] for number in numbers],
            [self.payload_hashes[number] for number in numbers],
        )

    def columns(self) -> dict[str, Any]:
        """As columns of a table."""
        import pyarrow as pa  # noqa: PLC0415 - only where there is something to merge

        return {
            "key_hash": pa.array(self.key_hashes, pa.uint64()),
            "payload_hash": pa.array(self.payload_hashes, pa.string()),
        }


def staged(batch: StagedBatch, digests: Digests) -> dict[str, Any]:
    """The keys of a batch and its digests, as parameters: lists as JSON.

    So what is merged again unchanged needs no Arrow, which takes 0.15 s to load.
    """
    return {
        "objects": len(batch.idem_keys),
        "idem_keys": orjson.dumps(batch.idem_keys).decode(),
        "key_hashes": orjson.dumps(digests.key_hashes).decode(),
        "payload_hashes": orjson.dumps(digests.payload_hashes).decode(),
    }


def unknown(payloads: Sequence[tuple[int, bytes]]) -> "pa.Table":
    """Row ids, and payloads to compare with those in these rows."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(
        {
            "row_id": pa.array([row_id for row_id, _ in payloads], pa.int64()),
            "payload": _as_json([payload for _, payload in payloads]),
        }
    )


def learned(digests: Digests) -> "pa.Table":
    """Digests of what is stored already."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(digests.columns())


def changed(replaced: Sequence[tuple[int, int]]) -> "pa.Table":
    """Rows that go, and the hashes of their keys."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(
        {
            "row_id": pa.array([row_id for row_id, _ in replaced], pa.int64()),
            "key_hash": pa.array([key_hash for _, key_hash in replaced], pa.uint64()),
        }
    )


def written(
    batch: StagedBatch, numbers: Sequence[int], digests: Digests, first_seen: Mapping[int, int]
) -> "pa.Table":
    """The rows of these objects, and their digests. Times are in microseconds.

    In pieces, so that the engine can take and compress as many at a time as it has threads.
    """
    import pyarrow as pa  # noqa: PLC0415

    pieces = max(1, min(WRITE_THREADS, len(numbers) // ROWS_PER_GROUP))
    size = -(-len(numbers) // pieces)
    return pa.concat_tables(
        _piece(batch, numbers[begin : begin + size], digests, first_seen)
        for begin in range(0, len(numbers), size)
    )


def _piece(
    batch: StagedBatch, numbers: Sequence[int], digests: Digests, first_seen: Mapping[int, int]
) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415

    last_seen = microseconds(batch.seen_at)
    rows = len(numbers)
    return pa.table(
        {
            "idem_key": pa.array([batch.idem_keys[number] for number in numbers], pa.string()),
            "source_system": pa.array([batch.source_system] * rows, pa.string()),
            "object_type": pa.array([batch.object_type] * rows, pa.string()),
            "external_id": pa.array([batch.external_ids[number] for number in numbers], pa.string()),
            "payload": _as_json([batch.payloads[number] for number in numbers]),
            "first_seen": _times([first_seen.get(number, last_seen) for number in numbers]),
            "last_seen": _times([last_seen] * rows),
            **digests.at(numbers).columns(),
        }
    )


def _times(moments: Sequence[int]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.array(moments, pa.timestamp("us", "UTC"))


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _as_json(payloads: Sequence[bytes]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    # Seen as what they are, without a cast, which would load all of pyarrow.compute.
    texts = pa.array(payloads, pa.large_binary()).view(pa.large_string())
    # Said to be JSON, as it is, it is not parsed once more.
    return pa.ExtensionArray.from_storage(pa.json_(pa.large_string()), texts)


def row_of(event: Event) -> dict[str, Any]:
    """An event as the parameters of its INSERT."""
    row = {name: getattr(event, name) for name, _, _ in EVENT_LOG_COLUMNS}
    row["status"] = event.status.value
    row["payload"] = None if event.payload is None else json.dumps(dict(event.payload), allow_nan=False)
    return row
