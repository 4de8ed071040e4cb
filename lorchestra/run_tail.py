"""The event log as it grows: each event once, in the order in which the store shows them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.errors import StoreBusyError, StoreSchemaError
from lorchestra.queries import internal_query
from lorchestra.stores.base import CountsBytes, Store, query_rows, snapshot

#: An event that was made so long before the newest one is still shown when it arrives.
OVERLAP = timedelta(minutes=10)
_EVENTS_BEFORE = 10


def seconds_between_looks(store: Store) -> int:
    """How often the log is looked at: seldom where a look costs money."""
    return 30 if isinstance(store, CountsBytes) else 1


class EventTail:
    """New events of a store, look by look. Between looks nothing is open, and nothing is locked."""

    def __init__(self, store: Store, *, job: str | None) -> None:
        self._store = store
        self._job = job or ""
        self._since: datetime | None = None
        self._known: set[str] = set()

    def look(self) -> list[dict[str, Any]]:
        """Events that were not there at the last look; at first the last ten.

        While the store is busy or has no tables there are none.

        Raises:
            StoreError: the store cannot be asked.
        """
        try:
            with snapshot(self._store):
                events = self._begin() if self._since is None else self._events(self._since)
        except (StoreBusyError, StoreSchemaError):
            return []
        new = [event for event in events if event["event_id"] not in self._known]
        self._remember(events)
        for event in new:
            event["payload"] = None if event["payload"] is None else json.loads(event["payload"])
        return new

    def _begin(self) -> list[dict[str, Any]]:
        parameters = {"job": self._job, "limit": _EVENTS_BEFORE}
        newest = query_rows(self._store, internal_query("newest_events", self._store.tables), parameters)
        now = datetime.now(UTC)
        first = min((row["created_at"] for row in newest), default=now)
        shown = {row["event_id"] for row in newest}
        events = self._events(min(first, now - OVERLAP))
        self._known = {event["event_id"] for event in events} - shown
        return events

    def _events(self, first: datetime) -> list[dict[str, Any]]:
        parameters = {"job": self._job, "first": first}
        return query_rows(self._store, internal_query("events_since", self._store.tables), parameters)

    def _remember(self, events: list[dict[str, Any]]) -> None:
        if events:
            # A clock that is ahead must not hide what comes by now.
            self._since = min(events[-1]["created_at"], datetime.now(UTC)) - OVERLAP
            self._known = {event["event_id"] for event in events if event["created_at"] >= self._since}
