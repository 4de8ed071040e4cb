"""What every store promises about `raw_objects`, asked through `upsert_objects` and the `Store` protocol."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorchestra.errors import ArgumentError, IdemKeyError, ObjectError, StoreSchemaError
from lorchestra.model import MergeCounts, StagedBatch
from tests.stores.conftest import RUN_ID, SOURCE, Bench

T0 = datetime(2025, 11, 20, 8, 0, 0, 123456, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)
SECRET = "Paracelsus-4711"

# A store is made anew in each example, so the function-scoped factory is safe to share between them.
laws = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)


def key(natural_id: object) -> str:
    return f"{SOURCE}:email:{natural_id}"


def mail(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": str(number), "snippet": f"Mail {number}", "labelIds": ["INBOX"], **fields}


def staged(objects: dict[str, Any], *, seen_at: datetime = T0, object_type: str = "email") -> StagedBatch:
    payloads = [json.dumps(payload, sort_keys=True).encode() for payload in objects.values()]
    return StagedBatch(
        source_system=SOURCE,
        object_type=object_type,
        correlation_id=RUN_ID,
        trace_id=None,
        index=0,
        seen_at=seen_at,
        idem_keys=list(objects),
        external_ids=[None] * len(objects),
        payloads=payloads,
    )


# New, unchanged, changed


def test_a_new_object_is_one_row_with_all_columns(bench: Bench) -> None:
    """A new key becomes a row whose first_seen and last_seen are the call's seen_at."""
    result = bench.upsert([mail(1)])

    assert (result.inserted, result.updated, result.unchanged) == (1, 0, 0)
    assert bench.objects() == [
        {
            "idem_key": key(1),
            "source_system": SOURCE,
            "object_type": "email",
            "external_id": "1",
            "payload": mail(1),
            "first_seen": result.seen_at,
            "last_seen": result.seen_at,
        }
    ]


def test_the_same_object_again_only_moves_last_seen(bench: Bench) -> None:
    """An identical object is unchanged: last_seen advances, first_seen and payload stay."""
    first = bench.upsert([mail(1)])

    again = bench.upsert([mail(1)])

    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 1)
    assert again.seen_at > first.seen_at
    [row] = bench.objects()
    assert (row["first_seen"], row["last_seen"]) == (first.seen_at, again.seen_at)
    assert row["payload"] == mail(1)


def test_a_changed_object_replaces_the_payload(bench: Bench) -> None:
    """A changed object is updated: payload replaced as a whole, first_seen kept."""
    first = bench.upsert([mail(1, extra="gone afterwards")])

    changed = bench.upsert([mail(1, labelIds=["STARRED"])])

    assert (changed.inserted, changed.updated, changed.unchanged) == (0, 1, 0)
    [row] = bench.objects()
    assert row["payload"] == mail(1, labelIds=["STARRED"])
    assert (row["first_seen"], row["last_seen"]) == (first.seen_at, changed.seen_at)


def test_a_change_and_its_reversal_are_two_updates(bench: Bench) -> None:
    """What is compared is the row as it stands, not any version before it."""
    states = [mail(1), mail(1, labelIds=[]), mail(1)]
    assert [bench.upsert([state]).updated for state in states] == [0, 1, 1]
    assert bench.payloads() == {key(1): mail(1)}


def test_new_changed_and_unchanged_in_one_batch(bench: Bench) -> None:
    """Each object of a batch is counted for what it is."""
    bench.upsert([mail(1), mail(2), mail(3)])
    result = bench.upsert([mail(1), mail(2, labelIds=[]), mail(3), mail(4), mail(5)])
    assert (result.inserted, result.updated, result.unchanged) == (2, 1, 2)
    assert set(bench.payloads()) == {key(n) for n in range(1, 6)}


def test_the_order_of_keys_in_an_object_does_not_matter(bench: Bench) -> None:
    """Objects that differ only in the order of their members, at any depth, are the same."""
    bench.upsert([{"id": "1", "a": {"x": 1, "y": [{"p": 1, "q": 2}]}}])
    again = bench.upsert([{"a": {"y": [{"q": 2, "p": 1}], "x": 1}, "id": "1"}])
    assert (again.updated, again.unchanged) == (0, 1)


