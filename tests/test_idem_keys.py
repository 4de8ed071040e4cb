"""Keys are stable, injective, and refuse objects without identity without telling what stands in them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.errors import ArgumentError, IdemKeyError
from lorchestra.idem_keys import (
    dataverse_row_idem_key,
    exchange_message_idem_key,
    external_id,
    gmail_idem_key,
    stripe_charge_idem_key,
    stripe_object_idem_key,
)
from lorchestra.model import IdemKeyFn

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PARTS = TEXT.filter(lambda part: ":" not in part)
IDS = TEXT | st.integers(min_value=-(2**63), max_value=2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

FAMILIES: dict[str, Callable[[str], IdemKeyFn]] = {
    "gmail": gmail_idem_key,
    "exchange": exchange_message_idem_key,
    "stripe charge": stripe_charge_idem_key,
    "stripe object": stripe_object_idem_key,
    "dataverse": lambda ss: dataverse_row_idem_key(ss, table="contact", id_field="id"),
}
every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def test_gmail_key_is_the_specified_one() -> None:
    key = gmail_idem_key("tap-gmail--acct1-personal")

    assert key({"id": "18c2f0", "snippet": "hello"}) == "tap-gmail--acct1-personal:email:18c2f0"


def test_stripe_charge_key_is_the_specified_one() -> None:
    assert stripe_charge_idem_key("tap-stripe--live")({"id": "ch_1"}) == "tap-stripe--live:charge:ch_1"


def test_exchange_key() -> None:
    assert (
        exchange_message_idem_key("tap-exchange--work")({"id": "AAMk="}) == "tap-exchange--work:email:AAMk="
    )


def test_dataverse_key_takes_table_and_id_field() -> None:
    key = dataverse_row_idem_key("tap-dataverse--crm", table="contact", id_field="contactid")

    assert key({"contactid": "0f-1", "id": "other"}) == "tap-dataverse--crm:contact:0f-1"


def test_stripe_object_key_takes_the_type_from_the_object() -> None:
    key = stripe_object_idem_key("tap-stripe--live")

    assert key({"id": "cus_1", "object": "customer"}) == "tap-stripe--live:customer:cus_1"
    assert key({"id": "ch_1", "object": "charge"}) == stripe_charge_idem_key("tap-stripe--live")(
        {"id": "ch_1"}
    )


@pytest.mark.parametrize("object_type", [None, "", 7, "a:b", ["customer"], "\ud800"])
def test_stripe_object_without_a_usable_type_has_no_identity(object_type: object) -> None:
    with pytest.raises(IdemKeyError, match=r"^object: "):
        stripe_object_idem_key("ss")({"id": "cus_1", "object": object_type})


@pytest.mark.parametrize("bad", ["", "a:b", ":", None, 7, b"ss", "\ud800"])
@every_family
def test_source_system_is_checked_when_the_function_is_made(
    family: Callable[[Any], IdemKeyFn], bad: object
) -> None:
    with pytest.raises(ArgumentError, match=r"^source_system: "):
        family(bad)


@pytest.mark.parametrize("bad", ["", "a:b", None, 7])
def test_table_is_checked_when_the_function_is_made(bad: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^table: "):
        dataverse_row_idem_key("ss", table=bad, id_field="id")


@pytest.mark.parametrize("bad", ["", None, 7])
def test_id_field_is_checked_when_the_function_is_made(bad: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^id_field: "):
        dataverse_row_idem_key("ss", table="contact", id_field=bad)


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"id": None},
        {"id": ""},
        {"id": True},
        {"id": 1.5},
        {"id": ["x"]},
        {"id": {"x": 1}},
        {"id": b"x"},
        {"id": 2**64},
        {"id": 10**5000},
        {"id": "a\ud800"},
        None,
        "id",
        ["id"],
    ],
    ids=lambda obj: repr(obj)[:20] if not isinstance(obj, dict) else None,
)
@every_family
def test_object_without_identity_is_refused(family: Callable[[str], IdemKeyFn], obj: Any) -> None:
    if isinstance(obj, dict):
        obj = {"object": "charge", **obj}

    with pytest.raises(IdemKeyError, match=r"^(id|object): "):
        family("ss")(obj)


def test_error_is_also_a_value_error_and_names_the_field() -> None:
    key = dataverse_row_idem_key("ss", table="contact", id_field="contactid")

    with pytest.raises(ValueError, match=r"^contactid: missing"):
        key({"id": "1"})


@given(
    secret=st.lists(st.text("0123456789", min_size=8), min_size=1)
    | st.dictionaries(st.text("0123456789", min_size=8), st.none(), min_size=1)
    | st.floats(min_value=1e9)
    | st.integers(min_value=2**64)
    | st.text("0123456789", min_size=8).map(lambda text: text + "\udfff")
)
def test_error_never_tells_the_value(secret: object) -> None:
    with pytest.raises(IdemKeyError) as caught:
        gmail_idem_key("ss")({"id": secret})

    assert repr(secret) not in str(caught.value)
    assert str(caught.value).startswith("id: ")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(ss=PARTS, natural_id=IDS, other=st.dictionaries(st.text(), JSON, max_size=5), data=st.data())
def test_keys_are_stable(ss: str, natural_id: str | int, other: dict[str, Any], data: st.DataObject) -> None:
    obj = {**other, "object": "charge", "id": natural_id}
    shuffled = dict(data.draw(st.permutations(list(obj.items()))))
    bare = {"id": natural_id, "object": "charge"}

    for family in FAMILIES.values():
        assert family(ss)(obj) == family(ss)(obj) == family(ss)(shuffled) == family(ss)(bare)


@given(one=st.tuples(PARTS, PARTS, IDS), two=st.tuples(PARTS, PARTS, IDS))
def test_keys_are_injective_over_the_string_form_of_ids(
    one: tuple[str, str, str | int], two: tuple[str, str, str | int]
) -> None:
    def key(identity: tuple[str, str, str | int]) -> str:
        ss, table, natural_id = identity
        return dataverse_row_idem_key(ss, table=table, id_field="id")({"id": natural_id})

    same = (*one[:2], str(one[2])) == (*two[:2], str(two[2]))
    assert (key(one) == key(two)) is same


@given(parts=st.lists(st.sampled_from(["a", "b", "a:b", ":", "a:"]), min_size=2, max_size=2, unique=True))
def test_ids_with_colons_stay_apart(parts: list[str]) -> None:
    first, second = (gmail_idem_key("a")({"id": part}) for part in parts)

    assert first != second


@given(ss=PARTS, table=PARTS, natural_id=IDS)
def test_external_id_takes_a_key_apart(ss: str, table: str, natural_id: str | int) -> None:
    key = dataverse_row_idem_key(ss, table=table, id_field="id")({"id": natural_id})

    assert external_id(key, source_system=ss, object_type=table) == str(natural_id)
    assert external_id(key, source_system=ss + "x", object_type=table) is None
    assert external_id(key, source_system=ss, object_type=table + "x") is None


@pytest.mark.parametrize("key", ["", "ss", "ss:email", "ss:email:", "other:email:1", "ss:charge:1"])
def test_external_id_of_a_foreign_key_is_none(key: str) -> None:
    assert external_id(key, source_system="ss", object_type="email") is None
