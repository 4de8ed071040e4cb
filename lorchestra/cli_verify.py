"""The command that gives a receipt: what the log says, beside what is there."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from lorchestra.cli_base import job_names, say, with_settings
from lorchestra.cli_run import accounted, own_context
from lorchestra.errors import LorchestraError, MissingObjectsError, UnknownRunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lorchestra.config import Settings
    from lorchestra.jobs.context import JobContext, JobResult
    from lorchestra.stores import Store
    from lorchestra.verification import Check, Ingestion

_NAME = "verify"
_STATES = {True: "ok", False: "missing", None: "unknown"}


@click.command()
@click.argument("target", metavar="[RUN_ID|JOB]", required=False, shell_complete=job_names)
@click.option("--store-only", is_flag=True, help="Compare log, table and spool; ask no source.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as a JSON array of objects.")
@with_settings
def verify(*, target: str | None, store_only: bool, as_json: bool, settings: "Settings") -> None:
    """Compare what the log says of a run with what is there, and exit 1 if anything is missing.

    Of a JOB its newest run is verified, and its newest success where that one failed; without an argument, of
    every job. What the run counted is compared with the rows of raw_objects, its rejects with those that were
    resolved since, and its window with what the source has there now: a mailbox over its API is listed, a
    file is read. This is a run with an account of its own; it changes nothing else.
    """
    from lorchestra.outcome import outcome_line

    context = own_context(_NAME, settings)
    if target is not None:
        _check_target(target, context.store, settings)

    def work(context: "JobContext") -> "JobResult":
        return _verified(context, target, settings, store_only=store_only, as_json=as_json)

    outcome = accounted(
        work, context, package_name="lorchestra", parameters={"target": target, "store_only": store_only}
    )
    say(outcome_line(outcome))
    if outcome["state"] == "failed":
        raise click.exceptions.Exit(1)


def _check_target(target: str, store: "Store", settings: "Settings") -> None:
    from lorchestra.history import list_runs, run_events
    from lorchestra.jobs.registry import find_job

    if run_events(store, target) or list_runs(store, job=target, limit=1):
        return
    try:
        find_job(target, settings)
    except LorchestraError:
        raise UnknownRunError(
            "verify: there is neither a run nor a job of this name",
            next_step="`lorchestra runs` shows the ids of runs, `lorchestra jobs list` the names of jobs.",
        ) from None


def _verified(
    context: "JobContext", target: str | None, settings: "Settings", *, store_only: bool, as_json: bool
) -> "JobResult":
    from dataclasses import asdict

    from lorchestra.jobs.context import JobResult
    from lorchestra.terminal import print_rows

    checks = list(_checks(context, target, settings, store_only=store_only))
    rows = [
        {**{name: value for name, value in asdict(one).items() if name != "ok"}, "state": _STATES[one.ok]}
        for one in checks
    ]
    columns = ("run_id", "check", "state", "expected", "found")
    if as_json:
        print_rows((*columns, "next_step"), rows, form="json")
    else:
        print_rows(columns, rows, form="table", titles={"run_id": "run"})
        # Below the table and whole: to be copied.
        for one in checks:
            if one.next_step:
                click.echo(f"{one.check}: {one.next_step}")
    counts = {
        "checks": len(checks),
        "missing": sum(one.ok is False for one in checks),
        "unknown": sum(one.ok is None for one in checks),
    }
    if counts["missing"]:
        raise MissingObjectsError(
            f"{counts['missing']} of {counts['checks']} checks found something missing",
            next_step="`lorchestra verify` shows each of them with what to type.",
            counts=counts,
        )
    return JobResult(counts=counts, details=counts)


def _checks(
    context: "JobContext", target: str | None, settings: "Settings", *, store_only: bool
) -> "Iterator[Check]":
    from lorchestra.history import run_events
    from lorchestra.jobs.registry import all_jobs
    from lorchestra.verification import never_ran, runs_to_verify, verify_run

    def ask(ingestion: "Ingestion") -> Mapping[str, int]:
        return _asked(ingestion, context, settings)

    is_run = target is not None and run_events(context.store, target)
    names = [job.name for job in all_jobs(settings)] if target is None else [target]
    for name in dict.fromkeys(names):
        runs = [name] if is_run else runs_to_verify(context.store, name)
        if not runs:
            yield never_ran(name)
        for run_id in runs:
            yield from verify_run(
                run_id, store=context.store, spool=context.spool, ask_source=None if store_only else ask
            )


def _asked(ingestion: "Ingestion", context: "JobContext", settings: "Settings") -> Mapping[str, int]:
    """What the source of an ingestion had before its run."""
    from dataclasses import replace

    from lorchestra.jobs.registry import find_job, source_comparison

    job = find_job(ingestion.job_name, settings)
    of_job: dict[str, Any] = {
        "job_name": job.name,
        "source": job.settings.source,
        "source_system": ingestion.source_system,
        "object_type": ingestion.object_type,
        "options": job.settings.options,
    }
    return source_comparison(job, settings)(
        replace(context, window=ingestion.window, **of_job), ingestion.started_at
    )
