"""A mailbox read over and over: known messages, a file first, plans, limits, and threads that end."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lorchestra.jobs.context import JobContext, JobResult
from lorchestra.jobs.ingest import ingest
from lorchestra.jobs.stored import ObjectsOfSource
from lorchestra.model import Record, Window
from lorchestra.sources import gmail_api
from lorchestra.sources.base import Plans, Source, SourceContext, SourceType
from lorchestra.sources.gmail import GMAIL
from lorchestra.sources.gmail_plan import GmailPlan
from lorchestra.sources.pace import Pace
from lorchestra.sources.quota import load_regimes
from lorchestra.sources.takeout import TAKEOUT
from lorchestra.stores import Store
from tests.gmail.front import gmail_service
from tests.gmail.mailbox import TAKEOUT as TAKEOUT_FILE
from tests.gmail.mailbox import made_mail, made_messages, takeout_messages
from tests.sources.api_case import Table, Trouble, dates, read
from tests.sources.gmail_case import GMAIL_CASE, SOURCE_SYSTEM, ServedMailbox, served_mailbox

COUNT = 12
NOW = datetime.now(UTC)
PDF = bytes(range(256)) * 12


@pytest.fixture(autouse=True)
def _constants(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GMAIL_CASE.constants.items():
        monkeypatch.setattr(name, value)


@pytest.fixture
def mailbox() -> Iterator[ServedMailbox]:
    """Twelve messages on three pages."""
    with served_mailbox(dates(COUNT)) as mailbox:
        yield mailbox


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """An empty table."""
    return Table(GMAIL_CASE, tmp_path / "table.duckdb")


def records(mailbox: ServedMailbox, **options: Any) -> dict[str, dict[str, Any]]:
    """All messages, by a reading that knows of nothing."""
    return read(GMAIL_CASE.open(mailbox, **options)).records


def mail_from(mailbox: ServedMailbox, sender: int, *, date: datetime | None = None) -> str:
    """A message of one of the senders arrives."""
    arrived = date or datetime.now(UTC)
    return mailbox.service.insert(made_mail(sender, arrived), internal_date=arrived)


# What happens to messages that are known


def test_known_messages_are_fetched_again_for_their_labels_alone(
    mailbox: ServedMailbox, table: Table
) -> None:
    first, second, third, *_ = table.sync(mailbox).records
    mailbox.service.modify(first, add=["STARRED"])
    mailbox.service.modify(second, remove=["UNREAD"])
    mailbox.service.trash(third)
    mailbox.forget_calls()
    came = table.sync(mailbox).records
    assert mailbox.fetches() == {first: 1, second: 1, third: 1}
    assert "STARRED" in came[first]["labelIds"]
    assert "UNREAD" not in came[second]["labelIds"]
    assert "TRASH" in came[third]["labelIds"]
    assert not any("_sdc_deleted_at" in data for data in came.values())


def test_messages_that_the_table_has_already_are_not_fetched(mailbox: ServedMailbox, table: Table) -> None:
    table.sync(mailbox)
    added = mailbox.add()
    table.merge(read(GMAIL_CASE.open(mailbox)).items)
    mailbox.forget_calls()
    reading = table.sync(mailbox)
    assert reading.records == {}
    assert reading.seen == {added}
    assert mailbox.fetches().total() == 0


def test_messages_are_fetched_again_where_that_is_asked_for(mailbox: ServedMailbox, table: Table) -> None:
    everything = table.sync(mailbox).records.keys()
    table.cursor = None
    assert table.sync(mailbox).records == {}
    table.cursor = None
    again = table.sync(mailbox, refetch=True, format="metadata").records
    assert again.keys() == everything
    assert table.objects() == again


# A file first


def run(store: Store, folder: Path, kind: SourceType, source: Source, **more: Any) -> JobResult:
    context = JobContext(
        job_name=f"mail_{kind.object_type}",
        run_id=f"run-{time.time_ns()}",
        store=store,
        spool=folder / "spool",
        seen_at=datetime.now(UTC),
        base=folder,
        source_system=SOURCE_SYSTEM,
        **more,
    )
    return ingest(context, source=source, kind=kind, idem_key_fn=kind.idem_key_fn(SOURCE_SYSTEM))


def test_of_mail_that_a_takeout_file_brought_nothing_is_fetched(duckdb_store: Store, tmp_path: Path) -> None:
    duckdb_store.create_tables()
    options = TAKEOUT.options(path=str(TAKEOUT_FILE))
    run(duckdb_store, tmp_path, TAKEOUT, TAKEOUT.open(options, SourceContext(base=tmp_path)))
    held = takeout_messages()
    new = list(made_messages(3))
    stored = ObjectsOfSource(duckdb_store, source_system=SOURCE_SYSTEM, object_type="email")
    with gmail_service([*held, *new]) as service:
        mailbox = ServedMailbox(service, len(held))
        source = GMAIL_CASE.open(mailbox, stored=stored, include_spam_trash=True)
        result = run(duckdb_store, tmp_path, GMAIL, source)
        assert mailbox.fetches().keys() == {message.id for message in new}
    assert (result.counts["inserted"], result.counts["known"]) == (len(new), len(held))
    everything = {message.id for message in [*held, *new]}
    assert stored.known([*everything]) == everything
    [count] = duckdb_store.query("SELECT COUNT(*) AS n FROM `events_dev.raw_objects`").to_pylist()
    assert count["n"] == len(everything)


# Plans and limits


PLANS = [
    (299, "new", None, None),
    (300, "new", None, "6,000 units of quota, about 1 minute"),
    (4_000, "new", None, "80,000 units of quota, about 13 minutes"),
    (30_000, "new", None, "600,000 units of quota, about 1 h 40 min"),
    (2_999, "old", None, None),
    (4_000, "old", None, "20,000 units of quota, about 1 minute"),
    (299, "auto", None, None),
    (300, "auto", None, "about 1 minute"),
    (30_000, "auto", None, "10 minutes or 1 h 40 min, depending on the limits"),
    (300, "auto", 600, "2 minutes or 10 minutes, depending on the limits"),
    (300, "new", 600, "6,000 units of quota, about 10 minutes"),
]


@pytest.mark.parametrize(("count", "quota", "own_limit", "expected"), PLANS)
def test_what_takes_a_minute_or_more_is_told_before(
    count: int, quota: Any, own_limit: int | None, expected: str | None
) -> None:
    told: list[str] = []
    regimes = load_regimes("gmail_quota.toml")
    pace = Pace(regimes, now=0.0, quota=quota, units_per_minute=own_limit)
    GmailPlan(pace, regimes, told.append).tell(count)
    assert [one.partition(" to fetch: ")[2][: len(expected or "")] for one in told] == [expected][: len(told)]
    assert len(told) == (expected is not None)


@pytest.fixture
def large_mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedMailbox]:
    """As many messages as take two minutes to fetch under the smaller limits."""
    monkeypatch.setattr(gmail_api, "PAGE_SIZE", 500)
    with served_mailbox(dates(480), 500) as mailbox:
        yield mailbox


def test_a_dry_run_tells_the_plan_and_fetches_nothing(large_mailbox: ServedMailbox) -> None:
    told: list[str] = []
    source = GMAIL_CASE.open(large_mailbox, say=told.append, quota_units_per_minute=None)
    assert isinstance(source, Plans)
    assert source.plan(Window(), None) == {"records_extracted": 480, "known": 0, "new": 480}
    [plan] = told
    assert plan.startswith(
        "480 messages to fetch: 1 minute or 2 minutes, depending on the limits that Google"
    )
    assert large_mailbox.fetches().total() == 0


def test_limits_that_show_correct_the_plan(large_mailbox: ServedMailbox) -> None:
    told: list[str] = []
    large_mailbox.trouble(Trouble.REFUSED, call=5)
    # Two minutes' work; what comes first is enough.
    source = GMAIL_CASE.open(large_mailbox, say=told.append, quota_units_per_minute=None)
    items = source.records(Window(), None)
    while len(told) < 2:
        next(items)
    items.close()  # type: ignore[attr-defined]
    assert told[0].startswith("480 messages to fetch: 1 minute or 2 minutes")
    assert told[1].startswith("Google's limits since May 2026 are in force: 6,000 units a minute")
    assert told[1].endswith("About 2 minutes left.")


def test_limits_that_showed_once_are_known_to_the_next_run(mailbox: ServedMailbox, table: Table) -> None:
    mailbox.trouble(Trouble.REFUSED, call=4)
    assert table.sync(mailbox).telemetry["quota"] == "new"
    assert table.sync(mailbox).telemetry["quota"] == "new"


def test_limits_that_did_not_show_need_no_correction(mailbox: ServedMailbox) -> None:
    told: list[str] = []
    mailbox.trouble(Trouble.REFUSED, call=4)
    assert len(read(GMAIL_CASE.open(mailbox, say=told.append)).records) == COUNT
    assert told == []


def test_a_limit_cuts_the_listing_short_and_the_cursor_claims_nothing(
    mailbox: ServedMailbox, table: Table
) -> None:
    limited = table.sync(mailbox, limit=3)
    assert 3 <= len(limited.records) < COUNT
    assert len(mailbox.service.seen("GET", r"/messages$")) == 1
    more = table.sync(mailbox, limit=COUNT - 2)
    assert not more.records.keys() & limited.records.keys()
    table.sync(mailbox)
    assert table.objects() == records(mailbox)


@pytest.mark.parametrize("limit", [1, 5, COUNT])
def test_runs_with_a_limit_come_to_the_whole_mailbox(
    mailbox: ServedMailbox, duckdb_store: Store, tmp_path: Path, limit: int
) -> None:
    duckdb_store.create_tables()
    stored = ObjectsOfSource(duckdb_store, source_system=SOURCE_SYSTEM, object_type="email")
    newest = sorted(records(mailbox), reverse=True)
    mailbox.forget_calls()
    for number in (1, 2):
        source = GMAIL_CASE.open(mailbox, stored=stored, limit=limit)
        result = run(duckdb_store, tmp_path, GMAIL, source, limit=limit)
        assert result.counts["inserted"] == min(limit, COUNT - (number - 1) * limit)
    assert len(stored.known(newest)) == min(2 * limit, COUNT)
    run(duckdb_store, tmp_path, GMAIL, GMAIL_CASE.open(mailbox, stored=stored))
    assert stored.known(newest) == set(newest)
    again = run(duckdb_store, tmp_path, GMAIL, GMAIL_CASE.open(mailbox, stored=stored))
    assert again.counts["records_extracted"] == 0


# Threads


def fetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fetch-")]


@pytest.mark.parametrize("items", [1, 5, None])
def test_no_thread_is_left_when_a_reading_ends_or_is_closed(
    mailbox: ServedMailbox, items: int | None
) -> None:
    read(GMAIL_CASE.open(mailbox), at_most=items)
    until = time.monotonic() + 20
    while fetching() and time.monotonic() < until:
        time.sleep(0.05)
    assert fetching() == []


def test_a_reading_that_is_closed_does_not_wait_for_answers(mailbox: ServedMailbox) -> None:
    items = GMAIL_CASE.open(mailbox).records(Window(), None)
    next(item for item in items if isinstance(item, Record))
    mailbox.service.latency = 30.0
    began = time.monotonic()
    items.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    mailbox.service.latency = 0.0
