"""What every source of an API promises where calls, logins and records fail; and what it never tells."""

import json
import os
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from itertools import islice

import pytest

from lorchestra.errors import (
    AuthError,
    LorchestraError,
    SourceError,
    SourceUnavailableError,
)
from lorchestra.model import Record, Rejection, Window
from lorchestra.sources.base import Refetches
from tests.sources.api_case import ApiCase, ApiService, Reading, Table, Trouble, dates, read, read_into

COUNT = 12


def failures(reading: Reading) -> int:
    return int(reading.telemetry["retries"]) + int(reading.telemetry["calls_refused"])


# What passes


@pytest.mark.parametrize("trouble", Trouble)
def test_what_passes_changes_nothing_and_is_counted(
    case: ApiCase, service: ApiService, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = read(case.open(service))
    calls = service.calls
    assert failures(undisturbed) == 0
    for name, value in case.impatience.items() if trouble is Trouble.SLOW else ():
        monkeypatch.setattr(name, value)
    for call in (0, calls // 2, calls - 1):
        service.trouble(trouble, call=call)
        disturbed = read(case.open(service))
        assert disturbed.records == undisturbed.records
        assert disturbed.rejections == []
        assert failures(disturbed) >= 1


def test_many_troubles_at_once_change_nothing(case: ApiCase, service: ApiService, table: Table) -> None:
    expected = read(case.open(service)).records
    troubles = [trouble for trouble in Trouble if trouble is not Trouble.SLOW] * 2
    for number, trouble in enumerate(troubles):
        service.trouble(trouble, call=number)
    reading = table.sync(service)
    assert table.objects() == expected
    assert failures(reading) == len(troubles)


# What does not pass


def test_a_record_that_always_fails_is_rejected_and_can_be_had_later(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    expected = read(case.open(service)).records
    broken = sorted(expected)[3]
    service.break_record(broken)
    reading = table.sync(service)
    assert [rejection.reason for rejection in reading.rejections] == [case.broken_reason]
    assert reading.records.keys() == expected.keys() - {broken}
    position = reading.rejections[0].position
    source = case.open(service)
    assert isinstance(source, Refetches)
    assert list(source.again([position])) == reading.rejections
    service.mend()
    source = case.open(service)
    assert isinstance(source, Refetches)
    again = list(source.again(["", "elsewhere 1", position]))
    assert [item.data for item in again if isinstance(item, Record)] == [expected[broken]]
    assert len(again) == 1


def test_a_record_that_is_gone_when_its_turn_comes_is_counted(case: ApiCase) -> None:
    with case.start(dates(case.page), 2_000) as service:
        gone = min(read(case.open(service)).records)
        happenings = [gone]
        service.between_pages(lambda: service.delete(happenings.pop()) if happenings else None)
        reading = read(case.open(service))
        assert len(reading.records) == case.page - 1
        assert reading.rejections == []
        assert reading.telemetry["not_found"] == 1


@pytest.mark.parametrize("after", [0, 1, 3, 12, 2 * COUNT])
@pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.SERVER_ERROR, Trouble.UNREADABLE])
def test_a_service_that_is_down_ends_the_run_soon_and_the_next_goes_on(
    case: ApiCase, table: Table, trouble: Trouble, after: int
) -> None:
    with case.start(dates(COUNT * 2), 2_000) as service:
        expected = read(case.open(service)).records
        service.go_down(trouble, after=after)
        reading, began = Reading(), time.monotonic()
        with pytest.raises(SourceUnavailableError) as raised:
            read_into(reading, case.open(service, stored=table.stored))
        assert time.monotonic() - began < 20
        assert raised.value.retryable
        assert raised.value.next_step
        service.mend()
        table.merge(reading.items)
        table.cursor = reading.checkpoint
        table.sync(service)
        assert table.objects() == expected


@pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.SERVER_ERROR])
def test_a_service_that_is_down_when_changes_are_asked_for_costs_none_of_them(
    case: ApiCase, service: ApiService, table: Table, trouble: Trouble
) -> None:
    table.sync(service)
    service.add()
    service.go_down(trouble)
    with pytest.raises(SourceUnavailableError):
        table.sync(service)
    service.mend()
    table.sync(service)
    assert table.objects() == read(case.open(service)).records


# Logins


