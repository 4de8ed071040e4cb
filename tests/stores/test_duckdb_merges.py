"""How the DuckDB store tells changed from unchanged, and for how long it keeps its file to itself."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from lorchestra.errors import StoreUnreachableError
from lorchestra.model import UpsertResult
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stores import Store
from lorchestra.stores.base import held

OpenFile = Callable[..., Store]
DIGESTS = "events_dev__private.raw_objects_digest"
FILE = "lorchestra.duckdb"


def upsert(store: Store, objects: dict[str, Any] | Iterator[tuple[str, Any]]) -> UpsertResult:
    pairs = objects.items() if isinstance(objects, dict) else objects
    return upsert_objects(
        objects=({"id": key, "value": value} for key, value in pairs),
        source_system="s",
        object_type="t",
        correlation_id="c",
        idem_key_fn=lambda obj: f"s:t:{obj['id']}",
        bq_client=store,
    )


def counts(result: UpsertResult) -> tuple[int, int, int]:
    return result.inserted, result.updated, result.unchanged


def by_hand(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path) as connection:
        return connection.execute(statement).fetchall()


def forget_digests(path: Path, natural_ids: Iterable[str]) -> None:
    with duckdb.connect(path) as connection:
        [(seed,)] = connection.execute(f"SELECT seed FROM {DIGESTS}_seed").fetchall()
        hashes = [xxh3_64_intdigest(f"s:t:{one}".encode(), seed=seed) for one in natural_ids]
        statement = f"DELETE FROM {DIGESTS} WHERE key_hash IN (SELECT unnest($hashes::UBIGINT[]))"
        connection.execute(statement, {"hashes": hashes})


# Changed or not


def test_without_digests_payloads_are_compared_once(open_file: OpenFile, tmp_path: Path) -> None:
    """A file whose digests are gone, or of another version, is counted as if they were there."""
    store, file = open_file(), tmp_path / FILE
    upsert(store, {"1": "a", "2": "b", "3": "c"})
    forget_digests(file, "12")

    assert counts(upsert(store, {"1": "a", "2": "changed", "3": "c", "4": "d"})) == (1, 1, 2)

    assert by_hand(file, f"SELECT count(*), count(DISTINCT key_hash) FROM {DIGESTS}") == [(4, 4)]
    assert counts(upsert(store, {"1": "a", "2": "changed", "3": "c", "4": "d"})) == (0, 0, 4)


def test_the_digest_of_a_row_that_is_gone_is_not_believed(open_file: OpenFile, tmp_path: Path) -> None:
    """A row deleted by hand comes back as what the source has, however often it changes to and fro."""
    store, file = open_file(), tmp_path / FILE
    upsert(store, {"1": "first"})
    by_hand(file, "DELETE FROM events_dev.raw_objects")

    assert counts(upsert(store, {"1": "second"})) == (1, 0, 0)
    assert counts(upsert(store, {"1": "first"})) == (0, 1, 0)

    assert by_hand(file, "SELECT payload ->> 'value' FROM events_dev.raw_objects") == [("first",)]


def test_every_file_has_digests_of_its_own(open_file: OpenFile, tmp_path: Path) -> None:
    """Nobody who does not have the file can make two payloads that it takes for one."""
    seen = set()
    for name in ("a.duckdb", "b.duckdb"):
        upsert(open_file(name), {"1": "x"})
        [(digest,)] = by_hand(tmp_path / name, f"SELECT (key_hash, payload_hash) FROM {DIGESTS}")
        seen.add(digest)
    assert len(seen) == 2


def test_a_key_that_was_doubled_by_hand_is_one_row_again_when_it_changes(
    open_file: OpenFile, tmp_path: Path
) -> None:
    """Until then it counts as one object, and the earliest first_seen is kept."""
    store, file = open_file(), tmp_path / FILE
    first = upsert(store, {"1": "a"})
    by_hand(
        file,
        "INSERT INTO events_dev.raw_objects SELECT * REPLACE (first_seen + INTERVAL 1 HOUR AS first_seen)"
        " FROM events_dev.raw_objects",
    )

    assert counts(upsert(store, {"1": "a", "2": "b"})) == (1, 0, 1)
    assert counts(upsert(store, {"1": "changed", "2": "b"})) == (0, 1, 1)

    rows = by_hand(file, "SELECT epoch_us(first_seen) FROM events_dev.raw_objects WHERE external_id = '1'")
    assert rows == [(int(first.seen_at.timestamp() * 1_000_000 + 0.5),)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
            st.sets(st.sampled_from("abcdef"), max_size=3),
            st.sets(st.sampled_from("abcdef"), max_size=3),
        ),
        max_size=5,
    )
)
def test_whatever_is_deleted_by_hand_between_runs(
    runs: list[tuple[dict[str, int], set[str], set[str]]], open_file: OpenFile, tmp_path: Path
) -> None:
    """Rows or digests: each run counts exactly, and leaves what its objects are."""
    name = f"{time.monotonic_ns()}.duckdb"
    store, there = open_file(name), dict[str, int]()
    for objects, rows_gone, digests_gone in runs:
        inserted = sum(key not in there for key in objects)
        updated = sum(key in there and there[key] != value for key, value in objects.items())
        assert counts(upsert(store, dict(objects))) == (inserted, updated, len(objects) - inserted - updated)
        there |= objects
        if objects:
            keys = ", ".join(f"'{key}'" for key in rows_gone) or "''"
            by_hand(tmp_path / name, f"DELETE FROM events_dev.raw_objects WHERE external_id IN ({keys})")
            forget_digests(tmp_path / name, digests_gone)
            there = {key: value for key, value in there.items() if key not in rows_gone}
            stored = by_hand(
                tmp_path / name, "SELECT external_id, (payload -> 'value')::INT FROM events_dev.raw_objects"
            )
            assert dict(stored) == there
            assert len(stored) == len(there)


@pytest.mark.parametrize("dataset", ["memory", "the_file", "lorchestra_file"])
def test_a_dataset_may_be_named_like_a_database_of_the_engine(open_file: OpenFile, dataset: str) -> None:
    """Its tables are found where they were made."""
    store = open_file(dataset=dataset)
    assert counts(upsert(store, {"1": "a"})) == (1, 0, 0)
    assert counts(upsert(store, {"1": "a"})) == (0, 0, 1)


def test_who_shares_the_file_in_this_process_keeps_the_order_of_rows(
    open_file: OpenFile, tmp_path: Path
) -> None:
    """A merge into a file that a notebook has open does not change how its queries answer."""
    store = open_file()
    store.create_tables()
    with duckdb.connect(tmp_path / FILE) as connection:
        upsert(store, {"1": "a"})
        setting = "SELECT current_setting('preserve_insertion_order')"
        assert connection.execute(setting).fetchall() == [(True,)]


# Held from one merge to the next


def test_who_waits_for_the_file_gets_it_between_two_merges(open_file: OpenFile) -> None:
    """A load that never pauses keeps nobody waiting for longer than a merge takes."""
    store, other = open_file(), open_file(busy_timeout_seconds=5)
    store.create_tables()
    stop = threading.Event()

    def endless() -> Iterator[tuple[str, Any]]:
        number = 0
        while not stop.is_set():
            number += 1
            yield str(number), "x" * 20_000

    loading = threading.Thread(target=upsert, args=(store, endless()))
    loading.start()
    try:
        waited = []
        for _ in range(3):
            time.sleep(0.3)
            began = time.monotonic()
            log_event(event_type="job.started", source_system="s", correlation_id="c", bq_client=other)
            waited.append(time.monotonic() - began)
    finally:
        stop.set()
        loading.join()
    assert max(waited) < 5
    assert other.query("SELECT COUNT(*) AS n FROM `events_dev.event_log`").to_pylist() == [{"n": 3}]


def test_a_file_that_goes_between_two_merges_is_missed(open_file: OpenFile, tmp_path: Path) -> None:
    """Nothing is merged into a file that nobody will find again."""
    store = open_file()
    upsert(store, {"1": "a"})
    with held(store):
        store.merge(_batch(store, "2"))
        (tmp_path / FILE).rename(tmp_path / "elsewhere.duckdb")
        with pytest.raises(StoreUnreachableError, match="gone"):
            store.merge(_batch(store, "3"))
        (tmp_path / "elsewhere.duckdb").rename(tmp_path / FILE)
        store.merge(_batch(store, "4"))
    rows = by_hand(tmp_path / FILE, "SELECT idem_key FROM events_dev.raw_objects ORDER BY idem_key")
    assert rows == [("s:t:1",), ("s:t:2",), ("s:t:4",)]


def test_letting_go_closes_the_file_at_once(open_file: OpenFile, tmp_path: Path) -> None:
    """And the next merge opens it again."""
    store = open_file()
    with held(store) as let_go:
        store.merge(_batch(store, "1"))
        let_go()
        assert by_hand(tmp_path / FILE, "SELECT count(*) FROM events_dev.raw_objects") == [(1,)]
        store.merge(_batch(store, "2"))
    assert by_hand(tmp_path / FILE, "SELECT count(*) FROM events_dev.raw_objects") == [(2,)]


def _batch(store: Store, natural_id: str) -> Any:
    from datetime import UTC, datetime

    from lorchestra.model import StagedBatch

    return StagedBatch(
        source_system="s",
        object_type="t",
        correlation_id="c",
        trace_id=None,
        index=0,
        seen_at=datetime.now(UTC),
        idem_keys=[f"s:t:{natural_id}"],
        external_ids=[natural_id],
        payloads=[b'{"id":1}'],
    )
