"""What a store promises about objects that are seen again without being read."""

from lorchestra.stores.base import TouchesObjects
from tests.stores.conftest import RUN_ID, Bench
from tests.stores.test_conformance_objects import LATER, T0, key, staged


def test_seen_objects_only_move_their_last_seen(bench: Bench) -> None:
    """What a source still has is noted without its payload; keys that are not there stay so."""
    store = bench.store
    assert isinstance(store, TouchesObjects)
    store.merge(staged({key(1): {"id": "1"}, key(2): {"id": "2"}, key(3): {"id": "3"}}))

    store.touch([key(3), key(1), key("none")], seen_at=LATER, correlation_id=RUN_ID)

    rows = {row["idem_key"]: row for row in bench.objects()}
    assert {name: row["last_seen"] for name, row in rows.items()} == {
        key(1): LATER,
        key(2): T0,
        key(3): LATER,
    }
    assert {row["first_seen"] for row in rows.values()} == {T0}
    assert rows[key(1)]["payload"] == {"id": "1"}


def test_an_earlier_look_does_not_take_last_seen_back(bench: Bench) -> None:
    """Touching is as repeatable as merging, and two runs may touch in any order."""
    store = bench.store
    assert isinstance(store, TouchesObjects)
    store.merge(staged({key(1): {"id": "1"}}, seen_at=LATER))

    for seen_at in (T0, LATER, T0):
        store.touch([key(1)], seen_at=seen_at, correlation_id=RUN_ID)
    store.touch([], seen_at=LATER, correlation_id=RUN_ID)

    assert [row["last_seen"] for row in bench.objects()] == [LATER]
    # What was touched is still known for what it is.
    assert store.merge(staged({key(1): {"id": "1"}}, seen_at=LATER)).unchanged == 1
