"""What of JSON every store can take: the depth of it, and the size of its integers."""

from collections.abc import Mapping

#: Levels of objects and lists in one another; what BigQuery takes, and the same for every store, so that rows
#: can move from one to the other.
DEPTH_MAX = 500


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
