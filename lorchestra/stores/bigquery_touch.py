"""Objects that were seen again: one UPDATE, whatever their number.

The service bills an UPDATE for the whole table, so there are as few of them as requests can hold keys
(https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from google.cloud import bigquery

from lorchestra.model import TableNames
from lorchestra.stores.bigquery_client import CALL_SECONDS, Connection, Repetitions
from lorchestra.stores.bigquery_jobs import NO_RETRY, get_job, job_id, labels, run_job
from lorchestra.stores.bigquery_statements import quoted, statement

_KEYS_PER_STATEMENT = 50_000


def touch(
    connection: Connection, tables: TableNames, idem_keys: Sequence[str], *, seen_at: datetime, run_id: str
) -> Mapping[str, int]:
    """Set `last_seen` of those of these keys that are there, where it is earlier; what it took.

    Raises:
        The service's errors.
    """
    usage: Counter[str] = Counter()
    keys = sorted(idem_keys)
    for begin in range(0, len(keys), _KEYS_PER_STATEMENT):
        some = keys[begin : begin + _KEYS_PER_STATEMENT]
        job = _update(connection, tables, some, seen_at=seen_at, run_id=run_id)
        usage["dml_statements"] += 1
        usage["bytes_processed"] += job.total_bytes_processed or 0
        usage["bytes_billed"] += job.total_bytes_billed or 0
    return usage


def _update(
    connection: Connection, tables: TableNames, keys: Sequence[str], *, seen_at: datetime, run_id: str
) -> bigquery.QueryJob:
    config = bigquery.QueryJobConfig(
        query_parameters=[
            bigquery.ScalarQueryParameter("lo", "STRING", keys[0]),
            bigquery.ScalarQueryParameter("hi", "STRING", keys[-1]),
            bigquery.ArrayQueryParameter("keys", "STRING", keys),
            bigquery.ScalarQueryParameter("seen_at", "TIMESTAMP", seen_at),
        ],
        labels=labels(run_id),
    )
    sql = statement("touch_objects", raw_objects=quoted(tables.dataset, tables.raw_objects))
    # Keys of one source, so the first tells one statement of a run from another.
    which = blake2b(keys[0].encode(), digest_size=4).hexdigest()

    def start(identity: str, _: Repetitions) -> bigquery.QueryJob:
        return connection.client.query(
            sql, job_config=config, job_id=identity, retry=NO_RETRY, timeout=CALL_SECONDS, job_retry=None
        )

    def get(identity: str) -> Any:
        return get_job(connection, identity, dataset=tables.dataset)

    name = job_id(run_id=run_id, seen_at=seen_at, number="0", step=f"touch-{which}")
    job: bigquery.QueryJob = run_job(connection, name, start, get=get)
    return job
