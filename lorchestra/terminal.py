"""What people see: tables on a terminal, JSON and CSV for programs."""

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lorchestra.config import environment

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "json", "csv")

_CELL_WIDTH = 60
_CELL_WIDTH_MIN = 12
_PIPE_WIDTH = 200
_GAP = "  "
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


def rows_of(table: "pa.Table") -> list[dict[str, Any]]:
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
        sys.stdout.write("".join(f"{line}\n" for line in _lines(columns, rows, titles or {})))


def _lines(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> Iterator[str]:
    """One line a row. What does not fit is left out from the right; the first column is never shortened."""
    seen = sys.stdout.isatty()
    # A pipe has no width; 80 columns would cut what the next program wants to read.
    left = shutil.get_terminal_size().columns if seen else _PIPE_WIDTH
    shown: list[_Column] = []
    for name in columns:
        cells = [titles.get(name, name), *(_cell(row[name]) for row in rows)]
        needed = max(map(_width, cells))
        if shown and left < min(needed, _CELL_WIDTH_MIN):
            break
        width = needed if not shown else min(needed, left)
        numeric = bool(rows) and all(isinstance(row[name], int | float | None) for row in rows)
        shown.append(_Column(cells=cells, width=width, numeric=numeric))
        left -= needed + len(_GAP)
    for number in range(len(rows) + 1):
        line = _GAP.join(column.padded(number) for column in shown).rstrip()
        yield f"{_BOLD}{line}{_PLAIN}" if seen and number == 0 and _knows_bold() else line


@dataclass(frozen=True, kw_only=True)
class _Column:
    """The title and the cells below it."""

    cells: Sequence[str]
    width: int
    numeric: bool

    def padded(self, number: int) -> str:
        text = _cut(self.cells[number], self.width)
        space = " " * (self.width - _width(text))
        return space + text if self.numeric else text + space


def _width(text: str) -> int:
    """How many places a text takes on a terminal; some letters take two, some none."""
    if text.replace("…", ".").isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - only where there are such letters

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def _knows_bold() -> bool:
    return environment().get("TERM", "dumb") not in ("dumb", "unknown")


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
