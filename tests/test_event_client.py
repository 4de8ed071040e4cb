"""The event client as the specification's second step lists it.

What every store promises beyond that stands in `tests/stores`.
"""

import importlib
import inspect
import itertools
import json
import pkgutil
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lorchestra
from lorchestra.errors import ArgumentError, ObjectError
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import BatchBounds, MergeCounts, StagedBatch
from lorchestra.stack_clients import event_client
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stores import Store

SOURCE = "tap-gmail--acct1-personal"
RUN_ID = "gmail_ingest_acct1-20251124143000"
PACKAGE = Path(lorchestra.__file__).parent
KIB_64 = 64 * 1024


def rows(store: Store, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.query(sql).to_pylist()
    return found


def log(store: Store, **overrides: Any) -> str:
    arguments: dict[str, Any] = {
        "event_type": "ingestion.completed",
        "source_system": SOURCE,
        "correlation_id": RUN_ID,
        "bq_client": store,
    }
    return log_event(**(arguments | overrides))


def upsert(store: Store, objects: Any, **overrides: Any) -> Any:
    arguments: dict[str, Any] = {
        "source_system": SOURCE,
        "object_type": "email",
        "correlation_id": RUN_ID,
        "idem_key_fn": gmail_idem_key(SOURCE),
        "bq_client": store,
    }
    return upsert_objects(objects=objects, **(arguments | overrides))


def emails(number: int) -> list[dict[str, Any]]:
    return [{"id": f"18c2{n:04x}", "snippet": f"Mail {n}"} for n in range(number)]


# log_event() writes to event_log with small payload


def test_log_event_writes_a_small_payload(duckdb_store: Store) -> None:
    """One call is one row with its telemetry, and idem_key is NULL."""
    event_id = log(
        duckdb_store, object_type="email", payload={"records_extracted": 100, "duration_seconds": 2.5}
    )

    [row] = rows(duckdb_store, "SELECT * FROM `events_dev.event_log`")

    assert row["event_id"] == event_id
    assert (row["event_type"], row["correlation_id"]) == ("ingestion.completed", RUN_ID)
    assert row["idem_key"] is None
    assert json.loads(row["payload"]) == {"records_extracted": 100, "duration_seconds": 2.5}


def test_the_limit_of_a_payload_is_64_kib(duckdb_store: Store) -> None:
    """A payload of exactly 65,536 bytes of JSON is written; one byte more is refused and writes nothing."""
    frame = len(json.dumps({"text": ""}))
    log(duckdb_store, payload={"text": "x" * (KIB_64 - frame)})

    with pytest.raises(ArgumentError, match=r"^payload: is 65537 bytes, the limit is 65536$") as caught:
        log(duckdb_store, payload={"text": "x" * (KIB_64 - frame + 1)})

    assert "upsert_objects" in (caught.value.next_step or "")
    assert rows(duckdb_store, "SELECT COUNT(*) AS n FROM `events_dev.event_log`") == [{"n": 1}]


def test_the_limit_counts_bytes_not_characters(duckdb_store: Store) -> None:
    """Characters outside ASCII count as the bytes of their UTF-8."""
    frame = len(json.dumps({"text": ""}))
    half = (KIB_64 - frame) // 2
    log(duckdb_store, payload={"text": "ä" * half})
    with pytest.raises(ArgumentError, match=r"^payload: "):
        log(duckdb_store, payload={"text": "ä" * (half + 1)})


# upsert_objects() performs batch MERGE correctly


def test_a_batch_of_objects_is_one_merge(duckdb_store: Store) -> None:
    """A hundred new objects are inserted in one batch, and merged again they are unchanged."""
    first = upsert(duckdb_store, emails(100))
    again = upsert(duckdb_store, emails(100))

    assert (first.records, first.inserted, first.batches) == (100, 100, 1)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 100)
    assert rows(
        duckdb_store,
        """SELECT COUNT(*) AS n, COUNT(DISTINCT idem_key) AS keys_, MIN(last_seen) AS last
           FROM `events_dev.raw_objects`""",
    ) == [{"n": 100, "keys_": 100, "last": again.seen_at}]


def test_no_event_is_written_for_an_object(duckdb_store: Store) -> None:
    """Upserting is an action: event_log stays empty."""
    upsert(duckdb_store, emails(10))
    assert rows(duckdb_store, "SELECT COUNT(*) AS n FROM `events_dev.event_log`") == [{"n": 0}]


# upsert_objects() handles custom idem_key_fn


