"""Events of runs that ended long ago: one DELETE."""

from datetime import datetime
from typing import Any

import google.api_core.exceptions as api
from google.cloud import bigquery

from lorchestra.errors import StoreBusyError
from lorchestra.model import TableNames
from lorchestra.queries import internal_query
from lorchestra.stores.bigquery_client import CALL_SECONDS, Connection, Repetitions
from lorchestra.stores.bigquery_jobs import NO_RETRY, get_job, job_id, labels, run_job
from lorchestra.stores.bigquery_statements import quoted, statement


def delete_events(connection: Connection, tables: TableNames, *, before: datetime, run_id: str) -> int:
    """Delete the events of old runs, all or none; how many.

    Raises:
        StoreBusyError: the service still holds rows of these runs back, because they came in just now.
        The service's other errors.
    """
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ScalarQueryParameter("before", "TIMESTAMP", before)],
        labels=labels(run_id),
    )
    sql = statement(
        "delete_events",
        event_log=quoted(tables.dataset, tables.event_log),
        runs_to_prune=internal_query("runs_to_prune", tables),
    )

    def start(identity: str, _: Repetitions) -> bigquery.QueryJob:
        return connection.client.query(
            sql, job_config=config, job_id=identity, retry=NO_RETRY, timeout=CALL_SECONDS, job_retry=None
        )

    def get(identity: str) -> Any:
        return get_job(connection, identity, dataset=tables.dataset)

    name = job_id(run_id=run_id, seen_at=before, number="0", step="prune")
    try:
        job: bigquery.QueryJob = run_job(connection, name, start, get=get)
    except api.BadRequest as error:
        # https://cloud.google.com/bigquery/docs/data-manipulation-language#limitations
        if "streaming buffer" not in str(error).lower():
            raise
        raise StoreBusyError(
            "store: event_log: BigQuery deletes no rows that were written in the last 90 minutes, "
            "and an event of an old run was delivered then; nothing was deleted",
            next_step="Type the same command again in two hours.",
        ) from None
    return int(job.num_dml_affected_rows or 0)
