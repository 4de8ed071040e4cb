"""What every store promises about its tables: made when missing, compared, never altered."""

import json

import pytest

from lorchestra.model import Difference
from tests.stores.conftest import Bench

EVENT_LOG = "event_log"
RAW_OBJECTS = "raw_objects"


def named(bench: Bench) -> set[tuple[str, str | None]]:
    return {(difference.table, difference.column) for difference in bench.store.check_tables()}


def test_nothing_is_there_before(bare_bench: Bench) -> None:
    """A store that was only opened has no tables, and looking makes none."""
    for _ in range(2):
        assert bare_bench.store.check_tables() == [
            Difference(table=EVENT_LOG, column=None, expected="a table", found=None),
            Difference(table=RAW_OBJECTS, column=None, expected="a table", found=None),
        ]


def test_created_tables_fit(bench: Bench) -> None:
    """What create_tables makes is what check_tables wants."""
    bench.store.create_tables()
    assert bench.store.check_tables() == []


def test_creating_twice_is_free(bench: Bench) -> None:
    """Creating again, from this store or another, keeps every row."""
    bench.store.create_tables()
    bench.upsert([{"id": "1"}])
    bench.log()
    before = (bench.objects(), bench.events())

    bench.store.create_tables()
    bench.reopened().create_tables()

    assert (bench.objects(), bench.events()) == before
    assert bench.store.check_tables() == []


def test_the_tables_have_the_specified_columns(bench: Bench) -> None:
    """Columns in the order of the specification, no others."""
    bench.store.create_tables()
    assert bench.store.query("SELECT * FROM `events_dev.event_log`").column_names == [
        "event_id",
        "event_type",
        "source_system",
        "object_type",
        "idem_key",
        "correlation_id",
        "trace_id",
        "created_at",
        "status",
        "error_message",
        "payload",
    ]
    assert bench.store.query("SELECT * FROM `events_dev.raw_objects`").column_names == [
        "idem_key",
        "source_system",
        "object_type",
        "external_id",
        "payload",
        "first_seen",
        "last_seen",
    ]


@pytest.mark.parametrize("table", [EVENT_LOG, RAW_OBJECTS])
def test_a_missing_table_is_named_and_made(bench: Bench, table: str) -> None:
    """A table that is gone is a difference; create_tables makes it, and only it."""
    bench.upsert([{"id": "1"}])
    bench.log()
    bench.run_sql(f"DROP TABLE {{{table}}}")
    assert bench.store.check_tables() == [
        Difference(table=table, column=None, expected="a table", found=None)
    ]

    bench.reopened().create_tables()

    assert bench.store.check_tables() == []
    assert bench.count(EVENT_LOG) + bench.count(RAW_OBJECTS) == 1


def test_a_missing_column_is_named(bench: Bench) -> None:
    """The difference says table, column and what is expected; found is None."""
    bench.store.create_tables()
    bench.run_sql("ALTER TABLE {event_log} DROP COLUMN trace_id")
    [difference] = bench.store.check_tables()
    assert (difference.table, difference.column, difference.found) == (EVENT_LOG, "trace_id", None)
    assert difference.expected == bench.kind.types["STRING"]


def test_a_wrong_type_is_named(bench: Bench) -> None:
    """The difference says which type is there and which is expected."""
    bench.store.create_tables()
    bench.run_sql("ALTER TABLE {raw_objects} DROP COLUMN external_id")
    bench.run_sql("ALTER TABLE {raw_objects} ADD COLUMN external_id {INT64}")
    types = bench.kind.types
    assert bench.store.check_tables() == [
        Difference(table=RAW_OBJECTS, column="external_id", expected=types["STRING"], found=types["INT64"])
    ]


def test_a_column_that_may_be_null_and_must_not_is_named(bench: Bench) -> None:
    """Nullability is part of a column."""
    bench.store.create_tables()
    bench.run_sql("ALTER TABLE {event_log} ALTER COLUMN correlation_id DROP NOT NULL")
    [difference] = bench.store.check_tables()
    assert (difference.table, difference.column) == (EVENT_LOG, "correlation_id")
    assert (difference.expected, difference.found) == (f"{difference.found} NOT NULL", difference.found)


