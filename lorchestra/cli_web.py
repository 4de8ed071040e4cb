"""Commands that show: the page, and the report in one file."""

import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorchestra.cli_base import say, settle_store, settled_store, with_settings
from lorchestra.errors import ArgumentError, ConfigError, OutputError
from lorchestra.private_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lorchestra.config import Settings
    from lorchestra.verification import Check
    from lorchestra.web.reading import Reading

#: Each day of a report is a line.
_LONGEST = timedelta(days=3660)


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8420,
    show_default=True,
    help="Where to listen; 0 takes a port that is free.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on. Any other lets the network try; nothing is encrypted.",
)
@with_settings
def web(*, port: int, host: str, settings: "Settings") -> None:
    """Serve a page about jobs, runs and objects, to this machine alone.

    The URL that is printed first holds a token; without it nothing is shown. The page only reads. Ctrl-C ends
    it.
    """
    reading = _reading(settings)
    from lorchestra.web.server import serve

    serve(
        reading,
        verify=lambda run_id: _checks(settings, reading, run_id),
        host=host,
        port=port,
        say=_print_at_once,
    )


@click.command()
@click.argument("run_id", required=False)
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="WHEN",
    help="From when on, where no run is named: 7d, 4w, or a day. Today counts as a day.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("report.html"),
    show_default=True,
    help='The file to write; "-" is standard output.',
)
@with_settings
def report(*, run_id: str | None, since: str, output: Path, settings: "Settings") -> None:
    """Write a report in one HTML file: of RUN_ID, else of all jobs over some days.

    It needs nothing beside itself, and can be mailed and printed. No content of objects is in it.
    """
    reading = _reading(settings)
    from lorchestra.web.report import report_of_run, report_since

    if run_id is not None:
        text = report_of_run(reading, run_id, verify=lambda one: _checks(settings, reading, one))
    else:
        text = report_since(reading, _first_day(since))
    if output == Path("-"):
        click.echo(text)
        return
    try:
        _write(text, output)
    except OSError as error:
        raise OutputError(
            f"--output: cannot be written: {error.strerror or type(error).__name__}", place=str(output)
        ) from None
    say(f"{output}: written")


def _write(text: str, output: Path) -> None:
    """Whole or not at all: a report that is there stays until the new one is whole."""
    if output.exists() and not output.is_file():
        # A device or a pipe keeps nothing.
        output.write_text(text, encoding="utf-8")
        return
    # Where a link leads, it stays a link.
    place = Path(os.path.realpath(output))
    mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else None
    replace_file(place, [text.encode()], new=place.with_name(f".lorchestra-report-{os.getpid()}"))
    if mode is not None:
        # Who made it readable for others meant it.
        place.chmod(mode)


def _first_day(since: str) -> datetime:
    """The midnight (UTC) that a span of days until now begins at."""
    from tzlocal import get_localzone

    from lorchestra.timespan import parse_age, window

    moment = datetime.now(UTC)
    if since.endswith(("d", "w")) and not since.startswith("-"):
        age = parse_age("--since", since)
        # An age may be longer than there are years.
        first = moment - min(age, 2 * _LONGEST) + min(age, timedelta(days=1))
    else:
        first = window(since, None, now=moment, zone=get_localzone()).since or moment
    if not moment - _LONGEST <= first <= moment:
        raise ArgumentError("--since: lies in the future, or more than ten years ago")
    return first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _print_at_once(text: str) -> None:
    # Whoever reads it through a pipe waits for it.
    click.echo(text)
    sys.stdout.flush()


def _reading(settings: "Settings") -> "Reading":
    from lorchestra.jobs.registry import all_jobs

    try:
        from lorchestra.web.reading import Reading
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lorchestra"):
            raise
        raise ConfigError(
            "the page needs packages that are not installed", next_step="Type: pip install 'lorchestra[web]'"
        ) from None
    configured = {job.name: job.settings.source_system for job in all_jobs(settings)}
    store = settled_store(settings)
    return Reading(store, configured, settle=lambda: settle_store(store, settings))


def _checks(settings: "Settings", reading: "Reading", run_id: str) -> "Sequence[Check]":
    from lorchestra.verification import verify_run

    return verify_run(run_id, store=reading.store, spool=settings.spool.path)
