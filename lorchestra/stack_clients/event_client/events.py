"""Facts: one row of `event_log` each."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from uuid_utils.compat import uuid7

from lorchestra.errors import ArgumentError
from lorchestra.json_values import check_json
from lorchestra.model import Event, EventStatus
from lorchestra.stack_clients.event_client.arguments import (
    as_store,
    check_optional_text,
    check_text,
)

#: A payload is telemetry; what is larger belongs into `raw_objects`.
PAYLOAD_BYTES_MAX = 64 * 1024

_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def log_event(
    *,
    event_type: str,
    source_system: str,
    correlation_id: str,
    bq_client: Any,
    trace_id: str | None = None,
    object_type: str | None = None,
    status: str = "ok",
    error_message: str | None = None,
    idem_key: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> str:
    """Append one event to `event_log` and return its event_id, a UUIDv7.

    `event_type` is `family.verb` (`job.started`). `correlation_id` is the run id. `idem_key` stays None for
    telemetry; it is set only to point at one object. `payload` is a JSON object of at most 64 KiB, never a
    whole object of a source. When the call returns, the event is stored.

    Raises:
        ArgumentError: an argument is bad; the message begins with its name. Nothing was written.
        StoreError: the event could not be written.
    """
    event = make_event(
        event_type=event_type,
        source_system=source_system,
        correlation_id=correlation_id,
        trace_id=trace_id,
        object_type=object_type,
        status=status,
        error_message=error_message,
        idem_key=idem_key,
        payload=payload,
    )
    as_store(bq_client).append_events([event])
    return event.event_id


def make_event(
    *,
    event_type: str,
    source_system: str,
    correlation_id: str,
    trace_id: str | None = None,
    object_type: str | None = None,
    status: str = "ok",
    error_message: str | None = None,
    idem_key: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Event:
    """The event that `log_event` would append, for when the store cannot be reached now.

    Raises:
        ArgumentError: as `log_event`.
    """
    check_text("event_type", event_type)
    if not _EVENT_TYPE.fullmatch(event_type):
        raise ArgumentError("event_type: must have the form family.verb, in lower case, such as job.started")
    check_text("source_system", source_system)
    check_text("correlation_id", correlation_id)
    for name, value in (
        ("trace_id", trace_id),
        ("object_type", object_type),
        ("error_message", error_message),
        ("idem_key", idem_key),
    ):
        check_optional_text(name, value)
    if status not in list(EventStatus):
        raise ArgumentError("status: must be 'ok' or 'failed'")
    _check_payload(payload)
    return Event(
        event_id=str(uuid7()),
        event_type=event_type,
        source_system=source_system,
        object_type=object_type,
        idem_key=idem_key,
        correlation_id=correlation_id,
        trace_id=trace_id,
        created_at=datetime.now(UTC),
        status=EventStatus(status),
        error_message=error_message,
        payload=payload,
    )


def _check_payload(payload: object) -> None:
    if payload is None:
        return
    if not isinstance(payload, Mapping):
        raise ArgumentError("payload: must be a JSON object, a dict with string keys")
    try:
        smallest, largest = check_json(payload)
        size = len(json.dumps(dict(payload), allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        # Their messages may quote the value.
        raise ArgumentError("payload: is not JSON") from None
    if not -(2**63) <= smallest <= largest < 2**64:
        raise ArgumentError("payload: has an integer beyond 64 bits, which not every store keeps")
    if size > PAYLOAD_BYTES_MAX:
        raise ArgumentError(
            f"payload: is {size} bytes, the limit is {PAYLOAD_BYTES_MAX}",
            next_step="Events carry small telemetry; put objects into raw_objects with upsert_objects().",
        )