def test_the_order_in_a_list_matters(bench: Bench) -> None:
    """A list in another order is another object."""
    bench.upsert([mail(1, labelIds=["A", "B"])])
    assert bench.upsert([mail(1, labelIds=["B", "A"])]).updated == 1


def test_another_runs_correlation_id_changes_nothing(bench: Bench) -> None:
    """Which run saw an object is no part of the object."""
    bench.upsert([mail(1)])
    assert bench.upsert([mail(1)], correlation_id="another-run", trace_id="0af7651916cd43dd").unchanged == 1


# Equal keys


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5000])
def test_of_equal_keys_the_last_wins(bench: Bench, batch_size: int) -> None:
    """Two objects with one key leave one row, the later one, within a batch and across batches."""
    result = bench.upsert(
        [mail(1, version=1), mail(2), mail(1, version=2), mail(1, version=3)], batch_size=batch_size
    )
    assert bench.payloads() == {key(1): mail(1, version=3), key(2): mail(2)}
    assert result.records == 4
    assert result.inserted == 2
    assert result.records == result.inserted + result.updated + result.unchanged + result.duplicates


def test_duplicates_are_counted_within_their_batch(bench: Bench) -> None:
    """An object that a later one of the same batch replaces is a duplicate."""
    result = bench.upsert([mail(1, version=n) for n in range(10)])
    assert (result.records, result.inserted, result.duplicates) == (10, 1, 9)


# Laws


@laws
@given(
    objects=st.lists(
        st.fixed_dictionaries(
            {"id": st.integers(0, 12).map(str)},
            optional={"v": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5))},
        ),
        max_size=25,
    ),
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_a_store_is_a_dict(
    new_bench: Callable[[], Bench], objects: list[dict[str, Any]], sizes: tuple[int, int]
) -> None:
    """Whatever comes, in whatever batches: the rows are those of a dict, and the counts add up."""
    bench, model = new_bench(), {key(obj["id"]): obj for obj in objects}
    bench.store.create_tables()

    first = bench.upsert(objects, batch_size=sizes[0])

    assert bench.payloads() == model
    assert first.records == len(objects)
    assert first.inserted == len(model)
    assert first.records == first.inserted + first.updated + first.unchanged + first.duplicates

    # Merging twice equals once.
    again = bench.upsert(list(model.values()), batch_size=sizes[1])
    assert bench.payloads() == model
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(model))


@laws
@given(data=st.data())
def test_neither_order_nor_batch_size_matter(new_bench: Callable[[], Bench], data: st.DataObject) -> None:
    """Distinct keys leave the same rows and the same counts in any order and any batches."""
    bench = new_bench()
    before = [mail(n) for n in range(8)]
    bench.upsert(before)
    after = [mail(n, labelIds=["NEW"] if n % 3 else ["INBOX"]) for n in range(4, 14)]

    shuffled = data.draw(st.permutations(after))
    result = bench.upsert(shuffled, batch_size=data.draw(st.integers(1, 12)))

    assert (result.inserted, result.updated, result.unchanged, result.duplicates) == (6, 3, 1, 0)
    assert bench.payloads() == {key(obj["id"]): obj for obj in [*before, *after]}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@laws
@given(values=st.lists(json_values, min_size=1, max_size=20))
def test_what_goes_in_comes_out(new_bench: Callable[[], Bench], values: list[Any]) -> None:
    """Any JSON value is kept as it is, and is unchanged when it comes again."""
    bench = new_bench()
    objects = [{"id": str(number), "value": value} for number, value in enumerate(values)]

    bench.upsert(objects)

    assert bench.payloads() == {key(obj["id"]): obj for obj in objects}
    assert bench.upsert(objects).unchanged == len(objects)


# Lazily, once, in batches


def test_nothing_to_merge_is_no_error(bench: Bench) -> None:
    """An empty iterable gives a result of zeros."""
    result = bench.upsert(iter(()))
    assert (result.records, result.inserted, result.batches, result.bytes) == (0, 0, 0, 0)


