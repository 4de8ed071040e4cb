"""What of JSON every store can take: the depth of it, the size of its integers, and no NaN."""

import re
from collections.abc import Mapping

#: Levels of objects and lists in one another; what BigQuery takes, and the same for every store, so that rows
#: can move from one to the other.
DEPTH_MAX = 500

# Half as long as `b"null" in text`, and this looks at every byte there is.
_has_null = re.compile(b"null").search
_NOT_FLOAT = frozenset((str, int, bool, type(None)))
_LARGE_BYTES = 32 * 1024
_BYTES_PER_VALUE = 256


def may_hide_nan(obj: dict[str, object], text: bytes) -> bool:
    """Whether a `null` in its text may have been NaN or infinite, both of which orjson writes so.

    Most large objects have few values: they are looked at in half the time that their text takes.
    """
    if len(text) >= _LARGE_BYTES and not _may_have_float(obj, len(text) // _BYTES_PER_VALUE):
        return False
    return _has_null(text) is not None


def _may_have_float(obj: dict[str, object], most_values: int) -> bool:
    containers: list[dict[str, object] | list[object]] = [obj]
    for container in containers:
        values = container.values() if isinstance(container, dict) else container
        most_values -= len(values)
        if most_values < 0:
            return True
        for value in values:
            kind = type(value)
            if kind is dict or kind is list:
                containers.append(value)  # type: ignore[arg-type]
            elif kind not in _NOT_FLOAT:
                return True
    return False


def check_json(value: object) -> tuple[int, int]:
    """The smallest and the largest integer in a JSON value; 0 where there is none beyond it.

    Raises:
        TypeError: a key is no string: `json.dumps` would quietly make one of 1 and None.
        RecursionError: it is nested deeper than `DEPTH_MAX`, or holds itself.
    """
    smallest = largest = 0
    level = [value]
    for depth in range(DEPTH_MAX + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, int):
                smallest, largest = min(smallest, item), max(largest, item)
            elif not isinstance(item, Mapping | list | tuple):
                continue
            elif depth == DEPTH_MAX:
                raise RecursionError
            elif not isinstance(item, Mapping):
                below.extend(item)
            elif all(isinstance(key, str) for key in item):
                below.extend(item.values())
            else:
                raise TypeError
        level = below
    return smallest, largest
