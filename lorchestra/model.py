"""The frozen values that layers hand to each other.

Nothing here reads, writes or knows a vendor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

#: An object as a source yields it and `raw_objects.payload` keeps it.
JsonObject = Mapping[str, Any]
#: Computes the idempotency key of one object; raises `IdemKeyError` when it has no identity.
IdemKeyFn = Callable[[Any], str]
#: Where a source goes on next time; kept in `ingestion.completed.payload.cursor`.
Cursor = Mapping[str, Any]

#: What every ingestion counts, in the order in which it is told.
INGESTION_COUNTS = (
    "records_extracted",
    "inserted",
    "updated",
    "unchanged",
    "known",
    "duplicates",
    "rejected",
    "gone",
    "recovered",
)


class EventStatus(StrEnum):
    """`event_log.status`."""

    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One row of `event_log`; columns and their meaning are those of the table."""

    event_id: str
    event_type: str
    source_system: str
    correlation_id: str
    created_at: datetime
    status: EventStatus
    object_type: str | None = None
    idem_key: str | None = None
    trace_id: str | None = None
    error_message: str | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedBatch:
    """Objects of one source and type on their way into `raw_objects`, columns in step.

    Keys are unique within a batch: duplicates are resolved (the last wins) before any store sees them.
    `index` counts the batches of a run, from 0; `part` tells apart the parts of one that had to be split.
    Payloads are JSON objects, serialised with sorted keys, so equal bytes mean equal objects.
    """

    source_system: str
    object_type: str
    correlation_id: str
    trace_id: str | None
    index: int
    seen_at: datetime
    idem_keys: Sequence[str]
    external_ids: Sequence[str | None]
    payloads: Sequence[bytes]
    part: str = ""

    def halves(self) -> "tuple[StagedBatch, StagedBatch]":
        """The batch in two, each with a part of its own."""
        middle = len(self.idem_keys) // 2
        return self._slice(0, middle, "a"), self._slice(middle, len(self.idem_keys), "b")

    def _slice(self, begin: int, end: int, mark: str) -> "StagedBatch":
        columns = {name: getattr(self, name)[begin:end] for name in ("idem_keys", "external_ids", "payloads")}
        return replace(self, part=f"{self.part}{mark}", **columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeCounts:
    """What one merge did. The four add up to the rows of the batch.

    `refused` are objects that the store would not take, set aside. `usage` is what it took, where the store
    counts that: bytes, jobs, statements, calls.
    """

    inserted: int
    updated: int
    unchanged: int
    refused: int = 0
    usage: Mapping[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpsertResult:
    """What `upsert_objects` did.

    `records == inserted + updated + unchanged + duplicates + refused`; `duplicates` are records that a later
    record with the same key in the same batch replaced. `refused` are objects that the store would not take
    and a run set aside. `bytes` are those of the serialised objects. `usage` adds up
    what the merges took, where the store counts that.
    """

    records: int
    inserted: int
    updated: int
    unchanged: int
    duplicates: int
    batches: int
    bytes: int
    seen_at: datetime
    refused: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchBounds:
    """When a batch closes, beside its number of objects: bytes of JSON, seconds since its first object.

    Where `join` is set, batches that wait are merged as one, up to as many bytes.
    """

    bytes: int
    seconds: float
    join: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A half-open span of time, `since <= t < until`, in aware datetimes; None is unbounded."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One object of a source, and where it stood there (for the reject file; never its content)."""

    data: dict[str, Any]
    position: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A record the source itself cannot give as an object, with a reason code and its place."""

    reason: str
    position: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Objects, by their id at the source, that are there as the table has them: only `last_seen` moves."""

    external_ids: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """From here a later run can go on: the cursor holds once all that was yielded before is merged."""

    cursor: Cursor


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a source has been read: in bytes, or in records where it can count those.

    Totals are None when the source cannot know them. Records that an earlier run has stored count as done.
    """

    bytes_done: int = 0
    bytes_total: int | None = None
    records_done: int = 0
    records_total: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TableNames:
    """Where the two tables are. Names are identifiers: letters, digits, `_`; checked by `open_store`."""

    dataset: str = "events_dev"
    event_log: str = "event_log"
    raw_objects: str = "raw_objects"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One way in which a table is not what this version needs. `found` is None where nothing is there.

    `mend` is the statement that removes the difference without losing anything; None where there is none.
    """

    table: str
    column: str | None
    expected: str
    found: str | None
    mend: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a store needs. `ok` is None where it could not be found out; `fix` is what to type."""

    check: str
    ok: bool | None
    found: str
    fix: str | None = None
