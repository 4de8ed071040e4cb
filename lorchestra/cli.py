"""The command `lorchestra`: its commands, what they print, and their exit codes.

stdout is data, stderr is talk. Exit 0: done. 1: the job failed. 2: wrong use or configuration. 3: the job is
being run already.
Only what a command needs is imported, inside it, so that `--help` answers at once.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lorchestra.cli_auth import auth
from lorchestra.cli_base import Commands, job_names, opened_store, with_settings
from lorchestra.cli_first import completion, init
from lorchestra.cli_prune import prune
from lorchestra.cli_read import jobs, query, runs
from lorchestra.cli_run import accounted, notify_of_run, print_outcome, watched
from lorchestra.cli_status import status
from lorchestra.cli_store import copy, doctor, setup
from lorchestra.cli_verify import verify
from lorchestra.cli_web import report, web
from lorchestra.errors import UsageError

if TYPE_CHECKING:
    from lorchestra.config import Settings
    from lorchestra.jobs.context import JobContext, JobResult
    from lorchestra.rejects import Reject


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lorchestra", prog_name="lorchestra")
@click.option(
    "--traceback", "show_traceback", is_flag=True, help="Show where lorchestra failed; may show data."
)
def main(*, show_traceback: bool) -> None:  # noqa: ARG001 - read where errors are told
    """Mail, CRM and payments into tables you own, with an account of every run."""
    # What is made from here on, by whatever library, is for its owner alone.
    os.umask(0o077)


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
    print_outcome(_run_job_impl(job, settings=settings, **options), as_json=as_json)


@main.command()
@click.argument("run_id")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where a job failed; may show data.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as a JSON array of one object.")
@with_settings
def retry(run_id: str, *, as_json: bool, show_traceback: bool, settings: "Settings") -> None:
    """Try the records again that RUN_ID rejected, and nothing else.

    Those that were kept whole are stored as they are, if they can be by now; for the others the source is
    asked, or read, again. This is a run of the same job, with an account of its own. What is stored now is
    noted in the rejects of RUN_ID; what is rejected again stays there for another try.
    """
    from lorchestra.history import show_run
    from lorchestra.jobs.registry import find_job, retriable
    from lorchestra.rejects import open_rejects

    started = next(
        (one for one in show_run(opened_store(settings), run_id) if one["event_type"] == "job.started"), None
    )
    rejects = open_rejects(settings.spool.path, run_id)
    if started is None or not rejects or not started["payload"]:
        raise UsageError(
            f"run {run_id}: has no rejects on this host that are not resolved",
            next_step=f"`lorchestra runs show {run_id}` shows what it did.",
        )
    job = find_job(f"{started['payload']['package_name']}/{started['payload']['job_name']}", settings)
    rejects = retriable(rejects, job.settings.source)
    if not rejects:
        raise UsageError(
            f"job {job.name}: its source cannot be asked for single records, and none was kept",
            next_step=f"Correct what the rejects say, then type: lorchestra run {job.name}",
        )
    outcome = _run_job_impl(
        f"{job.package_name}/{job.name}",
        settings=settings,
        show_traceback=show_traceback,
        retry_of=run_id,
        retried=rejects,
    )
    print_outcome(outcome, as_json=as_json)


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
    retried: "Sequence[Reject]" = (),
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
    from lorchestra.jobs.context import JobContext
    from lorchestra.jobs.registry import find_job, job_function
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
    outcome = accounted(
        function,
        context,
        package_name=job.package_name,
        parameters=parameters,
        # Trying single records again is nothing that the job usually does.
        has_usual=retry_of is None,
        show_traceback=show_traceback,
    )
    if settings.notify.urls:
        notify_of_run(job.name, context.store, settings)
    return outcome


def _dry_run(function: Callable[["JobContext"], "JobResult | None"], context: "JobContext") -> dict[str, Any]:
    result = watched(function, context)
    counts = result.counts if result is not None else {}
    return {"run_id": None, "job_name": context.job_name, "state": "dry run", **counts}


main.add_command(status)
main.add_command(runs)
main.add_command(jobs)
main.add_command(query)
main.add_command(web)
main.add_command(report)
main.add_command(verify)
main.add_command(setup)
main.add_command(doctor)
main.add_command(copy)
main.add_command(prune)
main.add_command(auth)
main.add_command(init)
main.add_command(completion)
