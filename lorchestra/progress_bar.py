"""The progress of a job, where standard error is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from lorchestra.jobs.context import JobProgress


class _DoneColumn(ProgressColumn):
    """What is done, of how much, and how fast: in records where these are counted, else in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()

    def render(self, task: Task) -> Text:
        records = f"{task.fields['records']:,} records"
        if not task.fields["in_records"]:
            return self._bytes.render(task).append(f" {records}")
        total = f"{task.total:,.0f}" if task.total is not None else "?"
        speed = f" {task.speed:,.1f}/s" if task.speed else ""
        return Text(f"{task.completed:,.0f}/{total} records{speed}")


@contextmanager
def progress_bar(label: str) -> Iterator[tuple[Callable[[JobProgress], None], Callable[[str], None]]]:
    """A progress bar on standard error, and a way to say something above it.

    It shows what is done, of how much, how fast, and the time that is left.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _DoneColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # A pause that a quota makes shall not look like the end of all progress.
    with Progress(*columns, console=console, speed_estimate_period=120) as progress:
        task = progress.add_task(label, total=None, records=0, in_records=False)
        done_before: int | None = None

        def report(state: JobProgress) -> None:
            nonlocal done_before
            if state.records_total is None:
                progress.update(
                    task, completed=state.bytes_done, total=state.bytes_total, records=state.records
                )
                return
            if done_before is None and state.records_total:
                # What an earlier run has done says nothing of the speed of this one.
                done_before = state.records_done
                progress.reset(task, completed=done_before, records=state.records, in_records=True)
            progress.update(task, completed=state.records_done, total=state.records_total, in_records=True)

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False)

        yield report, say
