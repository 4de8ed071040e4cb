"""What every source of an API promises, asked of each: laziness, pages, interruptions, cursors.

A source joins by an `ApiCase` in conftest.py. Where calls fail: test_api_faults.py. Windows:
test_api_windows.py.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

import pytest

from lorchestra.errors import SourceUnreadableError
from lorchestra.model import Checkpoint, Record, Window
from tests.sources.api_case import ApiCase, ApiService, Reading, Table, dates, read

COUNT = 12

Start = Callable[[int], AbstractContextManager[ApiService]]


@pytest.fixture
def start(case: ApiCase) -> Start:
    """Start a service with so many records."""
    return lambda count: case.start(dates(count), 2_000)


def whole(case: ApiCase, service: ApiService) -> dict[str, dict[str, object]]:
    """What the service has now, by a reading that knows of nothing."""
    return read(case.open(service)).records


def settled(count: Callable[[], int]) -> int:
    """A number that rises, when it does not rise any more."""
    before = -1
    while (now := count()) != before:
        before = now
        time.sleep(0.3)
    return now


# One reading


def test_only_what_is_used_soon_is_fetched(case: ApiCase, start: Start) -> None:
    with start(case.ahead * 3) as service:
        items = case.open(service).records(Window(), None)
        next(item for item in items if isinstance(item, Record))
        assert 1 <= settled(service.fetches().total) <= case.ahead
        items.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("pages", [0, 1, 2, 3.2])
def test_each_record_of_all_pages_comes_once(case: ApiCase, start: Start, pages: float) -> None:
    with start(round(pages * case.page)) as service:
        assert len(whole(case, service)) == round(pages * case.page)
        assert set(service.fetches().values()) <= {1}


def test_an_empty_account_is_read_again_once_it_has_records(
    case: ApiCase, start: Start, table: Table
) -> None:
    with start(0) as service:
        assert table.sync(service).records == {}
        added = service.add()
        assert table.sync(service).records.keys() == {added}


def test_pages_that_shift_lose_no_record(case: ApiCase, service: ApiService) -> None:
    there = list(whole(case, service))
    come_and_go = [service.add() for _ in range(5)]

    def shift() -> None:
        if come_and_go:
            service.delete(come_and_go.pop())
            service.add()

    service.between_pages(shift)
    reading = read(case.open(service))
    service.between_pages(None)
    assert come_and_go == []
    assert reading.records.keys() >= set(there)


def test_what_happens_while_pages_are_fetched_is_found_by_the_next_reading(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    first, second, *_ = whole(case, service)
    happenings = [service.add, lambda: service.change(first), lambda: service.delete(second)]
    service.between_pages(lambda: happenings.pop()() if happenings else None)
    table.sync(service)
    service.between_pages(None)
    table.sync(service)
    assert happenings == []
    assert table.live() == whole(case, service)


def test_what_happens_while_records_are_used_is_found_by_the_next_reading(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    source = case.open(service)
    reading = Reading()
    for item in source.records(Window(), None):
        reading.items.append(item)
        if isinstance(item, Record) and len(reading.records) == 2:
            first, second = reading.records
            service.change(first)
            service.delete(second)
            service.add()
    table.merge(reading.items)
    table.cursor = source.next_cursor()
    table.sync(service)
    assert table.live() == whole(case, service)


# Interruptions


def test_a_first_reading_that_is_killed_anywhere_is_gone_on_with(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    expected = whole(case, service)
    for count in [*range(0, COUNT, 3), COUNT, COUNT + 1, COUNT + 2]:
        service.forget_calls()
        copied = table.copy(f"killed{count}")
        killed = read(case.open(service), at_most=count)
        # The last segment was not merged.
        merged = killed.items[: count - count % 3]
        copied.merge(merged)
        copied.cursor = next((i.cursor for i in reversed(merged) if isinstance(i, Checkpoint)), None)
        there = copied.objects().keys()
        second = copied.sync(service)
        assert copied.objects() == expected
        assert second.records.keys() == expected.keys() - there
        assert all(service.fetches()[one] == 1 for one in there)


@pytest.mark.parametrize("at_once", ["several", "one"])
def test_a_later_reading_that_is_killed_anywhere_is_gone_on_with(
    case: ApiCase, service: ApiService, table: Table, at_once: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where records come in order, what stood before a checkpoint is not fetched again."""
    for name, value in case.one_at_a_time.items() if at_once == "one" else ():
        monkeypatch.setattr(name, value)
    old = list(table.sync(service).records)
    for one in old[:3]:
        service.change(one)
    service.delete(old[4])
    for _ in range(3):
        service.add()
    expected = whole(case, service)
    changes = read(case.open(service, stored=table.stored), table.cursor).items
    assert at_once == "several" or sum(isinstance(item, Checkpoint) for item in changes) > 3
    for count in range(0, len(changes) + 1, 2 if at_once == "one" else 4):
        service.forget_calls()
        copied = table.copy(f"killed{count}")
        killed = read(case.open(service, stored=copied.stored), copied.cursor, at_most=count)
        merged = killed.items[: count - count % 3]
        copied.merge(merged)
        places = [at for at, item in enumerate(merged) if isinstance(item, Checkpoint)]
        done = merged[: places[-1]] if places else []
        copied.cursor = merged[places[-1]].cursor if places else copied.cursor  # type: ignore[union-attr]
        there = copied.objects()[old[4]]
        copied.sync(service)
        assert copied.live() == expected
        assert copied.objects().keys() == expected.keys() | {old[4]}
        assert "_sdc_deleted_at" not in there or copied.objects()[old[4]] == there
        again = [i for i in done if isinstance(i, Record) and service.fetches()[i.data["id"]] > 1]
        assert at_once == "several" or again == []


