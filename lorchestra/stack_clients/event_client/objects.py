"""Objects: merged into `raw_objects` in batches, each once by its idempotency key."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from lorchestra.errors import ArgumentError, IdemKeyError, ObjectError
from lorchestra.idem_keys import external_id
from lorchestra.json_values import DEPTH_MAX, check_json, may_hide_nan
from lorchestra.model import IdemKeyFn, StagedBatch, UpsertResult
from lorchestra.stack_clients.event_client.arguments import (
    as_store,
    check_optional_text,
    check_text,
)
from lorchestra.stack_clients.event_client.batches import Batch, batches
from lorchestra.stack_clients.event_client.merge_thread import MergeThread
from lorchestra.stack_clients.event_client.refusals import AllButRefused, added_usage
from lorchestra.stores.base import NarrowsIntegers, Store

DEFAULT_BATCH_SIZE = 5000


def upsert_objects(
    *,
    objects: Iterable[Mapping[str, Any]],
    source_system: str,
    object_type: str,
    correlation_id: str,
    idem_key_fn: IdemKeyFn,
    bq_client: Any,
    trace_id: str | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> UpsertResult:
    """Merge objects into `raw_objects`, one row per idempotency key.

    A new key is inserted; a known key gets a new `last_seen`, and its payload is replaced where it differs.
    Of two objects with one key the later wins. `last_seen` is one timestamp for the whole call, given back as
    `seen_at`.

    `objects` is consumed lazily and once, in the caller's thread. A batch closes at `batch_size` objects, or
    earlier at the store's `batch_bounds`, and is merged as a whole. Memory is bounded by three batches: one
    that is merged, one that waits, and one that is collected meanwhile.

    Raises:
        ArgumentError: an argument is bad; the message begins with its name. Nothing was written.
        IdemKeyError: `idem_key_fn` found no identity in an object. Batches before it are merged.
        ObjectError: an object is not JSON. Batches before it are merged.
        StoreError: a merge failed. Batches before it are merged.
    """
    _check_objects(objects)
    if not callable(idem_key_fn):
        raise ArgumentError("idem_key_fn: must be callable", next_step="Take one from lorchestra.idem_keys.")
    store = as_store(bq_client)
    return merge_in_batches(
        keyed(objects, idem_key_fn, store=store),
        store=store,
        target=Target(
            source_system=source_system,
            object_type=object_type,
            correlation_id=correlation_id,
            trace_id=trace_id,
            seen_at=datetime.now(UTC),
        ),
        batch_size=batch_size,
    )


def _check_objects(objects: Any) -> None:
    if isinstance(objects, str | bytes | Mapping) or not isinstance(objects, Iterable):
        raise ArgumentError("objects: must be a list or an iterator of objects")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What all objects of one upsert have in common."""

    source_system: str
    object_type: str
    correlation_id: str
    trace_id: str | None
    seen_at: datetime

    def __post_init__(self) -> None:
        """Refuse what could not be stored, naming the argument."""
        for name in ("source_system", "object_type"):
            check_text(name, getattr(self, name))
            if ":" in getattr(self, name):
                raise ArgumentError(f"{name}: must not contain ':', which separates the parts of a key")
        check_text("correlation_id", self.correlation_id)
        check_optional_text("trace_id", self.trace_id)


def keyed(objects: Iterable[Any], idem_key_fn: IdemKeyFn, *, store: Store) -> Iterator[tuple[str, bytes]]:
    """Key and JSON of each object; an error says which object, counting from 1.

    Raises:
        IdemKeyError: an object has no identity.
        ObjectError: an object is not JSON, or not such as this store keeps.
    """
    for number, obj in enumerate(objects, start=1):
        try:
            yield idem_key(obj, idem_key_fn), serialised(obj, store=store)
        except ObjectError as error:
            raise type(error)(f"objects: number {number}: {error.message}") from error


