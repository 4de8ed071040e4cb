"""What is written into a page: any value there can be, as text that can be sent and hides nothing."""

import json
from html import unescape
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from lorchestra.json_values import DEPTH_MAX
from lorchestra.web.rendering import environment

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


def nested(levels: int) -> Any:
    value: Any = 2**64 - 1
    for _ in range(levels):
        value = {"a": value}
    return value


TEMPLATE = environment().from_string("{{ value | pretty | plain }}")


def rendered(value: object) -> str:
    return TEMPLATE.render(value=value)


def test_what_is_nested_as_deep_as_events_may_be_is_shown() -> None:
    assert json.loads(unescape(rendered(nested(DEPTH_MAX)))) == nested(DEPTH_MAX)


@given(VALUES)
@example({"\ud800": "\udfff\u202e\0", "<script>": 10**400})
def test_any_json_can_be_shown(value: object) -> None:
    """With any size of integer, and with letters that are none."""
    inner = rendered(value)

    assert "<" not in inner
    assert ">" not in inner
    assert all(char.isprintable() or char in "\n\t" for char in inner)
    if json.dumps(value, ensure_ascii=False).isprintable():
        assert str(json.loads(unescape(inner))) == str(value)