# Cursors


def test_after_a_whole_reading_there_is_nothing_to_do(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    table.sync(service)
    before = table.objects()
    for _ in range(2):
        service.forget_calls()
        assert table.sync(service).records == {}
        assert service.fetches().total() == 0
        assert service.calls <= 2
    assert table.objects() == before


def test_what_changed_since_comes_and_nothing_else(case: ApiCase, service: ApiService, table: Table) -> None:
    old = list(table.sync(service).records)
    changed, deleted = set(old[2:4]), old[7]
    for one in changed:
        service.change(one)
    before = table.objects()[deleted]
    service.delete(deleted)
    added = {service.add(), service.add()}
    gone = {service.add()}
    service.delete(*gone)
    service.forget_calls()
    came = table.sync(service).records
    assert came.keys() == changed | added | {deleted}
    assert datetime.fromisoformat(str(came[deleted]["_sdc_deleted_at"])).tzinfo
    assert came[deleted] == before | {"_sdc_deleted_at": came[deleted]["_sdc_deleted_at"]}
    assert service.fetches() == dict.fromkeys(changed | added, 1)
    assert table.live() == whole(case, service)
    assert table.sync(service).records == {}


def test_a_record_that_changed_often_comes_once_as_it_is_now(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    one, other, *_ = table.sync(service).records
    added = service.add()
    for changed in (one, added, other, one):
        service.change(changed)
    service.delete(other)
    came = table.sync(service).records
    assert came.keys() == {one, other, added}
    assert table.live() == whole(case, service)


def test_an_expired_cursor_loses_no_record_and_is_told(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    changed = next(iter(table.sync(service).records))
    added = service.add()
    service.change(changed)
    service.expire_cursor()
    reading = table.sync(service)
    assert added in reading.records
    assert table.live().keys() == whole(case, service).keys()
    assert any("expired" in name and value for name, value in reading.telemetry.items())
    again = table.sync(service)
    assert again.records == {}
    assert not any("expired" in name for name in again.telemetry)


def test_an_expired_cursor_is_survived_by_a_killed_reading(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    table.sync(service)
    service.add()
    service.expire_cursor()
    expected = whole(case, service)
    for count in range(0, COUNT + 4, 3):
        copied = table.copy(f"killed{count}")
        killed = read(case.open(service, stored=copied.stored), copied.cursor, at_most=count)
        copied.merge(killed.items)
        copied.cursor = killed.checkpoint or copied.cursor
        copied.sync(service)
        assert copied.live() == expected


@pytest.mark.parametrize("cursor", [{}, {"page": 3}, {"history_id": 7, "synced_at": None}, {"state": "x"}])
def test_a_cursor_that_is_not_its_own_is_refused(
    case: ApiCase, service: ApiService, cursor: dict[str, object]
) -> None:
    with pytest.raises(SourceUnreadableError, match=r"^cursor: ") as raised:
        read(case.open(service), cursor)
    assert raised.value.next_step
    assert service.calls == 0


def test_a_cursor_is_json_of_a_bounded_size(case: ApiCase, start: Start) -> None:
    sizes = []
    for count in (1, 20):
        with start(count) as service:
            reading = read(case.open(service))
            sizes.append(len(repr(reading.next_cursor)))
    assert max(sizes) < min(sizes) + 20
