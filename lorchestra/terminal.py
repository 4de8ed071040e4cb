"""What people see: tables and progress on a terminal, JSON and CSV for programs."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
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
from rich.table import Table
from rich.text import Text

from lorchestra.jobs.context import JobProgress

FORMATS = ("table", "json", "csv")

_CELL_WIDTH = 60
_CELL_WIDTH_MIN = 12
_PIPE_WIDTH = 200
# The order in which counts are told, and the words for them; a count of 0 is told only for the first three.
_COUNT_WORDS = (
    ("inserted", "new"),
    ("updated", "changed"),
    ("unchanged", "unchanged"),
    ("new", "would be new"),
    ("known", "known already"),
    ("not_found", "gone meanwhile"),
    ("duplicates", "seen twice"),
    ("gone", "gone at the source"),
    ("recovered", "recovered from an earlier run"),
    ("resolved", "resolved"),
    ("rejected", "rejected"),
)
_ALWAYS_TOLD = frozenset({"inserted", "updated", "unchanged", "new", "known"})
# What a run says of itself, or says first.
_NO_COUNTS = frozenset({"run_id", "job_name", "state", "duration_seconds", "error_code", "records_extracted"})


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a query's result, its JSON columns as the values they hold."""
    rows: list[dict[str, Any]] = table.to_pylist()
    json_columns = [field.name for field in table.schema if str(field.type) == "extension<arrow.json>"]
    for row in rows:
        for name in json_columns:
            if row[name] is not None:
                row[name] = json.loads(row[name])
    return rows


def json_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One JSON array of objects."""
    return json.dumps(list(rows), default=_json_value, ensure_ascii=False, indent=2)


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A header line, then a line a row; JSON values stand as JSON."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_value(row[name]) for name in columns])
    return file.getvalue().rstrip("\n")


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    form: str,
    titles: Mapping[str, str] | None = None,
) -> None:
    """Print rows to standard output in one of `FORMATS`; a table may have shorter titles than its columns."""
    if form == "json":
        sys.stdout.write(json_text(rows) + "\n")
    elif form == "csv":
        sys.stdout.write(csv_text(columns, rows) + "\n")
    else:
        console = _console()
        console.print(_table(columns, rows, titles or {}, width=console.width))


def outcome_line(outcome: Mapping[str, Any]) -> str:
    """`gmail-20251124143000 succeeded in 1.2 s: 220 records: 0 new, 0 changed, 220 unchanged`."""
    name = outcome["run_id"] or outcome["job_name"]
    seconds = f" in {outcome['duration_seconds']:.1f} s" if "duration_seconds" in outcome else ""
    counts = _counts(outcome)
    return f"{name} {outcome['state']}{seconds}" + (f": {counts}" if counts else "")


def _counts(counts: Mapping[str, Any]) -> str:
    told = [
        f"{counts[name]:,} {word}"
        for name, word in _COUNT_WORDS
        if isinstance(counts.get(name), int) and (counts[name] or name in _ALWAYS_TOLD)
    ]
    own = counts.keys() - _NO_COUNTS - {name for name, _ in _COUNT_WORDS}
    told += [f"{counts[name]:,} {name}" for name in counts if name in own and isinstance(counts[name], int)]
    records = [f"{counts['records_extracted']:,} records"] if "records_extracted" in counts else []
    return ": ".join([*records, *([", ".join(told)] if told else [])])


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
    """A progress bar on standard error, where that is a terminal, and a way to say something above it.

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
    with Progress(
        *columns, console=console, disable=not console.is_terminal, speed_estimate_period=120
    ) as progress:
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
            console.print(text, markup=False, highlight=False, soft_wrap=not console.is_terminal)

        yield report, say


def _table(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], *, width: int
) -> Table:
    """One line a row. What does not fit is left out from the right; the first column is never shortened."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    cells = {name: [_cell(row[name]) for row in rows] for name in columns}
    left = width
    shown: list[str] = []
    for name in columns:
        needed = max(map(len, [titles.get(name, name), *cells[name]]))
        if shown and left < min(needed, _CELL_WIDTH_MIN):
            break
        numeric = bool(rows) and all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(
            titles.get(name, name),
            justify="right" if numeric else "left",
            no_wrap=True,
            width=needed if not shown else min(needed, left),
        )
        shown.append(name)
        left -= needed + 2
    for number in range(len(rows)):
        table.add_row(*(Text(cells[name][number], overflow="ellipsis") for name in shown))
    return table


def _console() -> Console:
    # A pipe has no width; 80 columns would cut what the next program wants to read.
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.15g}"
    text = json.dumps(value, default=_json_value) if isinstance(value, dict | list) else str(value)
    text = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split())
    )
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + "…"


def _csv_value(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, default=_json_value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, date | time) else value


def _json_value(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