def idem_key(obj: Any, idem_key_fn: IdemKeyFn) -> str:
    """The object's key.

    Raises:
        IdemKeyError: the function raised, or gave something else than a non-empty string.
    """
    try:
        key: Any = idem_key_fn(obj)
    except IdemKeyError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise IdemKeyError(f"idem_key_fn raised {type(error).__name__}") from None
    if not isinstance(key, str) or not key:
        raise IdemKeyError("idem_key_fn gave no key: it must return a non-empty string")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise IdemKeyError("idem_key_fn gave a key that is not valid Unicode") from None
    return key


def serialised(obj: Any, *, store: Store) -> bytes:
    """The object as JSON with sorted keys: equal objects give equal bytes.

    Raises:
        ObjectError: it is not a JSON object, or none that the store keeps as it is.
    """
    if not isinstance(obj, Mapping):
        raise ObjectError("not a JSON object")
    plain = obj if isinstance(obj, dict) else dict(obj)
    try:
        text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
        if may_hide_nan(plain, text):
            json.dumps(plain, allow_nan=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return _serialised_by_the_standard_library(plain, store)
    # A copy of just its length: what orjson gives stands in up to eight times the room, a batch long.
    return bytes(memoryview(text))


def _serialised_by_the_standard_library(obj: dict[str, Any], store: Store) -> bytes:
    """For integers beyond 64 bits and deep nesting, which orjson refuses; the rest is not JSON."""
    try:
        smallest, largest = check_json(obj)
    except TypeError:
        raise ObjectError("not JSON: a name that is no text") from None
    except RecursionError:
        raise ObjectError(f"nested deeper than {DEPTH_MAX} levels") from None
    if isinstance(store, NarrowsIntegers):
        least, most = store.integers_kept
        if not least <= smallest <= largest <= most:
            raise ObjectError("an integer beyond 64 bits, which this store cannot keep")
    try:
        text = json.dumps(obj, allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        raise ObjectError("not JSON") from None


def merge_in_batches(
    entries: Iterable[tuple[str, bytes]],
    *,
    store: Store,
    target: Target,
    batch_size: int = DEFAULT_BATCH_SIZE,
    first_index: int = 0,
    refused: Callable[[str, bytes], None] | None = None,
) -> UpsertResult:
    """Merge keys and JSON texts batch by batch; while one batch is merged, the next is collected.

    `first_index` is the number of batches that the run has merged before. Where `refused` is given, it takes
    the objects that the store does not, one by one, in another thread; all others are merged.

    Raises:
        ArgumentError: `batch_size` is no positive integer.
        ObjectRefusedError: the store does not take an object, and `refused` is not given.
        StoreError: a merge failed. Batches before it are merged.
    """
    if type(batch_size) is not int or batch_size < 1:
        raise ArgumentError("batch_size: must be a positive integer")
    merge = store.merge if refused is None else AllButRefused(store, refused).merge
    bounds = store.batch_bounds
    records = size = number = 0
    with MergeThread(store, lambda batch: merge(_staged(batch, target))) as merger:
        for batch in batches(entries, batch_size, bounds, first_index=first_index, give_way=merger.go_first):
            records += batch.records
            size += batch.bytes
            number += 1
            merger.hand_over(batch)
    merged = merger.counts
    inserted = sum(counts.inserted for counts in merged)
    updated = sum(counts.updated for counts in merged)
    unchanged = sum(counts.unchanged for counts in merged)
    set_aside = sum(counts.refused for counts in merged)
    return UpsertResult(
        records=records,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        duplicates=records - inserted - updated - unchanged - set_aside,
        refused=set_aside,
        batches=number,
        bytes=size,
        seen_at=target.seen_at,
        usage=added_usage(merged),
    )


def _staged(batch: Batch, target: Target) -> StagedBatch:
    keys = list(batch.payloads)
    return StagedBatch(
        source_system=target.source_system,
        object_type=target.object_type,
        correlation_id=target.correlation_id,
        trace_id=target.trace_id,
        index=batch.index,
        seen_at=target.seen_at,
        idem_keys=keys,
        external_ids=[
            external_id(key, source_system=target.source_system, object_type=target.object_type)
            for key in keys
        ],
        payloads=list(batch.payloads.values()),
    )
