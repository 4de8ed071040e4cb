"""The tree of a JSON value: bounded, whatever the value."""

import json
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from lorchestra.web.tree import NODES_MAX, TEXT_MAX, Node, tree

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


def nested(levels: int, width: int = 1) -> object:
    value: object = "bottom"
    for _ in range(levels):
        value = {"name": value} | {str(number): number for number in range(width - 1)}
    return value


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


@given(JSON)
@example(list(range(3 * NODES_MAX)))
@example([[number] * 3 for number in range(NODES_MAX)])
@example(nested(400, 50))
@example("x" * (TEXT_MAX + 7))
@example({"x" * (TEXT_MAX + 7): 1})
@example({"\ud800": "\udfff", "\0": 10**400})
def test_a_tree_is_bounded_and_says_how_much_it_leaves_out(value: object) -> None:
    """No more nodes and letters than promised; what is not shown of a value is counted."""
    found = list(nodes(tree(value)))

    assert len(found) <= NODES_MAX
    for node in found:
        assert len(node.text) <= TEXT_MAX
        assert len(node.name) <= TEXT_MAX + len("…")
        if node.kind in ("object", "array"):
            assert len(node.children) + node.left_out == int(node.text.replace(",", ""))
        else:
            assert node.children == []


@given(JSON)
def test_a_tree_of_a_small_value_has_all_of_it(value: object) -> None:
    """What is within the bounds can be made again from the tree."""
    assert same(tree(value), value)


def same(node: Node, value: object) -> bool:
    if isinstance(value, dict | list):
        pairs = list(
            value.items() if isinstance(value, dict) else ((str(n), one) for n, one in enumerate(value))
        )
        found = [child.name for child in node.children] == [name for name, _ in pairs]
        return found and all(same(child, one) for child, (_, one) in zip(node.children, pairs, strict=True))
    if isinstance(value, str):
        return (node.kind, node.text) == ("string", value)
    return node.kind in (type(value).__name__, "null") and str(json.loads(node.text)) == str(value)