def test_a_login_that_ends_in_the_middle_is_renewed(
    case: ApiCase, service: ApiService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in case.one_at_a_time.items():
        monkeypatch.setattr(name, value)
    expected = read(case.open(service)).records
    for at in (0, 1, COUNT // 2):
        items = case.open(service).records(Window(), None)
        before = list(islice(items, at))
        service.expire_login()
        assert Reading([*before, *items]).records == expected


def test_a_login_that_was_taken_back_is_told_with_what_to_do(case: ApiCase, service: ApiService) -> None:
    service.revoke_login()
    with pytest.raises(AuthError, match=r"^login: ") as raised:
        read(case.open(service))
    assert raised.value.next_step
    assert not raised.value.retryable
    assert service.fetches().total() == 0


def test_a_login_that_is_taken_back_in_the_middle_ends_the_run(case: ApiCase, table: Table) -> None:
    with case.start(dates(case.ahead + COUNT), 2_000) as service:
        expected = read(case.open(service)).records
        items = case.open(service, stored=table.stored).records(Window(), None)
        before, later = list(islice(items, 3)), Reading()
        service.revoke_login()
        with pytest.raises(AuthError):
            later.items.extend(items)
        table.merge(before)
        merged = table.objects()
        assert merged
        assert merged.items() <= expected.items()


# What is told


class Told:
    """All that anybody is told of a source, as one text."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def say(self, text: object) -> None:
        self.parts.append(str(text))

    def error(self, error: BaseException) -> None:
        self.parts += [str(error), repr(error), *traceback.format_exception(error)]
        if isinstance(error, LorchestraError):
            self.parts += [str(error.next_step), str(error.place)]

    def reading(self, reading: Reading) -> None:
        self.parts += [repr(reading.telemetry), repr(reading.next_cursor), repr(reading.checkpoint)]
        found = (i for i in reading.items if isinstance(i, Record | Rejection))
        self.parts += [f"{item.position} {getattr(item, 'reason', '')}" for item in found]


def test_nothing_told_holds_a_token_an_address_or_a_word_of_a_record(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    """However the service words its errors."""
    told, secrets = Told(), set(service.secrets)

    def attempt() -> None:
        reading, source = Reading(), case.open(service, stored=table.stored, say=told.say)
        with suppress(SourceError):
            try:
                read_into(reading, source, table.cursor)
            except SourceError as error:
                told.error(error)
                raise
            finally:
                told.reading(reading)
                told.parts += [repr(source), repr(service.options), repr(source.progress())]
                secrets.update(service.secrets)
                service.mend()

    attempt()
    broken = min(service.fetches())
    service.break_record(broken)
    attempt()
    for trouble in Trouble:
        if trouble is Trouble.SLOW:
            continue
        service.trouble(trouble, call=1)
        attempt()
    for trouble in (Trouble.CUT, Trouble.SERVER_ERROR, Trouble.UNREADABLE):
        for after in (0, 3):
            service.go_down(trouble, after=after)
            attempt()
    service.revoke_login()
    attempt()
    text = "\n".join(told.parts)
    assert "Traceback" in text
    assert "login: " in text
    assert case.broken_reason in text
    assert [secret for secret in secrets if secret in text] == []


# Memory

PROGRAM = """
import json, sys
from pathlib import Path
import psutil
from lorchestra.model import Record, Window
from lorchestra.sources.base import SourceContext, source_type

name, source_system, options, environment = json.load(sys.stdin)
kind = source_type(name)
context = SourceContext(base=Path("."), source_system=source_system, environment=environment)
source = kind.open(kind.options(**options), context)
# The peak that the system keeps counts what was forked from, too.
process = psutil.Process()
before = peak = process.memory_info().rss
count = 0
for item in source.records(Window(), None):
    count += isinstance(item, Record)
    if count % 20 == 0:
        # Looking takes time, and what is fetched meanwhile waits in memory, as much as may.
        peak = max(peak, process.memory_info().rss)
print(count, peak - before)
"""


def test_five_times_as_many_records_need_no_more_memory(case: ApiCase) -> None:
    growth = []
    for count in (200, 1_000):
        with case.start(dates(count), 20_000) as service:
            told = [case.name, case.source_system, service.options, dict(service.environment)]
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM],
                # Else each thread may have free memory of its own, more or less by chance.
                env=os.environ | {"MALLOC_ARENA_MAX": "2"},
                input=json.dumps(told),
                check=True,
                capture_output=True,
                text=True,
            )
        read_count, grown = map(int, done.stdout.split())
        assert read_count == count
        growth.append(grown)
    # Held, the further records would be 20 MB.
    assert growth[1] < growth[0] + 8_000_000
