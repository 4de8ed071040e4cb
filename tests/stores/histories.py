"""Histories of jobs as the event log has them, and what the rule of the quiet guard says of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.model import Event
from lorchestra.queries import named_query
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores.base import query_rows
from tests.stores.conftest import SOURCE, Bench

FLAGS = ("is_failing", "is_late", "is_slow", "runs_long", "is_quiet")
MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True, kw_only=True)
class GivenRun:
    """A run that began so many seconds ago; `end` is None while it runs."""

    ago: int
    end: str | None = "completed"
    seconds: float = 10
    new: int = 40
    unchanged: int = 0
    #: `limit` or `retry_of`: it read a part only.
    part: str | None = None
    #: In place of an id of our own.
    run_id: str | None = None

    def started_at(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.ago)

    def id_of(self, job: str, now: datetime) -> str:
        return self.run_id or f"{job}-{self.started_at(now):%Y%m%d%H%M%S}"

    def events(self, job: str, now: datetime) -> list[Event]:
        of_job = {"job_name": job, "package_name": "lorchestra"}
        took = {"duration_seconds": self.seconds}
        counts = {"records_extracted": self.new + self.unchanged, "inserted": self.new}
        parameters = {"limit": None, "since": "-7d"} | ({self.part: 3} if self.part else {})
        told: list[tuple[str, dict[str, Any]]] = [("job.started", of_job | {"parameters": parameters})]
        if self.end is not None:
            told.append((f"ingestion.{self.end}", counts | {"unchanged": self.unchanged} | took))
            told.append((f"job.{self.end}", of_job | took))
        began = self.started_at(now)
        return [
            replace(
                make_event(
                    event_type=kind,
                    source_system=SOURCE if kind.startswith("ingestion") else "lorchestra",
                    object_type="email" if kind.startswith("ingestion") else "job_run",
                    correlation_id=self.id_of(job, now),
                    status="failed" if kind.endswith("failed") else "ok",
                    error_message="It failed." if kind.endswith("failed") else None,
                    payload=payload,
                ),
                created_at=began if kind == "job.started" else began + timedelta(seconds=self.seconds),
            )
            for kind, payload in told
        ]


History = Mapping[str, Sequence[GivenRun]]


def this_second() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def log_history(bench: Bench, history: History, now: datetime) -> None:
    events = [event for job, runs in history.items() for run in runs for event in run.events(job, now)]
    bench.store.create_tables()
    bench.store.append_events(sorted(events, key=lambda event: event.created_at))


def job_health(bench: Bench) -> dict[str, dict[str, Any]]:
    """The row of each job."""
    rows = query_rows(bench.store, named_query("job_health", bench.store.tables))
    found = {row["job_name"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def unusual(row: Mapping[str, Any]) -> set[str]:
    flags = {name for name in FLAGS if row[name]}
    assert all(row[name] in {True, False} for name in FLAGS)
    assert row["is_unusual"] is bool(flags)
    return flags


_MOVING = {"age_seconds", "last_success_at"}


def without_moving(row: Mapping[str, Any]) -> dict[str, Any]:
    """All but what changes by the second."""
    return {name: value for name, value in row.items() if name not in _MOVING}


def every(step: int, number: int, *, last: int, **run: Any) -> list[GivenRun]:
    """So many runs in steps of so many seconds, the last so long ago."""
    return [GivenRun(ago=last + step * n, **run) for n in reversed(range(number))]


def daily(number: int, *, last: int = 2 * HOUR, **run: Any) -> list[GivenRun]:
    return every(DAY, number, last=last, **run)


def then(runs: Iterable[GivenRun], *more: GivenRun) -> list[GivenRun]:
    return [*runs, *more]
