"""Commands that show: the page, and the report in one file."""

import sys
from typing import TYPE_CHECKING

import click

from lorchestra.cli_base import settled_store, with_settings
from lorchestra.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lorchestra.config import Settings
    from lorchestra.verification import Check
    from lorchestra.web.reading import Reading


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
    return Reading(settled_store(settings), configured)


def _checks(settings: "Settings", reading: "Reading", run_id: str) -> "Sequence[Check]":
    from lorchestra.verification import verify_run

    return verify_run(run_id, store=reading.store, spool=settings.spool.path)