def test_a_column_that_must_not_be_null_and_may_is_named(bench: Bench) -> None:
    """An event_log of before, whose idem_key is required, is a difference."""
    bench.store.create_tables()
    bench.run_sql("DROP TABLE {event_log}")
    bench.run_sql(
        """CREATE TABLE {event_log} (
               event_id {STRING} NOT NULL, event_type {STRING} NOT NULL, source_system {STRING} NOT NULL,
               object_type {STRING} NOT NULL, idem_key {STRING} NOT NULL, correlation_id {STRING} NOT NULL,
               created_at {TIMESTAMP} NOT NULL, status {STRING} NOT NULL, error_message {STRING})"""
    )
    assert named(bench) == {
        (EVENT_LOG, "object_type"),
        (EVENT_LOG, "idem_key"),
        (EVENT_LOG, "trace_id"),
        (EVENT_LOG, "payload"),
    }


def test_an_older_event_log_is_migrated(bench: Bench) -> None:
    """The statements shown for an event_log of before bring it up to date; its rows and raw_objects stay."""
    bench.store.create_tables()
    bench.upsert([{"id": "1"}])
    bench.run_sql("DROP TABLE {event_log}")
    bench.run_sql(
        """CREATE TABLE {event_log} (
               event_id {STRING} NOT NULL, event_type {STRING} NOT NULL, source_system {STRING} NOT NULL,
               object_type {STRING}, idem_key {STRING} NOT NULL, correlation_id {STRING} NOT NULL,
               created_at {TIMESTAMP} NOT NULL, status {STRING} NOT NULL, error_message {STRING})"""
    )
    bench.run_sql(
        """INSERT INTO {event_log} (event_id, event_type, source_system, idem_key, correlation_id, created_at,
                                    status)
           VALUES ('0', 'email.received', 'tap', 'k', 'run', CURRENT_TIMESTAMP, 'ok')"""
    )
    store = bench.reopened()
    assert all(difference.mend for difference in store.check_tables())

    store.migrate()
    store.migrate()

    assert store.check_tables() == []
    bench.log(payload={"a": 1}, trace_id="0af7651916cd43dd8448eb211c80319c")
    old, new = bench.events()
    assert (old["idem_key"], old["payload"], old["trace_id"]) == ("k", None, None)
    assert json.loads(new["payload"]) == {"a": 1}
    assert bench.count("raw_objects") == 1


def test_migrating_never_touches_raw_objects(bench: Bench) -> None:
    """What differs there is told of, with the statement that mends it, and left alone."""
    bench.store.create_tables()
    bench.run_sql("ALTER TABLE {raw_objects} DROP COLUMN external_id")
    before = bench.store.check_tables()
    bench.reopened().migrate()
    assert bench.store.check_tables() == before
    assert "external_id" in str(before[0].mend)


def test_migrating_what_is_not_there_makes_nothing(bare_bench: Bench) -> None:
    """Without tables there is nothing to bring up to date."""
    bare_bench.store.migrate()
    assert len(bare_bench.store.check_tables()) == 2


def test_columns_of_others_are_named_in_order(bench: Bench) -> None:
    """Columns that this version does not know are differences."""
    bench.store.create_tables()
    for name in ("note", "extra", "another"):
        bench.run_sql(f"ALTER TABLE {{event_log}} ADD COLUMN {name} {{STRING}}")
    assert [difference.column for difference in bench.store.check_tables()] == ["note", "extra", "another"]
    assert {difference.expected for difference in bench.store.check_tables()} == {"no such column"}


def test_what_exists_is_never_altered(bench: Bench) -> None:
    """create_tables leaves a table that differs as it is, with its rows."""
    bench.log(trace_id="kept")
    bench.run_sql("ALTER TABLE {event_log} ADD COLUMN note {STRING}")
    bench.run_sql("ALTER TABLE {event_log} DROP COLUMN object_type")
    before = (bench.store.check_tables(), bench.events())

    bench.reopened().create_tables()

    assert (bench.store.check_tables(), bench.events()) == before


def test_writing_into_tables_that_differ_says_how_to_see_it(bench: Bench) -> None:
    """A store whose tables do not fit refuses, and names the command that tells the difference."""
    bench.store.create_tables()
    bench.run_sql("ALTER TABLE {event_log} DROP COLUMN trace_id")
    with pytest.raises(Exception, match="store") as caught:
        bench.log(trace_id="0af7651916cd43dd8448eb211c80319c")
    assert type(caught.value).__name__ == "StoreSchemaError"
    assert "setup" in str(getattr(caught.value, "next_step", ""))


def test_a_store_can_be_closed_twice(bench: Bench) -> None:
    """Closing is harmless, and a store is a context manager."""
    with bench.store as entered:
        entered.create_tables()
        entered.close()
    bench.store.close()
