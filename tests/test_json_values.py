"""What cannot be kept as JSON is refused, however large the object is that it stands in."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.errors import ObjectError
from lorchestra.stack_clients.event_client.objects import serialised
from tests.test_event_client import Recorder

leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3)
numbers = st.sampled_from([math.nan, math.inf, -math.inf])


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value could stand: in each list and each dictionary."""
    if not isinstance(value, dict | list):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for name, item in items for found in paths(item, (*path, name)))]


@given(
    content=st.recursive(leaves.filter(lambda one: one not in {math.inf, -math.inf}), nested, max_leaves=20),
    number=numbers,
    padding=st.sampled_from(["", "null" * 20_000, ["null"] * 10_000]),
    data=st.data(),
)
def test_no_number_becomes_null(content: Any, number: float, padding: Any, data: st.DataObject) -> None:
    """NaN and the infinities are not JSON; a `null` that was there is."""
    obj: dict[str, Any] = {"padding": padding, "content": content}
    assert b'"content":' in serialised(obj, store=Recorder())

    place: Any = obj
    chosen = data.draw(st.sampled_from(paths(content, ("content",)) or [()]), label="place")
    for name in chosen:
        place = place[name]
    if isinstance(place, list):
        place.insert(data.draw(st.integers(0, len(place)), label="index"), number)
    else:
        place["number"] = number
    with pytest.raises(ObjectError, match="not JSON"):
        serialised(obj, store=Recorder())
