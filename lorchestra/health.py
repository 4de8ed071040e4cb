"""How each job is, judged by its own history: what last happened, what is usual, and what needs a human.

The rule is SQL, `queries/job_health.sql`; here its answers become sentences and the next command to type.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Any

from lorchestra.errors import StoreSchemaError
from lorchestra.jobs.failure import next_step_of
from lorchestra.queries import internal_query
from lorchestra.spans import span
from lorchestra.stores.base import Store, query_rows, snapshot

#: A job that is configured nowhere here and has not run for so long is of the past, and alarms nobody.
RETIRED_AFTER = timedelta(days=30)
# `job_health.sql` calls slow what took five seconds longer than usual, whatever that is.
_NEVER_SLOW_SECONDS = 5.0


class AlertKind(StrEnum):
    """What can be wrong with a job, the worst first."""

    FAILING = "failing"
    LATE = "late"
    RUNNING_LONG = "running long"
    QUIET = "quiet"
    SLOW = "slow"


#: What makes `lorchestra status` exit with 1; the others are shown.
NEEDS_A_HUMAN = frozenset({AlertKind.FAILING, AlertKind.LATE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """Something that is not as usual, and the next command."""

    kind: AlertKind
    message: str
    next_step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningRun:
    """A run that has not ended, and what `raw_objects` has of it by now."""

    run_id: str
    started_at: datetime
    seen: int
    inserted: int


@dataclass(frozen=True, kw_only=True, slots=True)
class JobHealth:
    """One job. Times are in UTC; durations and ages in seconds; None is "never" or "not known yet"."""

    job_name: str
    #: Whether it stands in this configuration.
    configured: bool
    #: `ok`, `running`, `never ran`, `retired`, or the kind of its worst alert.
    state: str
    alerts: tuple[Alert, ...]
    #: Its newest runs, newest first, at most 50: run_id, state, times, counts, error.
    runs: tuple[Mapping[str, Any], ...]
    running: tuple[RunningRun, ...] = ()
    last_success_at: datetime | None = None
    age_seconds: int | None = None
    usual_gap_seconds: float | None = None
    usual_seconds: float | None = None
    usual_new: float | None = None

    @property
    def last_run(self) -> Mapping[str, Any] | None:
        """Its newest run."""
        return self.runs[0] if self.runs else None


def job_healths(store: Store, configured: Collection[str]) -> list[JobHealth]:
    """Every job that is configured or ever ran: what is wrong first, then by name.

    A store without tables has no runs.

    Raises:
        StoreError: the store cannot be asked.
    """
    try:
        with snapshot(store):
            rows = query_rows(store, internal_query("overview", store.tables))
            # One that others came after did not end either, but it will not.
            running = _running(store, [row for row in rows if row["last_run"] is not None])
    except StoreSchemaError:
        rows, running = [], {}
    now = datetime.now(UTC)
    found = [_health(name, of_job, running, configured, now) for name, of_job in _by_job(rows).items()]
    known = {one.job_name for one in found}
    found += [
        JobHealth(job_name=name, configured=True, state="never ran", alerts=(), runs=())
        for name in configured
        if name not in known
    ]
    return sorted(found, key=lambda one: (_rank(one), one.job_name))


def job_health(store: Store, job_name: str) -> JobHealth:
    """One job that is configured.

    Raises:
        StoreError: the store cannot be asked.
    """
    return next(one for one in job_healths(store, [job_name]) if one.job_name == job_name)


def with_progress(store: Store, healths: Iterable[JobHealth]) -> list[JobHealth]:
    """The same, their running runs as far as they have come by now.

    Raises:
        StoreError: the store cannot be asked.
    """
    running = _running(store, [one.last_run for one in healths if one.last_run is not None])
    return [
        replace(one, running=tuple(running[run["run_id"]] for run in one.runs if run["run_id"] in running))
        for one in healths
    ]


def alerts_of_ending_run(
    store: Store, job_name: str, *, run_id: str, seconds: float, inserted: int
) -> list[Alert]:
    """What is unusual about a run that is about to succeed: nothing new, or slow.

    Raises:
        StoreError: the store cannot be asked.
    """
    # A question can be spared: nothing else is quiet, nothing else slow.
    if inserted and seconds <= _NEVER_SLOW_SECONDS:
        return []
    parameters = {"job": job_name, "run_id": run_id, "seconds": seconds}
    rows = query_rows(store, internal_query("run_health", store.tables), parameters)
    # The newest success can be another one where a second host runs the job.
    return [alert for row in rows if row["judged_run"] == run_id for alert in _of_success(job_name, row)]


def needs_a_human(healths: Iterable[JobHealth]) -> bool:
    """Whether a job fails or is late."""
    return any(alert.kind in NEEDS_A_HUMAN for one in healths for alert in one.alerts)


def _rank(health: JobHealth) -> int:
    order = [*AlertKind, "running", "ok", "never ran", "retired"]
    return order.index(health.state)


def _by_job(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["job_name"], []).append(row)
    return found


def _running(store: Store, rows: Sequence[Mapping[str, Any]]) -> dict[str, RunningRun]:
    running = {row["run_id"]: row["started_at"] for row in rows if row["state"] == "running"}
    if not running:
        return {}
    parameters = {"run_ids": list(running), "first": min(running.values())}
    found = query_rows(store, internal_query("running_progress", store.tables), parameters)
    return {row["run_id"]: RunningRun(started_at=running[row["run_id"]], **row) for row in found}


def _health(
    name: str,
    runs: Sequence[Mapping[str, Any]],
    running: Mapping[str, RunningRun],
    configured: Collection[str],
    now: datetime,
) -> JobHealth:
    # The judgement stands beside the newest run.
    judged = next(row for row in runs if row["last_run"] is not None)
    is_configured = name in configured
    retired = not is_configured and now - judged["last_started_at"] > RETIRED_AFTER
    alerts = () if retired else tuple(_alerts(name, runs, judged, is_configured, now))
    active = tuple(running[row["run_id"]] for row in runs if row["run_id"] in running)
    if alerts:
        state = alerts[0].kind.value
    elif active:
        state = "running"
    else:
        state = "retired" if retired else "ok"
    return JobHealth(
        job_name=name,
        configured=is_configured,
        state=state,
        alerts=alerts,
        runs=tuple(runs),
        running=active,
        last_success_at=judged["last_success_at"],
        age_seconds=judged["age_seconds"],
        usual_gap_seconds=judged["usual_gap_seconds"],
        usual_seconds=judged["usual_seconds"],
        usual_new=judged["usual_new"],
    )


def _alerts(
    name: str,
    runs: Sequence[Mapping[str, Any]],
    judged: Mapping[str, Any],
    is_configured: bool,  # noqa: FBT001
    now: datetime,
) -> Iterator[Alert]:
    again = f"Type: lorchestra run {name}"
    if judged["is_failing"]:
        yield _failing(name, runs)
    if judged["is_late"] and is_configured:
        ago = (now - judged["last_started_at"]).total_seconds()
        yield Alert(
            kind=AlertKind.LATE,
            message=f"last started {span(ago)} ago, usually every {span(judged['usual_gap_seconds'])}",
            next_step=f"{again}. Then look at what starts it: `crontab -l`, `systemctl list-timers`.",
        )
    if judged["runs_long"]:
        since = (now - judged["running_since"]).total_seconds()
        yield Alert(
            kind=AlertKind.RUNNING_LONG,
            message=f"runs for {span(since)}, usually {span(judged['usual_seconds'])}",
            next_step=f"`lorchestra runs show {judged['last_run']}` shows how far it came.",
        )
    yield from _of_success(name, judged)


def _of_success(name: str, judged: Mapping[str, Any]) -> Iterator[Alert]:
    """What can be said of the newest success, by its row."""
    if judged["is_quiet"]:
        yield Alert(
            kind=AlertKind.QUIET,
            message=f"nothing new, usually {judged['usual_new']:g}",
            next_step=f"`lorchestra run {name} --dry-run` says what the source has.",
        )
    if judged["is_slow"]:
        yield Alert(
            kind=AlertKind.SLOW,
            message=f"took {span(judged['last_seconds'])}, usually {span(judged['usual_seconds'])}",
            next_step=f"`lorchestra runs show {judged['judged_run']}` shows what it did.",
        )


def _failing(name: str, runs: Sequence[Mapping[str, Any]]) -> Alert:
    ended = [run for run in runs if run["state"] != "running"]
    failed = list(takewhile(lambda run: run["state"] == "failed", ended))
    newest = failed[0]
    reason = newest["error_message"] or newest["error_code"] or "it does not say why"
    step = newest["next_step"] or next_step_of(newest["error_code"], job_name=name, run_id=newest["run_id"])
    message = reason if len(failed) == 1 else f"{len(failed)} runs in a row: {reason}"
    return Alert(kind=AlertKind.FAILING, message=message, next_step=step)
