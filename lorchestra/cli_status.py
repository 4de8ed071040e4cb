"""The command `status`: how each job is, and an exit code for cron and monitoring."""

import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lorchestra.cli_base import opened_store, say, settle_store, settled_store, with_settings
from lorchestra.errors import StoreBusyError, UsageError

if TYPE_CHECKING:
    from lorchestra.config import Settings
    from lorchestra.health import JobHealth
    from lorchestra.stores import Store

_LOOK_SECONDS, _PAID_LOOK_SECONDS = 2, 30
_OF_A_RUN = (
    "run_id",
    "state",
    "started_at",
    "duration_seconds",
    "records_extracted",
    "inserted",
    "updated",
    "rejected",
    "error_message",
    "error_code",
    "next_step",
)


@click.command()
@click.option("--watch", is_flag=True, help="Draw it anew every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of one object a job.")
@click.option("--notify", is_flag=True, help="Tell the URLs of [notify] what changed since they were told.")
@with_settings
def status(*, watch: bool, as_json: bool, notify: bool, settings: "Settings") -> None:
    """Show how each job is: what is wrong first, and the command for it.

    Exit code 1 when a job is failing or late, else 0. What is usual for a job, its own runs say.
    """
    from lorchestra.health import job_healths, needs_a_human
    from lorchestra.jobs.registry import all_jobs
    from lorchestra.terminal import print_rows

    if notify and not settings.notify.urls:
        raise UsageError(
            "--notify: there are no urls under [notify]",
            next_step="Write them into lorchestra.toml, or into $LORCHESTRA_NOTIFY_URLS.",
        )
    configured = {job.name for job in all_jobs(settings)}
    if watch:
        _watch(settings, configured, as_json=as_json)
        return
    store = settled_store(settings)
    healths = job_healths(store, configured)
    if as_json:
        rows = [_row(one) for one in healths]
        print_rows(list(rows[0]) if rows else [], rows, form="json")
    else:
        _print(healths)
    if notify:
        _notify(healths, store, settings)
    if needs_a_human(healths):
        raise click.exceptions.Exit(1)


def _notify(healths: "Sequence[JobHealth]", store: "Store", settings: "Settings") -> None:
    from lorchestra.notifications import notify_changes

    sys.stdout.flush()
    notify_changes(healths, store=store, settings=settings, say=say)


def _print(healths: "Sequence[JobHealth]") -> None:
    if not any(one.runs for one in healths):
        click.echo(f"no runs yet; type: lorchestra run {healths[0].job_name if healths else 'JOB'}")
        return
    from lorchestra.health_table import health_table
    from lorchestra.terminal import console

    output = console()
    with output.capture() as captured:
        # What is read from a pipe is not broken into lines.
        output.print(health_table(healths), soft_wrap=not sys.stdout.isatty())
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _watch(settings: "Settings", configured: Collection[str], *, as_json: bool) -> None:
    """Draw it until Ctrl-C. The store is open for moments only; a busy one is asked at the next look."""
    if as_json or not sys.stdout.isatty():
        raise UsageError(
            "--watch: needs a terminal, and goes without --json",
            next_step="`lorchestra runs tail --json` tells a program what happens.",
        )
    from rich.live import Live

    from lorchestra.health import job_healths
    from lorchestra.health_table import health_table
    from lorchestra.stores.base import CountsBytes
    from lorchestra.terminal import console

    store = opened_store(settings)
    seconds = _PAID_LOOK_SECONDS if isinstance(store, CountsBytes) else _LOOK_SECONDS
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            with suppress(StoreBusyError):
                settle_store(store, settings)
                live.update(health_table(job_healths(store, configured)), refresh=True)
            time.sleep(seconds)


def _row(one: "JobHealth") -> dict[str, Any]:
    last, now = one.last_run, datetime.now(UTC)
    return {
        "job_name": one.job_name,
        "configured": one.configured,
        "state": one.state,
        "alerts": [
            {"kind": alert.kind.value, "message": alert.message, "next_step": alert.next_step}
            for alert in one.alerts
        ],
        "last_run": None if last is None else {name: last[name] for name in _OF_A_RUN},
        "last_success_at": one.last_success_at,
        "age_seconds": one.age_seconds,
        "usual_gap_seconds": one.usual_gap_seconds,
        "usual_seconds": one.usual_seconds,
        "usual_new": one.usual_new,
        "running": [
            {
                "run_id": run.run_id,
                "started_at": run.started_at,
                "seconds": round(max(0.0, (now - run.started_at).total_seconds()), 3),
                "seen": run.seen,
                "inserted": run.inserted,
            }
            for run in one.running
        ],
    }