def test_never_far_ahead_of_what_is_stored(bench: Bench) -> None:
    """One batch is merged, one waits, one is collected: no more is pulled before some of it is stored."""
    bench.store.create_tables()
    bounds = bench.store.batch_bounds
    body = "x" * (bounds.bytes // 4)
    ahead: list[int] = []

    def source() -> Iterator[dict[str, Any]]:
        for number in range(24):
            ahead.append(number - bench.count("raw_objects"))
            yield mail(number, body=body)

    result = bench.upsert(source())

    assert min(ahead) >= 0
    assert max(ahead) <= 4 * (3 if bounds.join else 2)
    assert result.batches == 6
    assert bench.count("raw_objects") == 24


def test_a_batch_closes_at_its_bytes_too(bench: Bench) -> None:
    """Large objects close a batch before batch_size does: memory is bounded by bytes."""
    large = bench.store.batch_bounds.bytes * 3 // 16
    result = bench.upsert(mail(number, body="x" * large) for number in range(11))
    assert result.batches == 2
    assert result.bytes > 11 * large
    assert bench.count("raw_objects") == 11


def test_an_iterator_is_consumed_once(bench: Bench) -> None:
    """A generator, a list and any other iterable give the same."""
    objects = [mail(n) for n in range(7)]

    class Once:
        started = 0

        def __iter__(self) -> Iterator[dict[str, Any]]:
            self.started += 1
            return iter(objects)

    once = Once()
    assert bench.upsert(once, batch_size=3).inserted == 7
    assert once.started == 1
    assert bench.upsert((obj for obj in objects), batch_size=3).unchanged == 7
    assert bench.upsert(objects, batch_size=3).unchanged == 7
    assert bench.upsert(tuple(objects), batch_size=3).unchanged == 7


def test_a_failing_source_leaves_whole_batches(bench: Bench) -> None:
    """The iterator's own error comes through; batches before it are stored, the open one is not."""

    def source() -> Iterator[dict[str, Any]]:
        yield from (mail(n) for n in range(7))
        raise ConnectionResetError("the source hung up")

    with pytest.raises(ConnectionResetError, match="hung up"):
        bench.upsert(source(), batch_size=3)

    assert set(bench.payloads()) == {key(n) for n in range(6)}


def test_a_bad_record_leaves_whole_batches(bench: Bench) -> None:
    """A record that cannot be stored stops the call; batches before it are stored."""
    with pytest.raises(ObjectError, match=r"^objects: number 6: "):
        bench.upsert([*(mail(n) for n in range(5)), mail(5, size=math.nan)], batch_size=2)
    assert set(bench.payloads()) == {key(n) for n in range(4)}


# Values


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="empty object"),
        pytest.param([], id="empty list"),
        pytest.param("", id="empty text"),
        pytest.param({"a": None, "b": [None, {"c": None}]}, id="nulls inside"),
        pytest.param([0.1, 1e308, 5e-324, -0.0, 1.5e-7, 123456789.123456789], id="floats"),
        pytest.param([2**53 + 1, -(2**63), 2**64 - 1], id="64-bit integers"),
        pytest.param("\U0001f600 \U00010000 é\u0301 \u202e \uffff \u2028 \ufeff", id="unicode"),
        pytest.param({"": 1, "a.b": 2, "\U0001f600": 3, '"': 4, "$": 5}, id="odd member names"),
        pytest.param("'; DROP TABLE raw_objects; --", id="SQL"),
        pytest.param('\t\n\r\x01\x1f\\"/', id="control characters"),
        pytest.param("null", id="the word null"),
    ],
)
def test_a_value_is_kept(bench: Bench, value: Any) -> None:
    """Unusual but valid JSON is stored as it is and recognised again."""
    bench.upsert([mail(1, value=value)])
    assert bench.payloads() == {key(1): mail(1, value=value)}
    assert bench.upsert([mail(1, value=value)]).unchanged == 1


def test_an_empty_object_is_an_object(bench: Bench) -> None:
    """`{}` can be stored when the key comes from elsewhere."""
    bench.upsert([{}], idem_key_fn=lambda _: key("empty"))
    assert bench.payloads() == {key("empty"): {}}


