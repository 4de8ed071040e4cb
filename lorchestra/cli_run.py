"""A run with its account, whatever its work is: lock, id, `job.started`, the work, and its end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lorchestra.cli_base import opened_store, say, shown_progress, tell
from lorchestra.errors import RunInterruptedError, StoreError

if TYPE_CHECKING:
    from lorchestra.config import Settings
    from lorchestra.health import Alert
    from lorchestra.jobs.context import JobContext, JobResult
    from lorchestra.run_lock import RunMarker
    from lorchestra.runs import RunLog
    from lorchestra.stores import Store


def own_context(job_name: str, settings: "Settings") -> "JobContext":
    """A run of one of our own commands, such as `verify`, as its work sees it."""
    from lorchestra.config import trace_id_from_environment
    from lorchestra.jobs.context import JobContext

    now = datetime.now(UTC)
    return JobContext(
        job_name=job_name,
        run_id=f"{job_name}-{now:%Y%m%d%H%M%S}",
        store=opened_store(settings),
        spool=settings.spool.path,
        seen_at=now,
        base=settings.base,
        trace_id=trace_id_from_environment(settings.environment),
        environment=settings.environment,
    )


def accounted(
    function: "Callable[[JobContext], JobResult | None]",
    context: "JobContext",
    *,
    package_name: str,
    parameters: Mapping[str, Any],
    has_usual: bool = False,
    show_traceback: bool = False,
) -> dict[str, Any]:
    """Run a job's work: `job.started` before it, then `job.completed` or `job.failed`, whatever happens.

    Where the job `has_usual`, a success is compared with those before.

    Returns the run as one flat object: run_id, job_name, state, duration_seconds and the job's counts.

    Raises:
        AlreadyRunningError: another process runs the job; nothing was logged.
        StoreError: `job.started` could not be written, so nothing was done; it waits in the outbox.
    """
    from lorchestra.interruption import signals_end_the_run
    from lorchestra.run_lock import Run, job_lock
    from lorchestra.runs import RunLog, close_dead_run, new_run, new_run_without_store, settle
    from lorchestra.steps import Step, reached
    from lorchestra.stores.base import address_of

    run = Run(
        run_id=context.run_id,
        job_name=context.job_name,
        package_name=package_name,
        started_at=context.seen_at,
        trace_id=context.trace_id,
    )
    with signals_end_the_run(), job_lock(context.spool, run) as marker:
        try:
            settle(context.spool, context.store)
            close_dead_run(marker, context.store)
            run = new_run(run, context.store)
        except StoreError as error:
            run = new_run_without_store(run, context.spool)
            RunLog(run, parameters, store=context.store, spool=context.spool).never_started(error)
            raise
        log = RunLog(run, parameters, store=context.store, spool=context.spool)
        marker.write(run, store=address_of(context.store))
        try:
            reached(Step.STARTING)
            log.started()
        except StoreError as error:
            log.never_started(error)
            raise
        except KeyboardInterrupt:
            # The marker stays: should the event have arrived all the same, the next command tells of its end.
            raise RunInterruptedError("The run was interrupted before it began.") from None
        context = context.for_run(run.run_id, seen_at=run.started_at, checkpoint=marker.checkpoint)
        with marker.beating():
            return _finished(
                function, context, log, marker, has_usual=has_usual, show_traceback=show_traceback
            )


def _finished(
    function: "Callable[[JobContext], JobResult | None]",
    context: "JobContext",
    log: "RunLog",
    marker: "RunMarker",
    *,
    has_usual: bool,
    show_traceback: bool,
) -> dict[str, Any]:
    """The job's work, and the event of its end."""
    from lorchestra.interruption import ignore_signals
    from lorchestra.jobs.context import JobResult
    from lorchestra.jobs.failure import error_code, explained
    from lorchestra.steps import Step, reached

    outcome: dict[str, Any] = {"run_id": context.run_id, "job_name": context.job_name, "state": "succeeded"}
    try:
        reached(Step.STARTED)
        result = watched(function, context)
        reached(Step.ENDING)
        ignore_signals()
        log.stop_clock()
        if not isinstance(result, JobResult):
            # A job of another package may return what it likes.
            result = JobResult()
        alerts = _unusual(context, result, log.seconds) if has_usual else []
        delivered = log.completed({**result.details, **_noted(alerts)})
    except BaseException as error:  # noqa: BLE001 - the run boundary: every end leaves its event
        ignore_signals()
        if show_traceback:
            import traceback

            say("".join(traceback.format_exception(error)))
        # Told first: when nothing can be written any more, this is still seen.
        tell(explained(error, context.job_name, context.run_id))
        outcome["state"] = "failed"
        outcome["error_code"] = error_code(error)
        delivered = _told_of_failure(log, error)
        if delivered and not isinstance(error, StoreError):
            marker.remove()
    else:
        outcome = {**result.counts, **outcome}
        marker.remove()
        for alert in alerts:
            say(f"Unusual: {alert.message}. {alert.next_step}")
    outcome["duration_seconds"] = log.seconds
    if outcome.get("rejected"):
        _tell_rejects(context)
    if not delivered:
        say("The store could not be written; the end of this run waits for the next command to tell it.")
    return outcome