def test_a_custom_idem_key_fn_decides_the_identity(duckdb_store: Store) -> None:
    """Objects without an `id` are stored under whatever key the function gives."""
    objects = [{"region": "eu", "sku": 7}, {"region": "us", "sku": 7}, {"region": "eu", "sku": 7, "n": 2}]

    upsert(duckdb_store, objects, idem_key_fn=lambda obj: f"shop:sku:{obj['region']}/{obj['sku']}")

    found = rows(duckdb_store, "SELECT idem_key, payload FROM `events_dev.raw_objects` ORDER BY idem_key")
    assert [(row["idem_key"], json.loads(row["payload"])) for row in found] == [
        ("shop:sku:eu/7", objects[2]),
        ("shop:sku:us/7", objects[1]),
    ]


def test_idem_key_fn_is_required(duckdb_store: Store) -> None:
    """There is no key that is guessed: leaving idem_key_fn out is a TypeError."""
    with pytest.raises(TypeError, match="idem_key_fn"):
        upsert_objects(  # type: ignore[call-arg]
            objects=emails(1),
            source_system=SOURCE,
            object_type="email",
            correlation_id=RUN_ID,
            bq_client=duckdb_store,
        )


# upsert_objects() processes in batches and respects batch_size


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 10), (3, 4), (5, 2), (10, 1), (11, 1)])
def test_batch_size_is_respected(duckdb_store: Store, batch_size: int, batches: int) -> None:
    """Ten objects are merged in as many batches as batch_size asks for."""
    result = upsert(duckdb_store, emails(10), batch_size=batch_size)
    assert (result.inserted, result.batches) == (10, batches)


def test_nothing_is_materialised(duckdb_store: Store) -> None:
    """Objects are stored while the source still has more: one that waits for that comes to its end."""
    duckdb_store.create_tables()
    gives_up_at = time.monotonic() + 60

    def source() -> Iterator[dict[str, Any]]:
        for number in itertools.count():
            assert time.monotonic() < gives_up_at
            yield {"id": str(number)}
            if rows(duckdb_store, "SELECT COUNT(*) AS n FROM `events_dev.raw_objects`") != [{"n": 0}]:
                return

    assert upsert(duckdb_store, source(), batch_size=4).batches >= 1


def test_objects_of_an_endless_source_arrive(duckdb_store: Store) -> None:
    """A source that never ends is stored batch by batch until it is stopped."""

    class Stopped(Exception):  # noqa: N818 - ends the source, reports nothing
        pass

    def source() -> Iterator[dict[str, Any]]:
        number = 0
        while True:
            if number == 25:
                raise Stopped
            yield {"id": str(number)}
            number += 1

    with pytest.raises(Stopped):
        upsert(duckdb_store, source(), batch_size=10)
    assert rows(duckdb_store, "SELECT COUNT(*) AS n FROM `events_dev.raw_objects`") == [{"n": 20}]


def test_the_default_batch_is_5000_objects(duckdb_store: Store) -> None:
    """Without batch_size a batch closes at 5000 objects."""
    assert upsert(duckdb_store, ({"id": str(n)} for n in range(5001))).batches == 2


@pytest.mark.parametrize("form", [list, tuple, iter, lambda objects: (obj for obj in objects)])
def test_lists_and_iterators_are_the_same(duckdb_store: Store, form: Any) -> None:
    """Any iterable will do."""
    assert upsert(duckdb_store, form(emails(7)), batch_size=3).inserted == 7


# emit() has been removed entirely


def test_emit_does_not_exist() -> None:
    """No module of the package has an `emit`, and no line defines or calls one."""
    assert sorted(event_client.__all__) == ["log_event", "upsert_objects"]
    for module in pkgutil.walk_packages([str(PACKAGE)], "lorchestra."):
        if not module.name.endswith("__main__"):
            assert not hasattr(importlib.import_module(module.name), "emit"), module.name
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"\bemit\s*\(", path.read_text(encoding="utf-8")), path


# The signatures


def signature_of(function: Any) -> list[tuple[str, Any]]:
    parameters = inspect.signature(function).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    return [(parameter.name, parameter.default) for parameter in parameters]


def test_log_event_has_the_agreed_signature() -> None:
    """Names, order and defaults are a contract; everything is given by keyword."""
    required = inspect.Parameter.empty
    assert signature_of(log_event) == [
        ("event_type", required),
        ("source_system", required),
        ("correlation_id", required),
        ("bq_client", required),
        ("trace_id", None),
        ("object_type", None),
        ("status", "ok"),
        ("error_message", None),
        ("idem_key", None),
        ("payload", None),
    ]
    assert inspect.signature(log_event).return_annotation is str