def test_integers_beyond_64_bits_are_kept_or_refused(bench: Bench) -> None:
    """A large integer keeps all its digits where the store can; it never becomes another number silently."""
    wide = [mail(number, value=value) for number, value in enumerate((2**64, -(2**63) - 1, 10**40))]
    if not bench.kind.keeps_big_integers:
        for one in wide:
            with pytest.raises(ObjectError, match=r"^objects: number 1: an integer beyond 64 bits"):
                bench.upsert([one])
        assert bench.count("raw_objects") == 0
        return
    bench.upsert(wide)
    assert bench.payloads() == {key(number): one for number, one in enumerate(wide)}
    assert bench.upsert(wide).unchanged == len(wide)


def test_nul_is_kept(bench: Bench) -> None:
    """U+0000 is kept in payloads and in keys where the store can."""
    if not bench.kind.keeps_nul:
        pytest.xfail(f"{bench.kind.name} does not store U+0000")
    bench.upsert([{"id": "a\0b", "text": "\0"}, {"id": "a", "text": "x\0"}])
    assert bench.payloads() == {
        key("a\0b"): {"id": "a\0b", "text": "\0"},
        key("a"): {"id": "a", "text": "x\0"},
    }


def test_deep_nesting_is_kept(bench: Bench) -> None:
    """An object may be nested 500 levels deep, and no deeper, on every store."""
    deep: Any = "bottom"
    for level in range(499):
        deep = {"k": deep} if level % 2 else [deep]
    bench.upsert([mail(1, deep=deep)])
    assert bench.payloads() == {key(1): mail(1, deep=deep)}
    with pytest.raises(ObjectError, match=r"^objects: number 1: nested deeper than 500 levels$"):
        bench.upsert([mail(2, deep=[deep])])


def test_a_payload_of_five_megabytes_is_kept(bench: Bench) -> None:
    """A large message is one object like any other."""
    large = mail(1, body="Ä" * 2_500_000)
    assert bench.upsert([large, mail(2)]).bytes > 5_000_000
    assert bench.payloads() == {key(1): large, key(2): mail(2)}


def test_a_payload_is_json_to_queries(bench: Bench) -> None:
    """The payload can be asked with JSON functions: it is no string that holds JSON."""
    bench.upsert([mail(1, size=7)])
    assert bench.rows(
        """SELECT JSON_TYPE(payload) AS t, JSON_VALUE(payload, '$.snippet') AS s,
                  CAST(JSON_VALUE(payload, '$.size') AS INT64) AS n
           FROM `events_dev.raw_objects`"""
    ) == [{"t": bench.rows("SELECT JSON_TYPE(JSON '{}') AS t")[0]["t"], "s": "Mail 1", "n": 7}]


# Bad records


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="NaN"),
        pytest.param(math.inf, id="Infinity"),
        pytest.param([{"deep": -math.inf}], id="nested infinity"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param({"\udc00": 1}, id="half a surrogate pair in a name"),
        pytest.param({1: "one"}, id="a number as a name"),
        pytest.param({None: "none"}, id="None as a name"),
        pytest.param({"a", "b"}, id="a set"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param(object(), id="an object of Python"),
    ],
)
def test_what_is_not_json_is_refused_by_number(empty_bench: Bench, value: Any) -> None:
    """A record that is not JSON is an error that says which record and repeats nothing of it."""
    with pytest.raises(ObjectError) as caught:
        empty_bench.upsert([mail(1), mail(2, secret=SECRET, value=value), mail(3)])
    assert str(caught.value).startswith("objects: number 2: ")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("record", [None, "text", 7, ["id"], b"{}"], ids=str)
def test_what_is_no_object_is_refused(empty_bench: Bench, record: Any) -> None:
    """A record must be a JSON object."""
    with pytest.raises(ObjectError, match=r"^objects: number 1: "):
        empty_bench.upsert([record], idem_key_fn=lambda _: key("x"))


