"""Partial answers (`fields`): `messages(id,threadId),nextPageToken`, `payload/headers`, `*`."""

import re
from typing import Any

from tests.emulator.wire import Answer
from tests.gmail.errors import bad_request

_Selection = dict[str, "_Selection"]
_TOKEN = re.compile(r"[\w*]+|[(),/]")


def selected(answer: Answer, fields: str) -> Answer:
    """What `fields` leaves of an answer, or what Google says to a selection that it cannot read."""
    if answer.status != 200 or answer.json is None:
        return answer
    tokens = _TOKEN.findall(fields)
    try:
        if "".join(tokens) != re.sub(r"\s", "", fields):
            raise ValueError(fields)
        selection = _list(tokens)
        if tokens:
            raise ValueError(fields)
    except (ValueError, IndexError):
        return bad_request(f"Invalid field selection {fields}")
    return answer.with_json(_part(answer.json, selection))


def _list(tokens: list[str]) -> _Selection:
    selection: _Selection = {}
    while True:
        name = tokens.pop(0)
        if name in "(),/":
            raise ValueError(name)
        selection[name] = selection.get(name, {}) | _below(tokens)
        if not tokens or tokens[0] != ",":
            return selection
        del tokens[0]


def _below(tokens: list[str]) -> _Selection:
    """What is selected within the field whose name was read; empty for all of it."""
    if tokens and tokens[0] == "/":
        del tokens[0]
        name = tokens.pop(0)
        return {name: _below(tokens)}
    if tokens and tokens[0] == "(":
        del tokens[0]
        selection = _list(tokens)
        if tokens.pop(0) != ")":
            raise ValueError(")")
        return selection
    return {}


def _part(content: Any, selection: _Selection) -> Any:
    if isinstance(content, list):
        return [_part(element, selection) for element in content]
    if not selection or not isinstance(content, dict):
        return content
    return {
        name: _part(value, selection.get(name, selection.get("*", {})))
        for name, value in content.items()
        if name in selection or "*" in selection
    }
