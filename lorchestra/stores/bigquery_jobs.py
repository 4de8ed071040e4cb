"""Jobs of the BigQuery service, each run once: its id is known before it is sent.

A request whose answer was lost may or may not have started a job. Because the id was ours, the next request
finds that job instead of starting another: jobs.insert answers 409 for an id that is taken, and jobs.get
gives the job.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import Any, TypeVar

from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery

from lorchestra.stores.bigquery_client import CALL_SECONDS, JOB_SECONDS, Connection, Repetitions
from lorchestra.stores.bigquery_errors import SERVICE_ERRORS, is_concurrent_update, is_transient

# For requests that are repeated here, under the same id, and not inside the client.
NO_RETRY: Any = None

JobT = TypeVar("JobT", bigquery.LoadJob, bigquery.QueryJob)

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_LABELS = re.compile(r"[^a-z0-9_-]")
_TIME_OF_RUN = re.compile(r"-\d{14}\Z")
_IDS_TRIED = 20
_NAME_LENGTH = 128
_LABEL_LENGTH = 63


def job_id(*, run_id: str, seen_at: datetime, number: str, step: str) -> str:
    """The id of one step of one batch of a run; the same whenever it is asked for.

    `seen_at` tells apart two calls under one run id. Ids have letters, digits, `_` and `-` only
    (https://cloud.google.com/bigquery/docs/reference/rest/v2/JobReference), so a run id that is changed by
    that is told apart by its hash.
    """
    name = _NOT_IN_IDS.sub("_", run_id)[:_NAME_LENGTH]
    digest = blake2b(run_id.encode(), digest_size=4).hexdigest()
    return f"lorchestra-{name}-{digest}-{seen_at:%Y%m%d%H%M%S%f}-{number}-{step}"


def labels(run_id: str) -> dict[str, str]:
    """Labels that name job and run; a label has lower-case letters, digits, `_` and `-`, 63 at most."""
    job = _TIME_OF_RUN.sub("", run_id)
    return {
        "lorchestra_job": _NOT_IN_LABELS.sub("_", job.lower())[:_LABEL_LENGTH],
        "lorchestra_run": _NOT_IN_LABELS.sub("_", run_id.lower())[-_LABEL_LENGTH:],
    }


def run_job(
    connection: Connection,
    name: str,
    start: Callable[[str, Repetitions], JobT],
    *,
    get: Callable[[str], JobT],
) -> JobT:
    """Start a job under an id of ours and wait for its end; a lost answer never starts it twice.

    `start` sends it under an id, sharing the time for repetitions with what is done here, and is only called
    again when no job of that id exists. A job that the service gave up for reasons of its own left nothing
    behind, and runs again under another id. Both for as long as the connection repeats calls.

    Raises:
        The service's errors.
    """
    repetitions = connection.repetitions()
    attempt = 1
    while True:
        try:
            job = _started(_numbered(name, attempt), start, get, connection.repetitions())
        except Conflict:
            # Nothing of ours: some call before this one had the same run id, time and number.
            if attempt == _IDS_TRIED:
                raise
            attempt += 1
            continue
        try:
            job.result(timeout=JOB_SECONDS, retry=connection.retry, **_no_second_job(job))
        except SERVICE_ERRORS as error:
            if not _gave_up(connection, job, error) or not repetitions.wait():
                raise
            attempt += 1
            continue
        return job


def _started(
    name: str,
    start: Callable[[str, Repetitions], JobT],
    get: Callable[[str], JobT],
    repetitions: Repetitions,
) -> JobT:
    answer_lost = False
    while True:
        try:
            if answer_lost:
                with suppress(NotFound):
                    return get(name)
            return start(name, repetitions)
        except Conflict:
            # Ours, when an answer was lost: it can be got in a moment, if not at once.
            if not answer_lost or not repetitions.wait():
                raise
        except SERVICE_ERRORS as error:
            if not is_transient(error) or not repetitions.wait():
                raise
            answer_lost = True


def _numbered(name: str, attempt: int) -> str:
    return name if attempt == 1 else f"{name}-{attempt}"


def _no_second_job(job: bigquery.LoadJob | bigquery.QueryJob) -> Mapping[str, None]:
    # Left alone, the client starts a failed query again under an id of its own.
    return {"job_retry": None} if isinstance(job, bigquery.QueryJob) else {}


def _gave_up(connection: Connection, job: bigquery.LoadJob | bigquery.QueryJob, error: Exception) -> bool:
    """Whether the job has ended without effect, for a reason that may be gone a moment later."""
    if not (is_transient(error) or is_concurrent_update(error)):
        return False
    try:
        job.reload(retry=connection.retry, timeout=CALL_SECONDS)
    except SERVICE_ERRORS:
        return False
    return job.state == "DONE" and job.error_result is not None


def get_job(connection: Connection, name: str, *, dataset: str) -> Any:
    """The job of this id, wherever the dataset is.

    Raises:
        NotFound: there is none.
    """
    client = connection.client
    location = client.location
    if location is None:
        # Outside the US and the EU a job is only found by its location.
        location = client.get_dataset(dataset, retry=connection.retry, timeout=CALL_SECONDS).location
    return client.get_job(name, location=location, retry=connection.retry, timeout=CALL_SECONDS)
