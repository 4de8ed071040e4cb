"""What all commands share: their options for settings, the store they open, and how errors are told."""

import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from lorchestra.errors import InternalError, LorchestraError, OutputError, UsageError

if TYPE_CHECKING:
    from lorchestra.config import Settings
    from lorchestra.jobs.context import JobProgress
    from lorchestra.stores import Store


# What a shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130


def say(text: str) -> None:
    """Talk: to standard error."""
    click.echo(text, err=True)


def tell(error: LorchestraError) -> None:
    """One explained error: what is wrong, where, and what to type next."""
    say(f"Error: {error.message}")
    if error.place:
        say(f"  at {error.place}")
    say(error.next_step)


def text_of_stdin() -> str:
    """All of standard input.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise UsageError("standard input: not UTF-8 text") from None


def wait_for_reader(seconds: float) -> None:
    """Wait so long, unless nobody reads standard output any more.

    Raises:
        BrokenPipeError: the reader has gone away.
    """
    import select

    # Asked for nothing, a poll tells of nothing but the end of the other side.
    poll = select.poll()
    poll.register(sys.stdout, 0)
    if poll.poll(seconds * 1000):
        raise BrokenPipeError


class Commands(click.Group):
    """Turns every error into a sentence, the next step, and its exit code; never into a stack trace."""

    def main(self, *args: Any, **kw: Any) -> Any:
        """Run the command line; what is printed may find a full disk, even the help."""
        try:
            return super().main(*args, **kw)
        except OSError as error:
            # Of files that a command works with, our own errors tell; what is left is what it prints.
            tell(OutputError(f"standard output: cannot be written: {error.strerror or type(error).__name__}"))
            _silence(sys.stdout)
            sys.exit(OutputError.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; nothing but its own exit code gets out."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What a terminal has no letter for is shown by its number.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            result = super().invoke(ctx)
            # Here and not at exit, where a reader that has gone away could only be complained about.
            sys.stdout.flush()
            return result
        except LorchestraError as error:
            tell(error)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            # The reader has seen enough.
            _silence(sys.stdout)
            ctx.exit(0)
        except KeyboardInterrupt:
            # A run has given its account, and does not come here.
            say("Interrupted.")
            ctx.exit(_INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - the edge: what nobody foresaw is a defect, and is told
            if ctx.params.get("show_traceback"):
                import traceback

                say("".join(traceback.format_exception(error)))
            tell(_defect(error))
            ctx.exit(InternalError.exit_code)


def _silence(stream: TextIO) -> None:
    """Flushing at exit must not complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _defect(error: Exception) -> InternalError:
    from lorchestra.jobs.failure import stack_hint

    return InternalError(f"lorchestra itself failed: {type(error).__name__} in {stack_hint(error)}")


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config`, `--store-url` and `--dataset`, and hand the command `settings`."""

    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Configuration file; else $LORCHESTRA_CONFIG, else the nearest lorchestra.toml.",
    )
    @click.option("--store-url", metavar="URL", help="Store; else $LORCHESTRA_STORE_URL, else as configured.")
    @click.option("--dataset", metavar="NAME", help="Dataset; else $EVENTS_BQ_DATASET, else as configured.")
    @functools.wraps(command)
    def wrapped(
        *args: Any, config: Path | None, store_url: str | None, dataset: str | None, **kw: Any
    ) -> Any:
        if (subcommand := click.get_current_context().invoked_subcommand) is not None:
            # A group that also is a command: the work is the subcommand's, and so are the options.
            if config or store_url or dataset:
                raise UsageError("--config, --store-url, --dataset: must stand after " + subcommand)
            return None
        from lorchestra.config import Overrides, load_settings

        settings = load_settings(config, overrides=Overrides(store_url=store_url, dataset=dataset))
        return command(*args, settings=settings, **kw)

    return wrapped


def opened_store(settings: "Settings") -> "Store":
    """The configured store."""
    from lorchestra.stores import open_store

    return open_store(
        settings.store.url,
        dataset=settings.store.dataset,
        event_log_table=settings.store.event_log_table,
        raw_objects_table=settings.store.raw_objects_table,
        busy_timeout_seconds=settings.store.busy_timeout_seconds,
    )


def settled_store(settings: "Settings") -> "Store":
    """The configured store, after waiting events were delivered and dead runs were closed."""
    store = opened_store(settings)
    settle_store(store, settings)
    return store


def settle_store(store: "Store", settings: "Settings") -> None:
    """Deliver events that wait, and close dead runs."""
    if _anything_unsettled(settings.spool.path):
        from lorchestra.runs import settle

        settle(settings.spool.path, store)


def _anything_unsettled(spool: Path) -> bool:
    """Whether an earlier command left an outbox or a marker; what settles them need not be loaded else."""
    return (spool / "outbox.jsonl").exists() or any((spool / "runs").glob("*.json"))


@contextmanager
def shown_progress(label: str) -> "Iterator[tuple[Callable[[JobProgress], None], Callable[[str], None]]]":
    """Show how far something has come, where that can be seen; and a way to say something meanwhile."""
    if not sys.stderr.isatty():
        yield lambda _: None, say
        return
    from lorchestra.progress_bar import progress_bar

    with progress_bar(label) as shown:
        yield shown


def job_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Completion of job names."""
    from lorchestra.config import load_settings
    from lorchestra.jobs.registry import all_jobs

    try:
        jobs = all_jobs(load_settings(ctx.params.get("config")))
    except LorchestraError:
        return []
    return [job.name for job in jobs if job.name.startswith(incomplete)]
