"""Which events a store has already."""

from collections.abc import Sequence

from lorchestra.model import Event
from lorchestra.queries import internal_query
from lorchestra.stores.base import Store

_IDS_PER_QUERY = 5000


def known_events(store: Store, events: Sequence[Event]) -> frozenset[str]:
    """The ids of those of the events that are there.

    Raises:
        StoreError: the store cannot be asked.
    """
    found: set[str] = set()
    for begin in range(0, len(events), _IDS_PER_QUERY):
        some = events[begin : begin + _IDS_PER_QUERY]
        times = [event.created_at for event in some]
        parameters = {
            "event_ids": [event.event_id for event in some],
            "first": min(times),
            "last": max(times),
        }
        rows = store.query(internal_query("known_events", store.tables), parameters)
        found.update(rows.column("event_id").to_pylist())
    return frozenset(found)
