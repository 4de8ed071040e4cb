"""A JSON value as a tree that can be folded; all of it is text, whatever it says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

NODES_MAX = 2_000
TEXT_MAX = 4_000
_DEPTH_MAX = 24


@dataclass(slots=True)
class Node:
    """A value under its name: a leaf has `text`, the others `children`; `kind` is its type in JSON."""

    name: str
    kind: str
    text: str = ""
    #: How many characters or children are not shown.
    left_out: int = 0
    children: list["Node"] = field(default_factory=list)


def tree(value: Any) -> Node:
    """The tree of a JSON value: at most `NODES_MAX` nodes, texts and names cut where they are too long."""
    return _Builder().node("payload", value, 0)


class _Builder:
    def __init__(self) -> None:
        self._left = NODES_MAX

    def node(self, name: str, value: Any, depth: int) -> Node:
        self._left -= 1
        name = name if len(name) <= TEXT_MAX else name[:TEXT_MAX] + "…"
        match value:
            case dict() if depth < _DEPTH_MAX:
                return self._branch(name, "object", iter(value.items()), len(value), depth)
            case list() if depth < _DEPTH_MAX:
                items = ((str(number), one) for number, one in enumerate(value))
                return self._branch(name, "array", items, len(value), depth)
            case str():
                return _leaf(name, "string", value)
            case dict() | list():
                return _leaf(name, "deep", json.dumps(value, ensure_ascii=False))
            case _:
                return _leaf(name, "null" if value is None else type(value).__name__, json.dumps(value))

    def _branch(self, name: str, kind: str, items: Iterator[tuple[str, Any]], size: int, depth: int) -> Node:
        node = Node(name=name, kind=kind, text=f"{size:,}")
        for child, value in items:
            if self._left <= 0:
                node.left_out = size - len(node.children)
                break
            node.children.append(self.node(child, value, depth + 1))
        return node


def _leaf(name: str, kind: str, text: str) -> Node:
    return Node(name=name, kind=kind, text=text[:TEXT_MAX], left_out=max(0, len(text) - TEXT_MAX))
