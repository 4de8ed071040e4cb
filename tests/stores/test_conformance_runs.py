"""What every store promises about runs: which are listed, and what goes when old ones are pruned."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lorchestra.errors import QueryError
from lorchestra.history import list_runs, run_events
from lorchestra.jobs.stored import last_cursor
from lorchestra.model import Event
from lorchestra.retention import prunable
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores.base import PrunesEvents, query_rows
from tests.stores.conftest import Bench

laws = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(days=5)
JOBS = ("mail", "mail-2")
SOURCES = ("acct1", "acct2")
ENDS = ("job.completed", "job.failed")


@dataclass(frozen=True, kw_only=True)
class GivenRun:
    """A run: when its events came, in hours before now, and what it says of its source."""

    job: str
    hours: tuple[int, int, int]
    end: str | None
    source: str
    cursor: int | None

    def events(self, number: int) -> list[Event]:
        """Its events; those of different runs are some microseconds apart."""
        hours = sorted(self.hours, reverse=True)
        times = [NOW - timedelta(hours=hour, microseconds=7 * number - n) for n, hour in enumerate(hours)]
        run_id = f"{self.job}-{times[0]:%Y%m%d%H%M%S}-{number}"
        if number % 2 == 0:
            # One in the form of our own; the other says nothing of its time.
            run_id = f"{self.job}-{times[0] + timedelta(seconds=number):%Y%m%d%H%M%S}"
        failed = self.end == "job.failed"
        step = "ingestion.failed" if failed else "ingestion.completed"
        cursor = None if self.cursor is None else {"n": self.cursor}
        told: dict[str, Any] = {"resume": {"cursor": cursor}} if failed else {"cursor": cursor}
        of_job = {"job_name": self.job, "package_name": "lorchestra"}
        kinds: list[tuple[str, str, dict[str, Any]]] = [
            ("job.started", "lorchestra", of_job),
            (step, self.source, told | {"inserted": number, "records_extracted": 2 * number}),
        ]
        if self.end is not None:
            kinds.append((self.end, "lorchestra", of_job | {"duration_seconds": 1.5}))
        return [
            replace(
                make_event(
                    event_type=kind,
                    source_system=source,
                    object_type="email" if kind.startswith("ingestion") else "job_run",
                    correlation_id=run_id,
                    status="failed" if kind.endswith("failed") else "ok",
                    payload=payload,
                ),
                created_at=moment,
            )
            for (kind, source, payload), moment in zip(kinds, times, strict=False)
        ]


hours = st.integers(1, 240)
logs = st.lists(
    st.builds(
        GivenRun,
        job=st.sampled_from(JOBS),
        hours=st.tuples(hours, hours, hours) | hours.map(lambda hour: (hour, hour, hour)),
        end=st.sampled_from([None, *ENDS]),
        source=st.sampled_from(SOURCES),
        cursor=st.none() | st.integers(0, 9),
    ),
    min_size=1,
    max_size=8,
).map(lambda runs: [run.events(number) for number, run in enumerate(runs)])
Log = list[list[Event]]


def filled(new_bench: Callable[[], Bench], log: Log) -> Bench:
    bench = new_bench()
    # With its views.
    bench.store.create_tables()
    bench.store.append_events(sorted((event for run in log for event in run), key=lambda one: one.created_at))
    return bench


def ids(bench: Bench) -> set[str]:
    return {row["event_id"] for row in bench.rows("SELECT event_id FROM `events_dev.event_log`")}


def expected_to_stay(log: Log) -> set[str]:
    """The ids of events that no pruning may take, found without SQL."""
    stays: list[list[Event]] = []
    places: dict[str, Event] = {}
    for event in (event for run in log for event in run):
        payload = dict(event.payload or {})
        cursor = payload.get("cursor") or payload.get("resume", {}).get("cursor")
        newest = places.get(event.source_system)
        if cursor and (newest is None or event.created_at > newest.created_at):
            places[event.source_system] = event
    for run in log:
        ended = any(event.event_type in ENDS for event in run)
        old = all(event.created_at < BEFORE for event in run)
        if not (ended and old) or any(event in run for event in places.values()):
            stays.append(run)
    return {event.event_id for run in stays for event in run}


# Which runs are listed


@laws
@given(log=logs)
def test_a_listing_is_the_newest_of_the_view(new_bench: Callable[[], Bench], log: Log) -> None:
    """Whatever is asked for, the rows are those of the view, and the limit takes the newest."""
    bench = filled(new_bench, log)
    view = bench.rows("SELECT * FROM `events_dev.job_runs` ORDER BY started_at DESC, run_id DESC")
    assert list_runs(bench.store, limit=100) == view
    for state in ("running", "failed", "succeeded"):
        wanted = [row for row in view if row["state"] == state]
        assert list_runs(bench.store, state=state, limit=2) == wanted[:2]
    # An id in the form of our own tells the job; one of somebody else's does not.
    of_ours = [run[0].correlation_id for number, run in enumerate(log) if number % 2 == 0]
    wanted = [row for row in view if row["job_name"] == "mail" and row["run_id"] in of_ours]
    assert list_runs(bench.store, job="mail", limit=100) == wanted
    for run in log[:2]:
        found = run_events(bench.store, run[0].correlation_id)
        assert {event["event_id"] for event in found} == {event.event_id for event in run}


def test_plain_rows_are_those_of_the_arrow_table(bench: Bench) -> None:
    """Whether a store gives them by itself or not."""
    bench.log(payload={"a": [1, None], "b": "é"})
    sql = (
        "SELECT *, 1 AS i, 1.5 AS f, TRUE AS t, CAST(NULL AS STRING) AS n, "
        "(SELECT SUM(x) FROM UNNEST([1, 2]) AS x) AS s, @given AS g FROM `events_dev.event_log`"
    )
    given_values = {"given": "x"}
    expected = bench.store.query(sql, given_values).to_pylist()
    assert query_rows(bench.store, sql, given_values) == expected
    assert len(expected) == 1
    with pytest.raises(QueryError, match="same name"):
        query_rows(bench.store, "SELECT 1 AS a, 2 AS a")
    with pytest.raises(QueryError):
        query_rows(bench.store, "SELECT nothing FROM `events_dev.event_log`")


# What goes


def _old_run(number: int, *, days: int, cursor: int | None, end: str = "job.completed") -> list[Event]:
    hour = 24 * days
    return GivenRun(job="mail", hours=(hour,) * 3, end=end, source="acct1", cursor=cursor).events(number)


#: All old: the place where the source goes on is in the second newest, which failed.
PLACE_IN_AN_OLD_RUN = [
    _old_run(0, days=20, cursor=1),
    _old_run(1, days=15, cursor=2),
    _old_run(2, days=10, cursor=3, end="job.failed"),
    _old_run(3, days=8, cursor=None),
]


@laws
@example(log=PLACE_IN_AN_OLD_RUN)
@given(log=logs)
def test_pruning_takes_whole_old_runs_and_leaves_the_place_of_each_source(
    new_bench: Callable[[], Bench], log: Log
) -> None:
    """What goes was counted before; what stays is as it was; once is as good as twice."""
    bench = filled(new_bench, log)
    assert isinstance(bench.store, PrunesEvents)
    stay = expected_to_stay(log)
    gone = [event for run in log for event in run if event.event_id not in stay]
    cursors = [last_cursor(bench.store, source, "email") for source in SOURCES]
    runs = list_runs(bench.store, limit=100)

    found = prunable(bench.store, BEFORE)
    assert found is not None
    assert (found.events, found.runs) == (len(gone), len({event.correlation_id for event in gone}))
    if gone:
        times = [event.created_at for event in gone]
        assert (found.began, found.ended) == (min(times), max(times))
    assert bench.store.delete_events(BEFORE, run_id="prune-20260301120000") == len(gone)

    assert ids(bench) == stay
    assert [last_cursor(bench.store, source, "email") for source in SOURCES] == cursors
    gone_runs = {event.correlation_id for event in gone}
    assert list_runs(bench.store, limit=100) == [run for run in runs if run["run_id"] not in gone_runs]
    assert bench.store.delete_events(BEFORE, run_id="prune-20260301120001") == 0
    assert ids(bench) == stay


def test_a_store_without_tables_has_nothing_to_prune(bare_bench: Bench) -> None:
    """And asking makes none."""
    assert prunable(bare_bench.store, BEFORE) is None
    assert any(difference.column is None for difference in bare_bench.store.check_tables())


def test_pruning_leaves_the_objects(bench: Bench) -> None:
    """Only events go."""
    bench.upsert([{"id": "1"}])
    old = GivenRun(job="mail", hours=(300, 300, 300), end="job.completed", source="acct1", cursor=None)
    bench.store.append_events(old.events(0))
    before = bench.objects()
    assert isinstance(bench.store, PrunesEvents)
    assert bench.store.delete_events(NOW, run_id="prune-20260301120000") == 3
    assert (bench.objects(), bench.count("event_log")) == (before, 0)
