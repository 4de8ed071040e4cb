"""The command `lorchestra`: its commands, what they print, and their exit codes.

stdout is data, stderr is talk. Exit 0: done. 1: the job failed. 2: wrong use or configuration.
Only what a command needs is imported, inside it, so that `--help` answers at once.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lorchestra.cli_auth import auth
from lorchestra.cli_base import Commands, job_names, opened_store, say, shown_progress, tell, with_settings
from lorchestra.cli_first import completion, init
from lorchestra.cli_read import jobs, query, runs
from lorchestra.cli_store import copy, doctor, setup
from lorchestra.errors import StoreError, UsageError

if TYPE_CHECKING:
    from lorchestra.config import Settings
    from lorchestra.jobs.context import JobContext, JobProgress, JobResult
    from lorchestra.run_lock import RunMarker
    from lorchestra.runs import RunLog

_BEAT_SECONDS = 5.0


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lorchestra", prog_name="lorchestra")
def main() -> None:
    """Mail, CRM and payments into tables you own, with an account of every run."""


@main.command()
@click.argument("job", shell_complete=job_names)
@click.option("--since", metavar="WHEN", help="Only what is as new or newer: 2025-11-20, -7d, yesterday.")
@click.option("--until", metavar="WHEN", help="Only what is older.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many records.")
@click.option("--dry-run", is_flag=True, help="Read the source and say what would be written; write nothing.")
@click.option(
    "--trace-id", metavar="ID", help="trace_id of every event of the run; else that of $TRACEPARENT."
)
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where a job failed; may show data.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as a JSON array of one object.")
@with_settings
def run(job: str, *, as_json: bool, settings: "Settings", **options: Any) -> None:
    """Run JOB once and account for it.

    JOB is a name, or PACKAGE/JOB where several packages bring one of that name. Times without a zone are
    local; a day is its midnight.
    """
    _print_outcome(_run_job_impl(job, settings=settings, **options), as_json=as_json)


@main.command()
@click.argument("run_id")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where a job failed; may show data.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as a JSON array of one object.")
@with_settings
def retry(run_id: str, *, as_json: bool, show_traceback: bool, settings: "Settings") -> None:
    """Ask the source again for the records that RUN_ID rejected, and for nothing else.

    This is a run of the same job, with an account of its own. What is stored now is noted in the rejects of
    RUN_ID; what is rejected again stays there for another try.
    """
    from lorchestra.history import show_run
    from lorchestra.jobs.registry import can_retry, find_job
    from lorchestra.rejects import open_positions

    started = next(
        (one for one in show_run(opened_store(settings), run_id) if one["event_type"] == "job.started"), None
    )
    positions = open_positions(settings.spool.path, run_id)
    if started is None or not positions or not started["payload"]:
        raise UsageError(
            f"run {run_id}: has no rejects on this host that are not resolved",
            next_step=f"`lorchestra runs show {run_id}` shows what it did.",
        )
    job = find_job(f"{started['payload']['package_name']}/{started['payload']['job_name']}", settings)
    if not can_retry(job.settings.source):
        raise UsageError(
            f"job {job.name}: its source cannot be asked for single records",
            next_step=f"Correct what the rejects say, then type: lorchestra run {job.name}",
        )
    outcome = _run_job_impl(
        f"{job.package_name}/{job.name}",
        settings=settings,
        show_traceback=show_traceback,
        retry_of=run_id,
        retried=positions,
    )
    _print_outcome(outcome, as_json=as_json)


def _print_outcome(outcome: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        from lorchestra.terminal import print_rows

        print_rows(list(outcome), [outcome], form="json")
    else:
        from lorchestra.outcome import outcome_line

        click.echo(outcome_line(outcome))
    if outcome["state"] == "failed":
        raise click.exceptions.Exit(1)


def _run_job_impl(
    job_name: str,
    *,
    settings: "Settings",
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    trace_id: str | None = None,
    show_traceback: bool = False,
    retry_of: str | None = None,
    retried: Sequence[str] = (),
) -> dict[str, Any]:
    """Run a job: `job.started` before anything else, then `job.completed` or `job.failed`, whatever happens.

    Returns the run as one flat object: run_id, job_name, state, duration_seconds and the job's counts.

    Raises:
        UsageError: there is no such job, or an argument is wrong; nothing was logged.
        AlreadyRunningError: another process runs the job; nothing was logged.
        StoreError: `job.started` could not be written, so nothing was read; it waits in the outbox.
    """
    from tzlocal import get_localzone

    from lorchestra.config import trace_id_from_environment
    from lorchestra.interruption import signals_end_the_run
    from lorchestra.jobs.context import JobContext
    from lorchestra.jobs.registry import find_job, job_function
    from lorchestra.run_lock import Run, job_lock
    from lorchestra.runs import RunLog, close_dead_run, new_run, new_run_without_store, settle
    from lorchestra.steps import Step, reached
    from lorchestra.timespan import window

    job = find_job(job_name, settings)
    function = job_function(job, settings, dry=dry_run)
    now = datetime.now(UTC)
    context = JobContext(
        job_name=job.name,
        run_id=f"{job.name}-{now:%Y%m%d%H%M%S}",
        store=opened_store(settings),
        spool=settings.spool.path,
        seen_at=now,
        base=settings.base,
        window=window(since, until, now=now, zone=get_localzone()),
        limit=limit,
        retry_of=retry_of,
        retried=retried,
        trace_id=trace_id or trace_id_from_environment(settings.environment),
        source=job.settings.source,
        source_system=job.settings.source_system,
        object_type=job.settings.object_type,
        options=job.settings.options,
        environment=settings.environment,
    )
    if dry_run:
        return _dry_run(function, context)
    parameters = {"since": since, "until": until, "limit": limit, **job.settings.model_dump()}
    if retry_of is not None:
        parameters["retry_of"] = retry_of
    run = Run(
        run_id=context.run_id,
        job_name=job.name,
        package_name=job.package_name,
        started_at=now,
        trace_id=context.trace_id,
    )
    with signals_end_the_run(), job_lock(context.spool, run) as marker:
        try:
            settle(context.spool, context.store)
            close_dead_run(marker, context.store)
            run = new_run(run, context.store)
            log = RunLog(run, store=context.store, spool=context.spool)
            marker.write(run)
            reached(Step.STARTING)
            log.started(parameters)
        except StoreError as error:
            marker.remove_of(run)
            run = new_run_without_store(run, context.spool)
            RunLog(run, store=context.store, spool=context.spool).never_started(parameters, error)
            raise
        context = context.for_run(run.run_id, seen_at=run.started_at, checkpoint=marker.checkpoint)
        return _finished(function, context, log, marker, show_traceback=show_traceback)


def _finished(
    function: Callable[["JobContext"], "JobResult | None"],
    context: "JobContext",
    log: "RunLog",
    marker: "RunMarker",
    *,
    show_traceback: bool,
) -> dict[str, Any]:
    """The job's work, and the event of its end."""
    from lorchestra.interruption import ignore_signals
    from lorchestra.jobs.context import JobResult
    from lorchestra.jobs.failure import error_code, explained
    from lorchestra.jobs.registry import can_retry
    from lorchestra.rejects import rejects_path
    from lorchestra.steps import Step, reached

    outcome: dict[str, Any] = {"run_id": context.run_id, "job_name": context.job_name, "state": "succeeded"}
    try:
        reached(Step.STARTED)
        result = _watched(function, context, marker)
        reached(Step.ENDING)
        ignore_signals()
        delivered = log.completed()
    except BaseException as error:  # noqa: BLE001 - the run boundary: every end leaves its event
        ignore_signals()
        if show_traceback:
            say("".join(traceback.format_exception(error)))
        # Told first: when nothing can be written any more, this is still seen.
        tell(explained(error, context.job_name))
        delivered = log.failed(error)
        outcome["state"] = "failed"
        outcome["error_code"] = error_code(error)
    else:
        # A job of another package may return what it likes.
        outcome = {**(result.counts if isinstance(result, JobResult) else {}), **outcome}
    marker.remove()
    outcome["duration_seconds"] = log.seconds
    if outcome.get("rejected"):
        say(f"Rejected records, with reason and place: {rejects_path(context.spool, context.run_id)}")
        if can_retry(context.source):
            say(f"`lorchestra retry {context.run_id}` asks for them again.")
    if not delivered:
        say("The store could not be written; the end of this run waits in the outbox for the next command.")
    return outcome


def _watched(
    function: Callable[["JobContext"], "JobResult | None"], context: "JobContext", marker: "RunMarker | None"
) -> "JobResult | None":
    """The job's work, with a progress bar, and a sign of life now and then."""
    beaten = time.monotonic()
    with shown_progress(context.job_name) as (show, say_above):

        def report(progress: "JobProgress") -> None:
            nonlocal beaten
            show(progress)
            if marker is not None and time.monotonic() - beaten >= _BEAT_SECONDS:
                beaten = time.monotonic()
                marker.beat()

        return function(context.reporting_to(report, say_above))


def _dry_run(function: Callable[["JobContext"], "JobResult | None"], context: "JobContext") -> dict[str, Any]:
    result = _watched(function, context, None)
    counts = result.counts if result is not None else {}
    return {"run_id": None, "job_name": context.job_name, "state": "dry run", **counts}


main.add_command(runs)
main.add_command(jobs)
main.add_command(query)
main.add_command(setup)
main.add_command(doctor)
main.add_command(copy)
main.add_command(auth)
main.add_command(init)
main.add_command(completion)
