"""An API as a source meets it and as a test can disturb it; and a table that the source is read into.

A source joins the suite by an `ApiCase`.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from lorchestra.jobs.stored import ObjectsOfSource
from lorchestra.model import Checkpoint, Cursor, Record, Rejection, Seen, Window
from lorchestra.sources.base import Item, Source, SourceContext, SourceType, StoredObjects
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store

_EVERYTHING = Window()
_DAY = datetime(2026, 3, 1, tzinfo=UTC)


class Trouble(StrEnum):
    """What may happen to a call and not to the next."""

    SERVER_ERROR = "server error"
    UNREADABLE = "unreadable"
    CUT = "cut"
    LOST_ANSWER = "lost answer"
    REFUSED = "refused"
    SLOW = "slow"


class ApiService(Protocol):
    """A service with records. Its errors quote what is in `secrets`, as those of real ones may."""

    @property
    def options(self) -> dict[str, Any]:
        """The source's options for reading it, as fast as it answers."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that log in."""

    @property
    def secrets(self) -> Sequence[str]:
        """Tokens given out so far, addresses, and words of each record."""

    @property
    def calls(self) -> int:
        """How many calls of the API arrived since they were forgotten, answered or not."""

    def fetches(self) -> Counter[str]:
        """How often each record was given to somebody since then."""

    def forget_calls(self) -> None: ...

    def add(self, date: datetime | None = None) -> str:
        """A record comes to be, now or with a date of its own; its id."""

    def change(self, record_id: str) -> None: ...

    def delete(self, record_id: str) -> None: ...

    def between_pages(self, change: Callable[[], object] | None) -> None:
        """What happens each time after a page was made, before it is given."""

    def trouble(self, trouble: Trouble, *, call: int) -> None:
        """Let it happen to one call, counted from 0 from here on."""

    def break_record(self, record_id: str) -> None:
        """From here on it cannot be had, until `mend`."""

    def go_down(self, trouble: Trouble, *, after: int = 0) -> None:
        """After so many calls, this happens to each, until `mend`."""

    def mend(self) -> None: ...

    def expire_login(self) -> None:
        """What the service gave for the login is no longer valid; it gives another."""

    def revoke_login(self) -> None: ...

    def expire_cursor(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ApiCase:
    """A source of an API, and how to start the service behind it.

    `constants` are names of the source's modules with values fit for tests: small pages, short pauses.
    `impatience` are those that make it give up an answer that `Trouble.SLOW` holds back, `one_at_a_time`
    those that make it call for one record after the other.
    """

    name: str
    kind: SourceType
    source_system: str
    #: With a record for each date, of about so many bytes.
    start: Callable[[Iterable[datetime], int], AbstractContextManager[ApiService]]
    constants: Mapping[str, object]
    impatience: Mapping[str, object]
    one_at_a_time: Mapping[str, object]
    #: Records of a page, with these constants.
    page: int
    #: How many records of 2,000 bytes may be fetched, at most, while the first one is used.
    ahead: int
    #: The reason of a rejection of what `break_record` broke.
    broken_reason: str
    #: When a record came to be.
    date_of: Callable[[Mapping[str, Any]], datetime]

    def open(
        self,
        service: ApiService,
        *,
        stored: StoredObjects | None = None,
        say: Callable[[str], None] = str,
        limit: int | None = None,
        **options: Any,
    ) -> Source:
        """The source; `stored` is what the table has of it."""
        more = {} if stored is None else {"stored": stored}
        context = SourceContext(
            base=Path(),
            source_system=self.source_system,
            environment=service.environment,
            limit=limit,
            say=say,
            **more,
        )
        return self.kind.open(self.kind.options(**{**service.options, **options}), context)


def dates(count: int, *, step: timedelta = timedelta(minutes=10)) -> list[datetime]:
    return [_DAY + step * number for number in range(count)]


@dataclass
class Reading:
    """What one reading gave, to its end or cut off."""

    items: list[Item] = field(default_factory=list)
    next_cursor: Cursor | None = None
    telemetry: Mapping[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """The records by id; each must be there once."""
        found = [item.data for item in self.items if isinstance(item, Record)]
        by_id = {str(data["id"]): data for data in found}
        assert len(by_id) == len(found)
        return by_id

    @property
    def rejections(self) -> list[Rejection]:
        return [item for item in self.items if isinstance(item, Rejection)]

    @property
    def seen(self) -> set[str]:
        return {one for item in self.items if isinstance(item, Seen) for one in item.external_ids}

    @property
    def checkpoint(self) -> Cursor | None:
        """The newest one."""
        return next((item.cursor for item in reversed(self.items) if isinstance(item, Checkpoint)), None)


def read(
    source: Source, cursor: Cursor | None = None, *, window: Window = _EVERYTHING, at_most: int | None = None
) -> Reading:
    """Read a source to its end; or as far as an interruption let it come, after so many items."""
    reading = Reading()
    read_into(reading, source, cursor, window=window, at_most=at_most)
    return reading


def read_into(
    reading: Reading,
    source: Source,
    cursor: Cursor | None = None,
    *,
    window: Window = _EVERYTHING,
    at_most: int | None = None,
) -> None:
    """The same where an error may end it, and what came until then counts."""
    items = source.records(window, cursor)
    try:
        reading.items.extend(islice(items, at_most))
        if at_most is None:
            reading.next_cursor = source.next_cursor()
    finally:
        items.close()  # type: ignore[attr-defined]
        reading.telemetry = source.telemetry()  # type: ignore[attr-defined]


class Table:
    """A real table, and the cursor of the newest run."""

    def __init__(self, case: ApiCase, file: Path) -> None:
        self._case = case
        self._file = file
        self._store = open_store(f"duckdb:///{file}")
        if not file.exists():
            self._store.create_tables()
        self.cursor: Cursor | None = None

    @property
    def stored(self) -> StoredObjects:
        return ObjectsOfSource(
            self._store, source_system=self._case.source_system, object_type=self._case.kind.object_type
        )

    def merge(self, items: Iterable[Item]) -> None:
        """Merge records as a run does."""
        upsert_objects(
            objects=[item.data for item in items if isinstance(item, Record)],
            source_system=self._case.source_system,
            object_type=self._case.kind.object_type,
            correlation_id="run",
            idem_key_fn=self._case.kind.idem_key_fn(self._case.source_system),
            bq_client=self._store,
        )

    def sync(self, service: ApiService, **options: Any) -> Reading:
        """A whole run: read from the cursor on, merge, and keep the new cursor."""
        reading = read(self._case.open(service, stored=self.stored, **options), self.cursor)
        self.merge(reading.items)
        self.cursor = reading.next_cursor
        return reading

    def objects(self) -> dict[str, dict[str, Any]]:
        """All objects by id."""
        rows = self._store.query("SELECT external_id, payload FROM `events_dev.raw_objects`").to_pylist()
        return {row["external_id"]: orjson.loads(row["payload"]) for row in rows}

    def live(self) -> dict[str, dict[str, Any]]:
        """Those that are not marked as gone."""
        return {one: data for one, data in self.objects().items() if "_sdc_deleted_at" not in data}

    def copy(self, name: str) -> "Table":
        """Another one that is as this is now."""
        self._store.close()
        file = self._file.with_name(f"{name}.duckdb")
        shutil.copy(self._file, file)
        copied = Table(self._case, file)
        copied.cursor = self.cursor
        return copied