@pytest.mark.parametrize("bad_key", [None, "", 7, b"key", ["k"], "\ud800"], ids=repr)
def test_a_key_must_be_a_text(empty_bench: Bench, bad_key: Any) -> None:
    """An idem_key_fn that gives anything but a non-empty string is an error; nothing is stored."""
    with pytest.raises(IdemKeyError, match=r"^objects: number 1: idem_key_fn"):
        empty_bench.upsert([mail(1, secret=SECRET)], idem_key_fn=lambda _: bad_key)
    assert empty_bench.count("raw_objects") == 0


def test_an_idem_key_fn_that_fails_is_named(bench: Bench) -> None:
    """A missing member in a home-made idem_key_fn is an IdemKeyError without the value."""
    with pytest.raises(IdemKeyError, match=r"^objects: number 2: idem_key_fn raised KeyError$"):
        bench.upsert([{"uid": "1"}, {"secret": SECRET}], idem_key_fn=lambda obj: key(obj["uid"]))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("objects", "text"),
        ("objects", {"id": "1"}),
        ("objects", 7),
        ("objects", None),
        ("source_system", ""),
        ("source_system", "  "),
        ("source_system", "tap:gmail"),
        ("source_system", None),
        ("object_type", ""),
        ("object_type", "e:mail"),
        ("object_type", 7),
        ("correlation_id", ""),
        ("correlation_id", None),
        ("trace_id", ""),
        ("trace_id", 7),
        ("idem_key_fn", None),
        ("idem_key_fn", "id"),
        ("batch_size", 0),
        ("batch_size", -1),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("batch_size", "5000"),
        ("bq_client", None),
        ("bq_client", "duckdb:///x"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_stored(empty_bench: Bench, argument: str, value: Any) -> None:
    """Every bad argument is an ArgumentError that begins with its name; no object is even asked for."""
    pulled: list[int] = []

    def source() -> Iterator[dict[str, Any]]:
        pulled.append(1)
        yield mail(1)

    with pytest.raises(ArgumentError, match=rf"^{argument}: "):
        empty_bench.upsert(**{"objects": source(), argument: value})
    assert pulled == []


# Other rows


def test_other_sources_and_types_are_left_alone(bench: Bench) -> None:
    """A merge touches the rows of its own keys only."""
    other = "tap-gmail--acct2-business"
    bench.upsert([mail(1), mail(2)])
    bench.upsert([mail(1)], source_system=other, idem_key_fn=lambda obj: f"{other}:email:{obj['id']}")
    bench.upsert([mail(1)], object_type="draft", idem_key_fn=lambda obj: f"{SOURCE}:draft:{obj['id']}")
    before = {row["idem_key"]: row for row in bench.objects()}
    assert len(before) == 4

    bench.upsert([mail(1, labelIds=[])])

    after = {row["idem_key"]: row for row in bench.objects()}
    assert {k for k in before if before[k] != after[k]} == {key(1)}
    assert after.keys() == before.keys()


def test_keys_that_share_a_beginning_are_different(bench: Bench) -> None:
    """Keys are compared as a whole, byte for byte, in any case and normal form."""
    ids = ["1", "10", "1 ", " 1", "a", "A", "é", "e\u0301", "ß", "SS", "%", "_", "1:2"]
    bench.upsert([{"id": natural_id} for natural_id in ids])
    assert bench.payloads() == {key(natural_id): {"id": natural_id} for natural_id in ids}


def test_external_id_is_the_natural_id(bench: Bench) -> None:
    """external_id is the key's last part; NULL when the key has another form."""
    bench.upsert([{"id": "a:b"}])
    bench.upsert([{"id": "2"}], idem_key_fn=lambda obj: f"home-made-{obj['id']}")
    found = {row["idem_key"]: row["external_id"] for row in bench.objects()}
    assert found == {key("a:b"): "a:b", "home-made-2": None}


def test_a_row_removed_by_hand_comes_back_as_new(bench: Bench) -> None:
    """raw_objects alone says which objects exist: what is not there is inserted."""
    bench.upsert([mail(1), mail(2)])
    bench.run_sql(f"DELETE FROM {{raw_objects}} WHERE idem_key = '{key(1)}'")

    result = bench.upsert([mail(1), mail(2)])

    assert (result.inserted, result.unchanged) == (1, 1)
    [row] = [row for row in bench.objects() if row["idem_key"] == key(1)]
    assert row["first_seen"] == result.seen_at


def test_a_row_put_there_by_hand_is_compared_by_its_payload(bench: Bench) -> None:
    """A row that came another way, as from a backup, is replaced when the object differs from it."""
    bench.store.create_tables()
    bench.run_sql(
        f"""INSERT INTO {{raw_objects}}
                (idem_key, source_system, object_type, external_id, payload, first_seen, last_seen)
            VALUES ('{key(1)}', '{SOURCE}', 'email', '1', JSON '{{{{"id": "1", "old": true}}}}',
                    CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"""
    )

    result = bench.upsert([mail(1)])

    assert (result.inserted, result.updated) == (0, 1)
    assert bench.payloads() == {key(1): mail(1)}


def test_doubled_rows_become_one_with_the_next_change(bench: Bench) -> None:
    """Rows doubled by hand count as one object and are healed when it changes."""
    first = bench.upsert([mail(1), mail(2)])
    bench.run_sql(f"INSERT INTO {{raw_objects}} SELECT * FROM {{raw_objects}} WHERE idem_key = '{key(1)}'")
    assert bench.count("raw_objects") == 3

    unchanged = bench.upsert([mail(1)])
    changed = bench.upsert([mail(1, labelIds=[])])

    assert (unchanged.inserted, unchanged.unchanged) == (0, 1)
    assert (changed.inserted, changed.updated) == (0, 1)
    if not bench.kind.heals_doubled_rows:
        assert {row["payload"]["labelIds"] == [] for row in bench.objects() if row["idem_key"] == key(1)} == {
            True
        }
        return
    [row] = [row for row in bench.objects() if row["idem_key"] == key(1)]
    assert row["payload"] == mail(1, labelIds=[])
    assert row["first_seen"] == first.seen_at


# The protocol itself


def test_merging_a_batch_twice_changes_nothing(bench: Bench) -> None:
    """A batch that is sent again after a lost answer is all unchanged."""
    batch = staged({key(1): mail(1), key(2): mail(2)})
    assert bench.store.merge(batch) == MergeCounts(inserted=2, updated=0, unchanged=0)
    before = bench.objects()

    assert bench.store.merge(batch) == MergeCounts(inserted=0, updated=0, unchanged=2)

    assert bench.objects() == before


def test_seen_at_is_kept_to_the_microsecond(bench: Bench) -> None:
    """The times of a row are those of the merges, in UTC, exactly."""
    bench.store.merge(staged({key(1): mail(1)}, seen_at=T0))
    bench.store.merge(staged({key(1): mail(1)}, seen_at=LATER))
    [row] = bench.objects()
    assert (row["first_seen"], row["last_seen"]) == (T0, LATER)
    assert row["first_seen"].utcoffset() == timedelta(0)


def test_an_empty_batch_is_nothing(bench: Bench) -> None:
    """Merging no objects counts none."""
    assert bench.store.merge(staged({})) == MergeCounts(inserted=0, updated=0, unchanged=0)


def test_a_store_that_was_not_set_up_makes_its_tables_or_says_so(bare_bench: Bench) -> None:
    """The first merge needs no setup before it, or names the command."""
    store = bare_bench.store
    if bare_bench.kind.make_tables is None:
        store.merge(staged({key(1): mail(1)}))
        assert store.check_tables() == []
        return
    for write in (lambda: store.merge(staged({key(1): mail(1)})), bare_bench.log):
        with pytest.raises(StoreSchemaError, match="not there") as caught:
            write()
        assert "lorchestra setup" in str(caught.value.next_step)


def test_a_second_store_on_the_same_tables_goes_on(bench: Bench) -> None:
    """Another opening of the same tables, as the next run is, sees and merges into what is there."""
    bench.upsert([mail(1)])
    bench.store.close()
    bench.store = bench.reopened()
    assert bench.upsert([mail(1), mail(2)]).inserted == 1
    bench.log()
    assert len(bench.payloads()) == 2