def _unusual(context: "JobContext", result: "JobResult", seconds: float) -> "list[Alert]":
    """What is unusual about a run that succeeds; nothing where the store cannot say."""
    from lorchestra.health import alerts_of_ending_run

    inserted = result.counts.get("inserted", 0)
    try:
        return alerts_of_ending_run(
            context.store, context.job_name, run_id=context.run_id, seconds=seconds, inserted=inserted
        )
    except StoreError:
        return []


def _noted(alerts: "Sequence[Alert]") -> dict[str, Any]:
    return {"unusual": [{"kind": one.kind.value, "message": one.message} for one in alerts]} if alerts else {}


def notify_of_run(job_name: str, store: "Store", settings: "Settings") -> None:
    """Notify of what a run that has ended changed; whatever happens here, the run stays as it ended."""
    from lorchestra.health import job_health
    from lorchestra.interruption import signals_end_the_run
    from lorchestra.notifications import notify_changes

    try:
        with signals_end_the_run():
            notify_changes([job_health(store, job_name)], store=store, settings=settings, say=say)
    except StoreError as error:
        say(f"Not notified: {error.message}")
    except KeyboardInterrupt:
        say("Not notified: interrupted.")


def _told_of_failure(log: "RunLog", error: BaseException) -> bool:
    """Log the end of a run that failed; False when it did not get into the store.

    Where the store failed, the marker of the run stays: the next command looks for what was left half done
    there, and tells of the end where not even the outbox could be written.
    """
    from lorchestra.errors import SpoolError

    try:
        return log.failed(error)
    except SpoolError:
        return False


def _tell_rejects(context: "JobContext") -> None:
    from lorchestra.jobs.registry import retriable
    from lorchestra.rejects import open_rejects, rejects_path

    say(f"Rejected records, with reason and place: {rejects_path(context.spool, context.run_id)}")
    if retriable(open_rejects(context.spool, context.run_id), context.source):
        say(f"`lorchestra retry {context.run_id}` tries them again.")


def watched(
    function: "Callable[[JobContext], JobResult | None]", context: "JobContext"
) -> "JobResult | None":
    """The job's work, with a progress bar."""
    with shown_progress(context.job_name) as (show, say_above):
        return function(context.reporting_to(show, say_above))


def print_outcome(outcome: dict[str, Any], *, as_json: bool) -> None:
    """The run as a line or as JSON, and exit code 1 where it failed."""
    if as_json:
        from lorchestra.terminal import print_rows

        print_rows(list(outcome), [outcome], form="json")
    else:
        from lorchestra.outcome import outcome_line

        click.echo(outcome_line(outcome))
    if outcome["state"] == "failed":
        raise click.exceptions.Exit(1)
