"""One object that a store refuses costs only itself."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorchestra.errors import ObjectRefusedError
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import MergeCounts, StagedBatch
from lorchestra.stack_clients.event_client.objects import Target, keyed, merge_in_batches
from lorchestra.stores import Store, open_store
from lorchestra.stores.bigquery import BigQueryStore
from lorchestra.stores.duckdb import DuckDBStore
from tests.emulator.front import Fault, ServiceFront, rewrite
from tests.stores.conftest import RUN_ID, SOURCE
from tests.test_verify import WHEN


class RefusingStore(DuckDBStore):
    """A store that will not have some objects."""

    refused: frozenset[str] = frozenset()

    def merge(self, batch: StagedBatch) -> MergeCounts:
        if self.refused.intersection(batch.external_ids):
            raise ObjectRefusedError("store: refused")
        return super().merge(batch)


def merged(store: Store, ids: list[str], batch_size: int, **more: Any) -> Any:
    return merge_in_batches(
        keyed([{"id": one} for one in ids], gmail_idem_key(SOURCE), store=store),
        store=store,
        target=Target(
            source_system=SOURCE, object_type="email", correlation_id=RUN_ID, trace_id=None, seen_at=WHEN
        ),
        batch_size=batch_size,
        **more,
    )


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.sampled_from("abcdefghij"), max_size=20),
    bad=st.sets(st.sampled_from("abcdefghij"), max_size=6),
)
@pytest.mark.parametrize("batch_size", [7])
def test_all_others_are_merged(
    ids: list[str], bad: set[str], batch_size: int, open_file: Callable[..., Store]
) -> None:
    """Whatever objects it is, and in whatever batches; and the counts add up."""
    plain = open_file(f"{uuid4().hex}.duckdb")
    assert isinstance(plain, DuckDBStore)
    store = RefusingStore(plain.path, tables=plain.tables)
    store.refused = frozenset(bad)
    refused: list[str] = []

    result = merged(store, ids, batch_size, refused=lambda key, _: refused.append(key))

    store.create_tables()
    there = store.query("SELECT external_id FROM `events_dev.raw_objects`").to_pylist()
    assert {row["external_id"] for row in there} == set(ids) - bad
    assert {key.rpartition(":")[2] for key in refused} == set(ids) & bad
    assert result.refused == len(refused)
    assert result.records == len(ids)
    assert result.inserted == len(set(ids) - bad)


def test_a_store_that_refuses_everything_has_another_trouble(open_file: Callable[..., Store]) -> None:
    plain = open_file()
    assert isinstance(plain, DuckDBStore)
    store = RefusingStore(plain.path, tables=plain.tables)
    ids = [f"{number}" for number in range(100)]
    store.refused = frozenset(ids)
    refused: list[str] = []
    with pytest.raises(ObjectRefusedError):
        merged(store, ids, 100, refused=lambda key, _: refused.append(key))
    assert len(refused) == 20


def test_without_a_place_for_them_it_is_an_error(open_file: Callable[..., Store]) -> None:
    plain = open_file()
    assert isinstance(plain, DuckDBStore)
    store = RefusingStore(plain.path, tables=plain.tables)
    store.refused = frozenset("b")
    with pytest.raises(ObjectRefusedError):
        merged(store, ["a", "b"], 5)


def test_bigquery_says_which_load_it_refuses(bigquery_service: ServiceFront) -> None:
    """As the service does for JSON that is nested deeper than it keeps."""
    store = open_store(f"bigquery://p{uuid4().hex[:20]}/events_dev", busy_timeout_seconds=3)
    assert isinstance(store, BigQueryStore)
    store.create_tables()

    def refuse(job: dict[str, Any]) -> dict[str, Any]:
        trouble = {"reason": "invalid", "location": "file", "message": "Error while reading data: too nested"}
        return {**job, "status": {"state": "DONE", "errorResult": trouble, "errors": [trouble]}}

    bigquery_service.fail(
        Fault(method="PUT", path="/upload/", body='"id":"bad"', action=rewrite(refuse), times=99)
    )
    refused: list[str] = []
    result = merged(store, ["a", "b", "bad", "c"], 10, refused=lambda key, _: refused.append(key))
    assert refused == [f"{SOURCE}:email:bad"]
    assert (result.inserted, result.refused) == (3, 1)
    [left] = store.query("SELECT COUNT(*) AS n FROM `events_dev.raw_objects`").to_pylist()
    assert left["n"] == 3
    assert result.usage["staging_tables_left"] == 0
