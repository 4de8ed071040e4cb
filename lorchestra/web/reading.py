"""What the page reads: asked of the store when something changed, remembered else.

A look whether anything changed costs a millisecond on a file, and the store is open for that long only; so
jobs write while the page is open, and the page is open while jobs write.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast

from lorchestra.errors import StoreSchemaError
from lorchestra.health import JobHealth, job_healths, with_progress
from lorchestra.queries import internal_query
from lorchestra.stores.base import CountsBytes, Store, query_rows, snapshot

T = TypeVar("T")

#: What changes by the clock alone (a job becomes late) is looked at again after so many seconds.
OLD_SECONDS = 30.0
#: While something runs, its progress is.
RUNNING_OLD_SECONDS = 0.9
#: All that one page needs is of one look.
_LOOK_SECONDS = 0.1
_KEPT_MAX = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulse:
    """What is counted in both tables."""

    events: int = 0
    newest_event: datetime | None = None
    objects: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    pulse: Pulse
    at: float
    value: Any


class Reading:
    """Answers of one store, shared by all requests.

    `configured` are the jobs of this configuration, and the source_system of each, where it has one. `settle`
    closes runs of this host whose process died, as each command does when it begins.
    """

    def __init__(
        self, store: Store, configured: Mapping[str, str | None], *, settle: Callable[[], None] = lambda: None
    ) -> None:
        self.store = store
        self.configured = configured
        self.settle = settle
        #: A store that bills what it reads is asked rarely.
        self.is_billed = isinstance(store, CountsBytes)
        self.poll_seconds = 60.0 if self.is_billed else 1.0
        self._lock = threading.Lock()
        self._kept: dict[Hashable, _Kept] = {}
        self._looked = (float("-inf"), Pulse())

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of one of our own queries; none as long as there are no tables."""
        try:
            return query_rows(self.store, internal_query(name, self.store.tables), parameters)
        except StoreSchemaError:
            return []

    def at_once(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, all of it asked of one state of the store; a file is opened but once."""
        with ExitStack() as stack:
            # A file that is not there yet has nothing to ask.
            with suppress(StoreSchemaError):
                stack.enter_context(snapshot(self.store))
            return ask()

    def pulse(self) -> Pulse:
        """What is other as soon as anything changed in the tables."""
        found = self.rows("pulse")
        return Pulse(**found[0]) if found else Pulse()

    def healths(self) -> list[JobHealth]:
        """Every job."""
        judged = self.remembered("healths", lambda: job_healths(self.store, self.configured), by="events")
        if not any(one.running for one in judged):
            return judged
        return self.remembered(
            "progress", lambda: with_progress(self.store, judged), old_seconds=lambda _: RUNNING_OLD_SECONDS
        )

    def remembered(
        self,
        key: Hashable,
        ask: Callable[[], T],
        *,
        by: Literal["all", "events"] = "all",
        old_seconds: Callable[[T], float] = lambda _: OLD_SECONDS,
    ) -> T:
        """What `ask` gave last, unless that is old or something changed, in any table or in the log."""
        pulse = self._recent_pulse()
        known = pulse if by == "all" else replace(pulse, objects=0)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept.pulse == known:
            age = time.monotonic() - kept.at
            if age < max(old_seconds(cast(T, kept.value)), self.poll_seconds - 1):
                return cast(T, kept.value)
        # The time before: what comes while the store answers is looked at the next time.
        at = time.monotonic()
        value = ask()
        with self._lock:
            self._kept[key] = _Kept(pulse=known, at=at, value=value)
            while len(self._kept) > _KEPT_MAX:
                del self._kept[next(iter(self._kept))]
        return value

    def _recent_pulse(self) -> Pulse:
        at, pulse = self._looked
        if time.monotonic() - at > max(_LOOK_SECONDS, self.poll_seconds - 1):
            pulse = self.pulse()
            self._looked = (time.monotonic(), pulse)
        return pulse


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
