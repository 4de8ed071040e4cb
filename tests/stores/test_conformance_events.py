"""What every store promises about `event_log`, asked through `log_event` and the `Store` protocol."""

import json
import math
import types
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorchestra.errors import ArgumentError
from lorchestra.model import Event, EventStatus
from lorchestra.stack_clients.event_client.events import make_event
from tests.stores.conftest import RUN_ID, SOURCE, Bench

laws = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)


def event(**overrides: Any) -> Event:
    arguments: dict[str, Any] = {
        "event_type": "job.started",
        "source_system": "lorchestra",
        "correlation_id": RUN_ID,
    }
    return make_event(**(arguments | overrides))


# The row


def test_every_column_is_stored_as_given(bench: Bench) -> None:
    """An event with everything set is one row with exactly these values."""
    before = datetime.now(UTC)

    event_id = bench.log(
        event_type="ingestion.failed",
        source_system=SOURCE,
        object_type="email",
        idem_key=f"{SOURCE}:email:1",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        status="failed",
        error_message="The source hung up; after 7 messages.",
        payload={"records_extracted": 7, "retryable": True},
    )

    [row] = bench.events()
    created_at, payload = row.pop("created_at"), json.loads(row.pop("payload"))
    assert row == {
        "event_id": event_id,
        "event_type": "ingestion.failed",
        "source_system": SOURCE,
        "object_type": "email",
        "idem_key": f"{SOURCE}:email:1",
        "correlation_id": RUN_ID,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "status": "failed",
        "error_message": "The source hung up; after 7 messages.",
    }
    assert payload == {"records_extracted": 7, "retryable": True}
    assert before <= created_at <= datetime.now(UTC)


def test_what_is_not_given_is_null(bench: Bench) -> None:
    """Telemetry has no idem_key; optional columns are NULL and status is ok."""
    bench.log()
    [row] = bench.events()
    assert row["status"] == "ok"
    assert [name for name, value in row.items() if value is None] == [
        "object_type",
        "idem_key",
        "trace_id",
        "error_message",
        "payload",
    ]


def test_an_event_writes_no_object(bench: Bench) -> None:
    """Logging leaves raw_objects alone, even with an idem_key."""
    bench.log(idem_key=f"{SOURCE}:email:1")
    assert bench.count("raw_objects") == 0


def test_merging_writes_no_event(bench: Bench) -> None:
    """There is no event per object."""
    bench.upsert([{"id": str(n)} for n in range(30)], batch_size=10)
    assert bench.count("event_log") == 0


def test_event_ids_sort_by_time(bench: Bench) -> None:
    """event_id is a UUIDv7 and carries the time: ids of later events are greater."""
    ids = [bench.log() for _ in range(5)]
    assert {UUID(event_id).version for event_id in ids} == {7}
    assert ids == sorted(ids)
    many = [event().event_id for _ in range(5000)]
    assert many == sorted(set(many))


def test_created_at_is_utc_to_the_microsecond(bench: Bench) -> None:
    """The time is an instant: one given in another offset is the same instant in UTC."""
    local = datetime(2025, 11, 24, 15, 30, 0, 123456, tzinfo=UTC).astimezone()
    bench.store.append_events([replace(event(), created_at=local)])
    [row] = bench.events()
    assert row["created_at"] == datetime(2025, 11, 24, 15, 30, 0, 123456, tzinfo=UTC)
    assert row["created_at"].utcoffset() == timedelta(0)


# The payload


def test_the_payload_is_a_json_object_to_queries(bench: Bench) -> None:
    """JSON functions reach into the payload: it is an object, never a string that holds JSON."""
    bench.log(
        payload={"job_name": "gmail_ingest_acct1", "duration_seconds": 1.5, "parameters": {"since": None}}
    )
    assert bench.rows(
        """SELECT UPPER(JSON_TYPE(payload)) AS type,
                  JSON_VALUE(payload, '$.job_name') AS job_name,
                  JSON_EXTRACT_SCALAR(payload, '$.job_name') AS the_same,
                  CAST(JSON_VALUE(payload, '$.duration_seconds') AS FLOAT64) AS duration,
                  JSON_VALUE(payload, '$.parameters.since') AS since,
                  JSON_VALUE(payload, '$.nothing') AS nothing
           FROM `events_dev.event_log`"""
    ) == [
        {
            "type": "OBJECT",
            "job_name": "gmail_ingest_acct1",
            "the_same": "gmail_ingest_acct1",
            "duration": 1.5,
            "since": None,
            "nothing": None,
        }
    ]


