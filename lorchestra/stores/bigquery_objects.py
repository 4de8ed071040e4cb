"""Objects into `raw_objects`: one load, one look at what is there, one MERGE, one drop a batch."""

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import pyarrow as pa
from google.cloud import bigquery

from lorchestra.model import MergeCounts, StagedBatch, TableNames
from lorchestra.setup import RAW_OBJECTS_COLUMNS
from lorchestra.stores.bigquery_client import Connection
from lorchestra.stores.bigquery_schema import schema_of
from lorchestra.stores.bigquery_staging import Staging

#: What a merge stages; everything else is the same for the whole batch.
STAGED_COLUMNS = tuple(
    column for column in RAW_OBJECTS_COLUMNS if column[0] in ("idem_key", "external_id", "payload")
)
_COPY_RUN = "copy"


def merge(connection: Connection, tables: TableNames, batch: StagedBatch) -> MergeCounts:
    """Merge one batch. The MERGE is all or nothing, and may be repeated.

    Where everything is new the MERGE can only insert: such a one is billed for the keys it compares, any
    other for the whole table (https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax).

    Raises:
        The service's errors.
    """
    parameters = [
        *_bounds(batch.idem_keys),
        bigquery.ScalarQueryParameter("seen_at", "TIMESTAMP", batch.seen_at),
        bigquery.ScalarQueryParameter("source_system", "STRING", batch.source_system),
        bigquery.ScalarQueryParameter("object_type", "STRING", batch.object_type),
    ]
    staging = Staging(
        connection,
        tables,
        run_id=batch.correlation_id,
        seen_at=batch.seen_at,
        number=f"{batch.index}{batch.part}",
        schema=schema_of(STAGED_COLUMNS),
    )
    with staging:
        staging.load(_lines(batch))
        [found] = staging.query("count_staged", parameters[:2])
        counts = {name: int(found[name]) for name in ("inserted", "updated", "unchanged")}
        all_new = counts["inserted"] == len(batch.idem_keys)
        written = staging.merge("merge_new_objects" if all_new else "merge_objects", parameters)
        if all_new and written < len(batch.idem_keys):
            # Another run stored some of them meanwhile.
            staging.merge("merge_objects", parameters)
    return MergeCounts(**counts, usage=staging.usage)


def merge_copied(connection: Connection, tables: TableNames, rows: pa.Table) -> int:
    """Merge rows of another store, keys unique, with the times they had there; how many were written.

    Raises:
        The service's errors.
    """
    staging = Staging(
        connection,
        tables,
        run_id=_COPY_RUN,
        seen_at=datetime.now(UTC),
        number="0",
        schema=schema_of(RAW_OBJECTS_COLUMNS),
    )
    with staging:
        staging.load(_copied_lines(rows))
        return staging.merge("merge_copied_objects", _bounds(rows.column("idem_key").to_pylist()))


def _lines(batch: StagedBatch) -> list[tuple[bytes, ...]]:
    # The payload is JSON already and stands in the line as it is: an object, not a string that holds one.
    return [
        (
            b'{"idem_key":%b,"external_id":%b,"payload":' % (orjson.dumps(key), orjson.dumps(external_id)),
            payload,
            b"}\n",
        )
        for key, external_id, payload in zip(batch.idem_keys, batch.external_ids, batch.payloads, strict=True)
    ]


def _copied_lines(rows: pa.Table) -> list[tuple[bytes, ...]]:
    names = [name for name, _, _ in RAW_OBJECTS_COLUMNS if name != "payload"]
    payloads = rows.column("payload").to_pylist()
    return [
        (orjson.dumps(row)[:-1], b',"payload":', payload.encode(), b"}\n")
        for row, payload in zip(rows.select(names).to_pylist(), payloads, strict=True)
    ]


def _bounds(keys: Sequence[str]) -> list[bigquery.ScalarQueryParameter]:
    # Python orders texts by code point, and so does GoogleSQL.
    return [
        bigquery.ScalarQueryParameter("lo", "STRING", min(keys)),
        bigquery.ScalarQueryParameter("hi", "STRING", max(keys)),
    ]
