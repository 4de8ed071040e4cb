"""A load job whose file goes up in pieces, so that one piece of it is read at a time and no more.

The client's own `load_table_from_file` sends the same requests, but reads up to 100 MB for each.
"""

from http import HTTPStatus
from typing import IO, Any

from google.api_core import exceptions as api
from google.cloud import bigquery
from google.resumable_media import InvalidResponse
from google.resumable_media.common import RetryStrategy
from google.resumable_media.requests import ResumableUpload

from lorchestra.stores.bigquery_client import CALL_SECONDS, Repetitions
from lorchestra.stores.bigquery_errors import SERVICE_ERRORS, is_transient

#: A multiple of 256 KiB, as the protocol wants (https://cloud.google.com/bigquery/docs/reference/api-uploads).
PIECE_BYTES = 8 * 1024 * 1024
#: A piece has so long to arrive: at half a megabit a second it does.
_PIECE_SECONDS = 120.0

_COMPLETE = (HTTPStatus.OK, HTTPStatus.CREATED)
_INCOMPLETE = HTTPStatus.PERMANENT_REDIRECT
_UPLOAD_IS_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
# The library has no types.
_resumable_upload: Any = ResumableUpload
_retry_strategy: Any = RetryStrategy
_api_error: Any = api.from_http_response


def load_in_pieces(client: Any, file: IO[bytes], job: Any, repetitions: Repetitions) -> bigquery.LoadJob:
    """Send a load job and its file, which can be wound back; the job as the service took it.

    After a transient fault the upload goes on from where the service says it stands. One that the service
    does not know any more begins anew, once.

    Raises:
        The service's errors. After a transient one the job may have been started.
    """
    try:
        answer = _upload(client, file, job, repetitions)
    except api.GoogleAPICallError as error:
        if error.code not in _UPLOAD_IS_GONE:
            raise
        answer = _upload(client, file, job, repetitions)
    taken: bigquery.LoadJob = client.job_from_resource(answer.json())
    return taken


def _upload(client: Any, file: IO[bytes], job: Any, repetitions: Repetitions) -> Any:
    # The client has no public way to its session and its address.
    http, connection = client._http, client._connection  # noqa: SLF001
    host = connection.get_api_base_url_for_mtls()
    upload = _resumable_upload(
        f"{host}/upload/bigquery/v2/projects/{job.project}/jobs?uploadType=resumable",
        PIECE_BYTES,
        headers={"User-Agent": connection.user_agent},
    )
    # Left alone it repeats for ten minutes, without asking what arrived.
    upload._retry_strategy = _retry_strategy(max_retries=0)  # noqa: SLF001
    resource = job.to_api_repr()
    if client.location is not None:
        resource["jobReference"]["location"] = client.location
    file.seek(0)
    try:
        upload.initiate(http, file, resource, "*/*", timeout=CALL_SECONDS)
    except InvalidResponse as error:
        raise _api_error(error.response) from None
    answer = None
    while answer is None:
        answer = _send_piece(http, file, upload, repetitions)
    return answer


def _send_piece(http: Any, file: IO[bytes], upload: Any, repetitions: Repetitions) -> Any:
    """Send the next piece; what the service answers when it has all of them, else None."""
    before = upload.bytes_uploaded
    lost: Exception | None = None
    while True:
        try:
            if lost is not None:
                upload.recover(http)
                if upload.bytes_uploaded == upload.total_bytes:
                    raise ConnectionError("the job is not there yet")
            answer = upload.transmit_next_chunk(http, timeout=_PIECE_SECONDS)
            if upload.finished:
                return answer
            if upload.bytes_uploaded == before:
                raise _nothing_kept()
            # The service may keep less of a piece than it was sent.
            file.seek(upload.bytes_uploaded)
            repetitions.begin_anew()
            return None
        except InvalidResponse as error:
            status = error.response.status_code
            if status in _COMPLETE:
                return error.response
            failure: Exception = _nothing_kept() if status == _INCOMPLETE else _api_error(error.response)
        except SERVICE_ERRORS as error:
            failure = error
        if not is_transient(failure) or not repetitions.wait():
            raise lost or failure
        lost = failure


def _nothing_kept() -> Exception:
    return ConnectionError("BigQuery kept nothing of a piece")