def test_upsert_objects_has_the_agreed_signature() -> None:
    """Names, order and defaults are a contract; idem_key_fn has no default."""
    required = inspect.Parameter.empty
    assert signature_of(upsert_objects) == [
        ("objects", required),
        ("source_system", required),
        ("object_type", required),
        ("correlation_id", required),
        ("idem_key_fn", required),
        ("bq_client", required),
        ("trace_id", None),
        ("batch_size", 5000),
    ]


# bq_client


def test_any_store_is_a_bq_client() -> None:
    """A store of someone else's, with the protocol's methods, is taken as it is."""
    merged: list[StagedBatch] = []

    class Theirs(Recorder):
        def merge(self, batch: StagedBatch) -> MergeCounts:
            merged.append(batch)
            return MergeCounts(inserted=len(batch.idem_keys), updated=0, unchanged=0)

    before = datetime.now(UTC)
    result = upsert(Theirs(), [*emails(3), *emails(1)], batch_size=2, trace_id="t")

    assert (result.records, result.batches, result.inserted, result.duplicates) == (4, 2, 4, 0)
    assert [batch.index for batch in merged] == [0, 1]
    assert {(batch.correlation_id, batch.trace_id) for batch in merged} == {(RUN_ID, "t")}
    assert {batch.seen_at for batch in merged} == {result.seen_at}
    assert before <= result.seen_at <= datetime.now(UTC)
    assert [len(set(batch.idem_keys)) for batch in merged] == [2, 2]
    assert merged[0].payloads[0] == b'{"id":"18c20000","snippet":"Mail 0"}'


def test_what_is_no_store_is_refused() -> None:
    """Anything else is an ArgumentError that says what to pass."""
    for wrong in (None, "duckdb:///x.duckdb", object()):
        with pytest.raises(ArgumentError, match=r"^bq_client: ") as caught:
            log(wrong)  # type: ignore[arg-type]
        assert "open_store" in (caught.value.next_step or "")


class Recorder:
    """A store that keeps nothing; tests say what its methods do."""

    tables: Any = None
    batch_bounds = BatchBounds(bytes=16 * 1024 * 1024, seconds=20.0)

    def migrate(self) -> None: ...

    def create_tables(self) -> None: ...

    def check_tables(self) -> list[Any]:
        return []

    def append_events(self, events: Any) -> None: ...

    def merge(self, batch: StagedBatch) -> MergeCounts:
        return MergeCounts(inserted=len(batch.idem_keys), updated=0, unchanged=0)

    def query(self, sql: str, parameters: Any = None) -> Any: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


# Errors name the field, never the value

MARKER = "Paracelsus-4711"
bad_values = st.sampled_from([float("nan"), float("inf"), "\ud800", b"", {1: 2}, {1, 2}, object()])
contents = st.recursive(
    st.sampled_from([MARKER, f"{MARKER}\ud800", f"\0{MARKER}", [MARKER]]) | bad_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just(MARKER), inner, max_size=1),
    max_leaves=6,
)


def everything_said(error: BaseException) -> str:
    """The error's text and next step, and those of each cause a traceback would show."""
    said = f"{error} {error.args} {getattr(error, 'next_step', '')}"
    if error.__cause__ is not None:
        said += everything_said(error.__cause__)
    elif error.__context__ is not None and not error.__suppress_context__:
        said += everything_said(error.__context__)
    return said


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=contents)
def test_no_error_repeats_a_value(content: Any) -> None:
    """Whatever is wrong with a payload or an object, no error shows what stands in it."""
    for work in (
        lambda: log(Recorder(), payload={"a": content}),
        lambda: log(Recorder(), payload=content),
        lambda: log(Recorder(), payload={MARKER: content, "size": MARKER * 6000}),
        lambda: log(Recorder(), status=content),
        lambda: upsert(Recorder(), [{"id": "1", "a": content}]),
        lambda: upsert(Recorder(), [{"id": content}]),
        lambda: upsert(Recorder(), [content]),
        lambda: upsert(Recorder(), [{MARKER: content}], idem_key_fn=lambda obj: obj["uid"]),
        lambda: upsert(Recorder(), [{"a": content}], idem_key_fn=lambda _: int(MARKER)),
        lambda: upsert(Recorder(), [{"id": "1"}], idem_key_fn=lambda _, c=content: c),
    ):
        said = ""
        try:
            work()
        except (ArgumentError, ObjectError) as error:
            said = everything_said(error)
        assert MARKER not in said