def test_any_mapping_is_a_payload(bench: Bench) -> None:
    """A read-only mapping is as good as a dict; an empty one is `{}`, not NULL."""
    bench.log(payload=types.MappingProxyType({"a": [1, {"b": None}]}))
    bench.log(payload={})
    assert [json.loads(row["payload"]) for row in bench.events()] == [{"a": [1, {"b": None}]}, {}]


payloads = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner),
        max_leaves=8,
    ),
    max_size=5,
)


@laws
@given(given_payloads=st.lists(payloads, min_size=1, max_size=6))
def test_any_payload_comes_back(new_bench: Callable[[], Bench], given_payloads: list[dict[str, Any]]) -> None:
    """Whatever JSON object goes in comes out."""
    bench = new_bench()
    bench.store.append_events([event(payload=payload) for payload in given_payloads])
    assert [json.loads(row["payload"]) for row in bench.events()] == given_payloads


@pytest.mark.parametrize("text", ["'; DROP TABLE x; --", "\U0001f600 é", 'a\nb\t"\\', "{event_log}", "$x @y"])
def test_texts_are_stored_as_given(bench: Bench, text: str) -> None:
    """No text is taken for SQL, for a format or for a parameter."""
    bench.log(correlation_id=text, error_message=text, payload={text: text})
    [row] = bench.events()
    assert (row["correlation_id"], row["error_message"]) == (text, text)
    assert json.loads(row["payload"]) == {text: text}


# Once, all or none


def test_the_same_event_twice_is_one_row(bench: Bench) -> None:
    """An event that is sent again after a lost answer is not a second event."""
    one = event(payload={"n": 1})
    bench.store.append_events([one])
    bench.store.append_events([one])
    assert len(bench.events()) == 1


def test_the_same_event_twice_in_one_call_is_one_row(bench: Bench) -> None:
    """Once is once within a call, too."""
    one = event()
    bench.store.append_events([one, event(), one])
    assert len(bench.events()) == 2


def test_several_events_are_appended_together(bench: Bench) -> None:
    """All events of a call are there, beside those that were there before."""
    events = [event(payload={"n": n}) for n in range(20)]
    bench.store.append_events(events[:5])
    bench.store.append_events(events)
    assert [row["event_id"] for row in bench.events()] == [one.event_id for one in events]


def test_all_events_or_none(bench: Bench) -> None:
    """When one event of a call cannot be written, none is."""
    bench.log()
    broken = replace(event(), source_system=None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="store"):
        bench.store.append_events([event(), broken, event()])
    assert bench.count("event_log") == 1


def test_no_events_is_no_error(bench: Bench) -> None:
    """Appending nothing adds nothing."""
    bench.store.append_events([])
    bench.store.create_tables()
    assert bench.count("event_log") == 0


def test_an_event_that_was_made_earlier_keeps_its_time(bench: Bench) -> None:
    """An event delivered late is stored with the id and the time of when it happened."""
    late = replace(event(status="failed"), created_at=datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    bench.store.append_events([late])
    [row] = bench.events()
    assert (row["event_id"], row["created_at"]) == (late.event_id, late.created_at)
    assert row["status"] == EventStatus.FAILED


# Bad arguments

LOOP: dict[str, Any] = {}
LOOP["loop"] = LOOP


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(
            ("event_type", bad)
            for bad in ("", None, 7, "started", "job.", ".started", "Job.Started", "job.a b")
        ),
        *(("source_system", bad) for bad in ("", "  ", None, 7, "\ud800")),
        *(("correlation_id", bad) for bad in ("", None, 7, "\udfff")),
        *(("trace_id", bad) for bad in ("", 7)),
        *(("object_type", bad) for bad in ("", 7)),
        *(("status", bad) for bad in ("", None, "OK", "error", 1, ["ok"])),
        *(("error_message", bad) for bad in ("", 7, "\ud800")),
        *(("idem_key", bad) for bad in ("", 7)),
        *(("payload", bad) for bad in ("{}", [], 7, b"{}", LOOP)),
        *(("payload", {"a": bad}) for bad in (math.nan, math.inf, b"", {1, 2}, object(), "\ud800", UTC)),
        *(("payload", bad) for bad in ({1: "a"}, {None: "a"}, {"a": [{2: "b"}]}, {"\ud800": 1})),
        ("payload", {"a": "x" * 65536}),
        *(("bq_client", bad) for bad in (None, "duckdb:///x.duckdb", object())),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) < 20 else type(value).__name__,
)
def test_a_bad_argument_is_named_and_nothing_is_written(
    empty_bench: Bench, argument: str, value: Any
) -> None:
    """Every bad argument is an ArgumentError that begins with its name."""
    with pytest.raises(ArgumentError, match=rf"^{argument}: "):
        empty_bench.log(**{argument: value})
    assert empty_bench.count("event_log") == 0
