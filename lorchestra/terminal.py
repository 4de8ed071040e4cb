"""What people see: tables on a terminal, JSON and CSV for programs."""

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from shutil import get_terminal_size
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lorchestra.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

FORMATS = ("table", "json", "csv")

_CELL_WIDTH = 60
_CELL_WIDTH_MIN = 12
_PIPE_WIDTH = 200


def rows_of(table: "pa.Table") -> list[dict[str, Any]]:
    """The rows of a query's result, its JSON columns as the values they hold.

    JSON that Python cannot hold, and columns with a date that it cannot, stay as text.

    Raises:
        QueryError: such a date stands inside of a list or a struct.
    """
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except (OverflowError, ValueError):
        rows = _with_dates_as_text(table).to_pylist()
    json_columns = [field.name for field in table.schema if str(field.type) == "extension<arrow.json>"]
    for row in rows:
        for name in json_columns:
            with suppress(ValueError, RecursionError):
                row[name] = None if row[name] is None else json.loads(row[name])
    return rows


def _with_dates_as_text(table: "pa.Table") -> "pa.Table":
    """Python's dates are those of the years 1 to 9999; DuckDB's go further."""
    import pyarrow as pa  # noqa: PLC0415 - takes time to load

    for number, field in enumerate(table.schema):
        column = table.column(number)
        try:
            column.to_pylist()
        except (OverflowError, ValueError):
            if not pa.types.is_temporal(field.type):
                raise QueryError(
                    f"query: {field.name}: a date outside the years 1 to 9999",
                    next_step="Make it a text: CAST(… AS STRING).",
                ) from None
            table = table.set_column(number, field.name, column.cast(pa.string()))
    return table


def json_text(rows: Sequence[Mapping[str, Any]], *, encoding: str = "utf-8") -> str:
    """One JSON array of objects, as a stream of this encoding can carry it."""
    ascii_only = codecs.lookup(encoding).name != "utf-8"
    return json.dumps(list(rows), default=_json_value, ensure_ascii=ascii_only, indent=2)


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
        sys.stdout.write(json_text(rows, encoding=sys.stdout.encoding or "utf-8") + "\n")
    elif form == "csv":
        sys.stdout.write(csv_text(columns, rows) + "\n")
    else:
        lines = table_lines(columns, rows, titles or {}, width=width_of_output())
        sys.stdout.writelines(f"{line}\n" for line in lines)


def width_of_output() -> int:
    """The columns of the terminal. A pipe has no width; 80 would cut what the next program wants to read."""
    return get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH


def table_lines(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    titles: Mapping[str, str] = MappingProxyType({}),
    *,
    width: int,
) -> Iterator[str]:
    """One line a row. What does not fit is left out from the right; the first column is never shortened."""
    from rich.cells import cell_len  # noqa: PLC0415 - all of Rich would take longer than the query

    left = width
    shown: list[list[str]] = []
    for name in columns:
        cells = [cell(titles.get(name, name)), *(cell(row[name]) for row in rows)]
        needed = max(map(cell_len, cells))
        if shown and left < min(needed, _CELL_WIDTH_MIN):
            break
        numeric = bool(rows) and all(isinstance(row[name], int | float | None) for row in rows)
        size = needed if not shown else min(needed, left)
        shown.append([_fitted(one, size, right=numeric) for one in cells])
        left -= needed + 2
    for line in zip(*shown, strict=True):
        yield "  ".join(line).rstrip()


def _fitted(text: str, size: int, *, right: bool) -> str:
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415

    if cell_len(text) > size:
        text = set_cell_size(text, size - 1) + "…"
    padding = " " * (size - cell_len(text))
    return padding + text if right else text + padding


def cell(value: Any, *, width: int = _CELL_WIDTH) -> str:
    """A value as it stands in a table: short, on one line, and nothing that commands a terminal."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.15g}"
    text = json.dumps(value, default=_json_value) if isinstance(value, dict | list) else str(value)
    text = one_line(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def one_line(text: str) -> str:
    """A text of any length, on one line, without what commands a terminal or turns what is written around."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split())
    )


def console() -> "Console":
    """Standard output with colours, where it is a terminal; a pipe gets the words alone."""
    from rich.console import Console  # noqa: PLC0415 - takes time to load

    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        width=None if terminal else _PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def json_line(row: Mapping[str, Any]) -> str:
    """One JSON object on a line, as standard output can carry it."""
    ascii_only = codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8"
    return json.dumps(row, default=_json_value, ensure_ascii=ascii_only)


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
