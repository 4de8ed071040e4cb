"""What goes into a DuckDB file, in the form in which DuckDB takes it."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lorchestra.model import Event, StagedBatch
from lorchestra.setup import EVENT_LOG_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Threads of the engine while it writes. More would need more memory.
WRITE_THREADS = max(1, min(4, os.cpu_count() or 1))
#: The fewest that the engine has in a row group, which one thread compresses.
ROWS_PER_GROUP = 2048


def staged(idem_keys: Sequence[str], digests: Sequence[bytes]) -> "pa.Table":
    """The keys of a batch and the digests of its payloads, numbered."""
    import pyarrow as pa  # noqa: PLC0415 - only where there is something to merge

    return pa.table(
        {
            "number": pa.array(range(len(idem_keys)), pa.int64()),
            "idem_key": pa.array(idem_keys, pa.string()),
            "digest": pa.array(digests, pa.binary()),
        }
    )


def unknown(payloads: Sequence[tuple[int, bytes]]) -> "pa.Table":
    """Row ids, and payloads to compare with those in these rows."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(
        {
            "row_id": pa.array([row_id for row_id, _ in payloads], pa.int64()),
            "payload": _as_json([payload for _, payload in payloads]),
        }
    )


def learned(digests: Sequence[tuple[str, bytes]]) -> "pa.Table":
    """Keys, and digests of what is stored under them."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(
        {
            "idem_key": pa.array([key for key, _ in digests], pa.string()),
            "digest": pa.array([digest for _, digest in digests], pa.binary()),
        }
    )


def changed(replaced: Sequence[tuple[int, str]]) -> "pa.Table":
    """Rows that go, and their keys."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(
        {
            "row_id": pa.array([row_id for row_id, _ in replaced], pa.int64()),
            "idem_key": pa.array([key for _, key in replaced], pa.string()),
        }
    )


def written(
    batch: StagedBatch, numbers: Sequence[int], digests: Sequence[bytes], first_seen: Mapping[int, int]
) -> "pa.Table":
    """The rows of these objects, and the digests of their payloads. Times are in microseconds.

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
    batch: StagedBatch, numbers: Sequence[int], digests: Sequence[bytes], first_seen: Mapping[int, int]
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
            "digest": pa.array([digests[number] for number in numbers], pa.binary()),
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
