"""What the BigQuery service answers when it does not do what it was asked, in our own words.

The service's messages may quote data, so they are never repeated. What is told of an error is its reason (a
word of the service, as in https://cloud.google.com/bigquery/docs/error-messages) and the field it names.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import DataCorruption, InvalidResponse

from lorchestra.errors import (
    LorchestraError,
    StoreAccessError,
    StoreAuthError,
    StoreBusyError,
    StoreError,
    StoreQuotaError,
    StoreSchemaError,
    StoreUnreachableError,
)

SETUP = "Run `lorchestra setup` to make the dataset and the tables."
CHECK = "Run `lorchestra setup --check` to see what differs."
DOCTOR = "Run `lorchestra doctor` to see which permission is missing."
_LOGIN = "Type `gcloud auth application-default login`, or name a key file: ?credentials=PATH in store.url."

#: Reasons that say that nothing is wrong with the request itself.
PASSING_REASONS = frozenset(
    {
        "backendError",
        "badGateway",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
        "tableUnavailable",
        "userRateLimitExceeded",
    }
)
_TRANSIENT_TYPES = (
    api.TooManyRequests,
    api.InternalServerError,
    api.BadGateway,
    api.ServiceUnavailable,
    api.GatewayTimeout,
    ConnectionError,
    auth.TransportError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ConnectionError,
    # An answer that is none of the service's: a proxy's page.
    requests.exceptions.JSONDecodeError,
    requests.exceptions.Timeout,
    DataCorruption,
)
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
# What the service names as the place when it means the whole request.
_NO_FIELDS = frozenset({"parameters", "query"})
#: Everything that a call through the client can raise on the way to the service and back.
SERVICE_ERRORS = (
    api.GoogleAPICallError,
    api.RetryError,
    auth.GoogleAuthError,
    requests.exceptions.RequestException,
    InvalidResponse,
    DataCorruption,
    ConnectionError,
    TimeoutError,
)


def reason_of(error: BaseException) -> str:
    """The service's word for what happened: `accessDenied`, `quotaExceeded`; else the error's type."""
    return first_reason(getattr(error, "errors", None) or ()) or type(error).__name__


def first_reason(errors: Sequence[Any]) -> str | None:
    """The first reason in an error list of the service."""
    for entry in errors:
        reason = entry.get("reason") if isinstance(entry, Mapping) else None
        if isinstance(reason, str) and _REASON.fullmatch(reason):
            return reason
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, requests.exceptions.SSLError):
        return False
    return reason_of(error) in PASSING_REASONS or isinstance(error, _TRANSIENT_TYPES)


def is_concurrent_update(error: BaseException) -> bool:
    """Whether two statements changed one table at the same moment, and this one was given up."""
    return isinstance(error, api.BadRequest) and "could not serialize access" in str(error).lower()


def explained(error: Exception) -> StoreError:  # noqa: PLR0911 - one return for each kind of error
    """The error as one of ours: what is wrong, and what to type."""
    if isinstance(error, api.RetryError) and isinstance(error.cause, Exception):
        error = error.cause
    reason = reason_of(error)
    if isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError):
        return StoreAuthError("store: there are no valid credentials for BigQuery", next_step=_LOGIN)
    if isinstance(error, api.Unauthorized):
        return StoreAuthError("store: BigQuery refused the credentials", next_step=_LOGIN)
    if reason == "quotaExceeded" or (isinstance(error, api.Forbidden) and reason == "rateLimitExceeded"):
        return StoreQuotaError(
            f"store: a quota of BigQuery is used up: {reason}",
            next_step="Run it again later; nothing that was read is lost.",
        )
    if isinstance(error, api.Forbidden):
        return StoreAccessError(f"store: BigQuery did not permit it: {reason}", next_step=DOCTOR)
    if isinstance(error, api.NotFound):
        return StoreSchemaError("store: the dataset or a table is not there", next_step=SETUP)
    if is_concurrent_update(error):
        return StoreBusyError("store: others kept changing the table", next_step="Run it again.")
    if is_transient(error):
        return StoreUnreachableError(
            f"store: BigQuery did not answer as it should: {reason}", next_step="Run it again later."
        )
    if isinstance(error, TimeoutError | api.RetryError):
        return StoreUnreachableError(
            "store: BigQuery did not finish in time", next_step="Run it again later."
        )
    if isinstance(error, api.BadRequest):
        where = field_of(getattr(error, "errors", None) or ())
        at = f" at {where}" if where else ""
        return StoreSchemaError(f"store: BigQuery refused a request: {reason}{at}", next_step=CHECK)
    return StoreUnreachableError(f"store: BigQuery could not be used: {reason}", next_step=DOCTOR)


def field_of(errors: Sequence[Any]) -> str | None:
    """The first field that an error list of the service names; a place in a file is no field."""
    for entry in errors:
        location = entry.get("location") if isinstance(entry, Mapping) else None
        if isinstance(location, str) and _FIELD.fullmatch(location) and location not in _NO_FIELDS:
            return location
    return None


@contextmanager
def service_errors() -> Iterator[None]:
    """Whatever the service or the way to it refuses, as a `StoreError`."""
    try:
        yield
    except LorchestraError:
        raise
    except SERVICE_ERRORS as error:
        raise explained(error) from None
