"""What the tables tell a source: which of its objects are there, and where it goes on."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from lorchestra.errors import StoreSchemaError
from lorchestra.model import Cursor
from lorchestra.queries import internal_query
from lorchestra.stores.base import Store, query_rows

_KEYS_PER_QUERY = 5000
_PAYLOADS_PER_QUERY = 200


class ObjectsOfSource:
    """The rows of one source_system and object_type in `raw_objects`, as a source may ask for them."""

    def __init__(self, store: Store, *, source_system: str, object_type: str) -> None:
        self._store = store
        self._prefix = f"{source_system}:{object_type}:"

    def known(self, external_ids: Sequence[str]) -> set[str]:
        """Which of these ids are there.

        Raises:
            StoreError: the store cannot be asked.
        """
        return {row["external_id"] for row in self._rows("stored_ids", external_ids, _KEYS_PER_QUERY)}

    def payloads(self, external_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The objects of those of these ids that are there.

        Raises:
            StoreError: the store cannot be asked.
        """
        for row in self._rows("stored_payloads", external_ids, _PAYLOADS_PER_QUERY):
            yield orjson.loads(row["payload"])

    def _rows(self, query: str, external_ids: Sequence[str], at_once: int) -> Iterator[dict[str, Any]]:
        # Near to each other in the table, as keys in their order are, fewer blocks are read for each query.
        keys = sorted(f"{self._prefix}{one}" for one in external_ids)
        for begin in range(0, len(keys), at_once):
            some = keys[begin : begin + at_once]
            parameters = {"keys": some, "lo": some[0], "hi": some[-1]}
            try:
                result = self._store.query(internal_query(query, self._store.tables), parameters)
            except StoreSchemaError:
                # There are no tables yet, so nothing is there.
                return
            yield from result.to_pylist()


def last_cursor(store: Store, source_system: str, object_type: str) -> Cursor | None:
    """Where the newest ingestion of a source that got anywhere ended.

    Raises:
        StoreError: the store cannot be asked.
    """
    rows = query_rows(
        store,
        internal_query("last_cursor", store.tables),
        {"source_system": source_system, "object_type": object_type},
    )
    if not rows or rows[0]["cursor"] is None:
        return None
    cursor: Cursor | None = orjson.loads(rows[0]["cursor"])
    return cursor
