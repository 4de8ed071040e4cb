"""What the page reads: asked of the store when something changed, remembered else.

A look whether anything changed costs a millisecond on a file, and the store is open for that long only; so
jobs write while the page is open, and the page is open while jobs write.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from lorchestra.errors import StoreSchemaError
from lorchestra.health import JobHealth, job_healths
from lorchestra.queries import internal_query
from lorchestra.stores.base import CountsBytes, Store, query_rows

T = TypeVar("T")

#: What changes by the clock alone (a job becomes late) is looked at again after so many seconds.
_OLD_SECONDS = 30.0
#: While something runs, its progress is.
_OLD_SECONDS_RUNNING = 1.0


class Reading:
    """Answers of one store, shared by all requests.

    `configured` are the jobs of this configuration, and the source_system of each, where it has one.
    """

    def __init__(self, store: Store, configured: Mapping[str, str | None]) -> None:
        self.store = store
        self.configured = configured
        #: A store that bills what it reads is asked rarely.
        self.poll_seconds = 60.0 if isinstance(store, CountsBytes) else 1.0
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[Hashable, float, Any]] = {}
        self._pulse: tuple[float, Hashable] = (0.0, None)

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of one of our own queries; none as long as there are no tables."""
        try:
            return query_rows(self.store, internal_query(name, self.store.tables), parameters)
        except StoreSchemaError:
            return []

    def pulse(self) -> Hashable:
        """Something that is the same as long as nothing changed in the tables."""
        found = self.rows("pulse")
        return tuple(found[0].values()) if found else None

    def healths(self) -> list[JobHealth]:
        """Every job."""
        return self.remembered(
            "healths",
            lambda: job_healths(self.store, self.configured),
            old=lambda healths: _OLD_SECONDS_RUNNING if any(one.running for one in healths) else _OLD_SECONDS,
        )

    def remembered(
        self,
        key: Hashable,
        ask: Callable[[], T],
        *,
        old: Callable[[T], float] = lambda _: _OLD_SECONDS,
    ) -> T:
        """What `ask` gave last, as long as nothing changed and it is not too old."""
        pulse = self._recent_pulse()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            then, at, value = kept
            if then == pulse and time.monotonic() - at < max(old(value), self.poll_seconds - 1):
                return cast(T, value)
        at = time.monotonic()
        value = ask()
        with self._lock:
            self._kept[key] = (pulse, at, value)
            while len(self._kept) > 64:
                del self._kept[next(iter(self._kept))]
        return value

    def _recent_pulse(self) -> Hashable:
        """The pulse, asked at most as often as the store may be."""
        at, pulse = self._pulse
        if self.poll_seconds <= 1 or time.monotonic() - at > self.poll_seconds:
            pulse = self.pulse()
            self._pulse = (time.monotonic(), pulse)
        return pulse

    def something_runs(self) -> bool:
        """Whether progress is to be shown."""
        return any(one.running for one in self.healths())


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
