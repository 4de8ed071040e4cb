"""What goes into a DuckDB file, in the form in which DuckDB takes it."""

import json
from typing import TYPE_CHECKING, Any

from lorchestra.model import Event, StagedBatch
from lorchestra.setup import EVENT_LOG_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_of(batch: StagedBatch) -> "pa.Table":
    """A batch as the table that a merge reads."""
    import pyarrow as pa  # noqa: PLC0415 - only where there is something to merge

    # Seen as what they are, without a cast, which would load all of pyarrow.compute.
    texts = pa.array(batch.payloads, pa.large_binary()).view(pa.large_string())
    return pa.table(
        {
            "idem_key": pa.array(batch.idem_keys, pa.string()),
            "external_id": pa.array(batch.external_ids, pa.string()),
            # Said to be JSON, as it is, it is not parsed once more.
            "payload": pa.ExtensionArray.from_storage(pa.json_(pa.large_string()), texts),
            "payload_hash": pa.array(batch.payload_hashes, pa.binary()),
        }
    )


def row_of(event: Event) -> dict[str, Any]:
    """An event as the parameters of its INSERT."""
    row = {name: getattr(event, name) for name, _, _ in EVENT_LOG_COLUMNS}
    row["status"] = event.status.value
    row["payload"] = None if event.payload is None else json.dumps(dict(event.payload), allow_nan=False)
    return row
