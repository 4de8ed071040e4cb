"""Commands that only look: runs, jobs, queries."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from lorchestra.cli_base import (
    job_names,
    opened_store,
    say,
    settle_store,
    settled_store,
    text_of_stdin,
    wait_for_reader,
    with_settings,
)
from lorchestra.errors import StoreBusyError, UsageError

if TYPE_CHECKING:
    from lorchestra.config import Settings

_OF_HEALTH = ("state", "last_success_at", "usual_seconds", "usual_new", "usual_gap_seconds")
_OF_A_RUN = ("run_id", "state", "started_at", "duration_seconds", "inserted")

FORMATS = ("table", "json", "csv")
#: A table is read by a person; whoever wants all rows takes JSON or CSV.
TABLE_ROWS = 100
#: So many of the objects that a run touched stand below it.
TOUCHED_SHOWN = 10
# More than any result has; stores count in 64 bits.
_ROWS_MAX = 2**53


@click.group(invoke_without_command=True)
@click.option("--job", metavar="NAME", help="Only runs of this job.")
@click.option(
    "--status", type=click.Choice(["running", "succeeded", "failed"]), help="Only runs in this state."
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@with_settings
def runs(*, job: str | None, status: str | None, limit: int, as_json: bool, settings: "Settings") -> None:
    """Show runs, newest first."""
    from lorchestra.history import RUN_TITLES, list_runs
    from lorchestra.terminal import print_rows

    rows = list_runs(settled_store(settings), job=job, state=status, limit=limit)
    if as_json:
        print_rows(list(rows[0]) if rows else [], rows, form="json")
    else:
        print_rows(list(RUN_TITLES), rows, form="table", titles=RUN_TITLES)


@runs.command("show")
@click.argument("run_id")
@click.option("--keys", is_flag=True, help=f"Show the keys of the first {TOUCHED_SHOWN} objects, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of its events, oldest first.")
@with_settings
def show_one_run(run_id: str, *, keys: bool, as_json: bool, settings: "Settings") -> None:
    """Show one run: its events, what it read and stored, and why it failed.

    A key has the id that an object has at its source, which may say something of it.
    """
    if as_json:
        from lorchestra.history import show_run
        from lorchestra.terminal import print_rows

        events = show_run(settled_store(settings), run_id)
        print_rows(list(events[0]), events, form="json")
        return
    from lorchestra.run_details import run_details, touched_objects
    from lorchestra.run_text import run_lines
    from lorchestra.stores.base import snapshot
    from lorchestra.terminal import width_of_output

    store = settled_store(settings)
    with snapshot(store):
        run = run_details(store, run_id)
        touched = [touched_objects(store, one, TOUCHED_SHOWN) if keys else [] for one in run.ingestions]
    for line in run_lines(run, touched, store.tables, width=width_of_output()):
        click.echo(line)


@runs.command("tail")
@click.option("--job", metavar="NAME", help="Only events of this job's runs.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@with_settings
def tail_runs(*, job: str | None, as_json: bool, settings: "Settings") -> None:
    """Follow the event log: a line for each event, beginning with the last ten, until Ctrl-C."""
    from lorchestra.event_text import event_line
    from lorchestra.history import encodes
    from lorchestra.run_tail import EventTail, seconds_between_looks
    from lorchestra.terminal import json_line

    if not encodes(job or ""):
        raise UsageError("--job: is not valid Unicode", next_step="`lorchestra jobs list` shows the names.")
    store = opened_store(settings)
    tail = EventTail(store, job=job)
    while True:
        with suppress(StoreBusyError):
            settle_store(store, settings)
        for event in tail.look():
            sys.stdout.write((json_line(event) if as_json else event_line(event)) + "\n")
        sys.stdout.flush()
        wait_for_reader(seconds_between_looks(store))


@click.group()
def jobs() -> None:
    """Show what can be run."""


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@with_settings
def list_jobs(*, as_json: bool, settings: "Settings") -> None:
    """List the jobs of lorchestra.toml and of installed packages."""
    from lorchestra.jobs.registry import all_jobs
    from lorchestra.terminal import print_rows

    columns = ("name", "package_name", "source", "source_system", "object_type", "description")
    rows = [job.row() for job in all_jobs(settings)]
    print_rows(columns, rows, form="json" if as_json else "table")


@jobs.command("show")
@click.argument("job", shell_complete=job_names)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of one object.")
@with_settings
def show_job(job: str, *, as_json: bool, settings: "Settings") -> None:
    """Show one job's settings, secrets masked, check them, and show how its last runs were."""
    from lorchestra.health import job_health
    from lorchestra.jobs.registry import find_job, job_function
    from lorchestra.terminal import print_rows

    found = find_job(job, settings)
    job_function(found, settings)
    row = {**found.row(), "options": found.shown_options()}
    if not as_json:
        # What the configuration says is seen even where the store cannot be asked.
        pairs = [{"key": key, "value": value} for key, value in row.items()]
        print_rows(("key", "value"), pairs, form="table")
    health = job_health(settled_store(settings), found.name)
    if as_json:
        history = [{name: run[name] for name in _OF_A_RUN} for run in health.runs]
        row |= {name: getattr(health, name) for name in _OF_HEALTH} | {"history": history}
        print_rows(list(row), [row], form="json")
    elif health.runs:
        from lorchestra.health_table import job_lines
        from lorchestra.terminal import console

        console().print(job_lines(health))


@click.command()
@click.argument("name_or_sql")
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME[:TYPE]=VALUE",
    help="Value of @NAME; TYPE is STRING, INT64, FLOAT64, BOOL, DATE or TIMESTAMP.",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print."
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=0),
    help=f"At most so many; {TABLE_ROWS} for a table, all for JSON and CSV.",
)
@click.option("--dry-run", is_flag=True, help="Only check it, and say how many bytes it would read.")
@click.option(
    "--max-bytes", type=click.IntRange(min=0), metavar="BYTES", help="Refuse a query that would read more."
)
@with_settings
def query(
    name_or_sql: str,
    *,
    parameters: tuple[str, ...],
    form: str,
    max_rows: int | None,
    dry_run: bool,
    max_bytes: int | None,
    settings: "Settings",
) -> None:
    """Run a named query, or one GoogleSQL SELECT ("-" reads it from standard input).

    A store in a file has no price: there a dry run only checks the query, and --max-bytes allows any.
    """
    from lorchestra.history import check_bytes, query_text, typed_parameters
    from lorchestra.terminal import print_rows, rows_of

    text = text_of_stdin() if name_or_sql == "-" else name_or_sql
    store = opened_store(settings) if dry_run else settled_store(settings)
    sql, values = query_text(text, store.tables), typed_parameters(parameters)
    if dry_run or max_bytes is not None:
        size = check_bytes(store, sql, values, max_bytes=max_bytes)
        if dry_run:
            print_rows(("bytes_read",), [{"bytes_read": size}], form=form)
            return
    rows_wanted = TABLE_ROWS if max_rows is None and form == "table" else max_rows
    if rows_wanted is not None:
        rows_wanted = min(rows_wanted, _ROWS_MAX)
    one_more = None if rows_wanted is None else rows_wanted + 1
    result = store.query(sql, values, max_rows=one_more)
    print_rows(result.schema.names, rows_of(result.slice(0, rows_wanted)), form=form)
    if rows_wanted is not None and result.num_rows > rows_wanted:
        say(f"These are the first {rows_wanted} rows; --max-rows gives more.")
