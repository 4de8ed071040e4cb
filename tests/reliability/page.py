"""`docs/reliability.md`: its text, and the matrices as the tests found them.

`python -m tests.reliability.page` runs all cells and writes the page; `--check` only compares.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.emulator.front import service_front
from tests.emulator.process import running_emulator
from tests.reliability.host import running_host
from tests.reliability.known import KNOWN
from tests.reliability.laws import Verdict
from tests.reliability.matrix import FAILURES, IMPOSSIBLE, POINTS, Cell, columns, run_column

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
TEXT = Path(__file__).with_name("page.md")

#: What a store and a failure came to: the word of each point, and the error codes of the runs that failed.
Column = tuple[Mapping[str, str], str]
Columns = Mapping[tuple[str, str], Column]

_NAMES = {"duckdb": "DuckDB", "bigquery": "BigQuery"}
_NONE = "-"


def column_of(cells: list[Cell]) -> Column:
    """What the page tells of a column."""
    verdicts = [Verdict(cell) for cell in cells]
    words = {verdict.cell.point.step.value: verdict.word() for verdict in verdicts}
    codes = sorted({code for verdict in verdicts if (code := verdict.code()) is not None})
    return words, ", ".join(f"`{code}`" for code in codes) or _NONE


def render(found: Columns) -> str:
    """The page."""
    text = TEXT.read_text(encoding="utf-8")
    for store, name in _NAMES.items():
        text = text.replace(f"{{{store}}}", "\n".join(_matrix(store, name, found)))
    return text.replace("{known}\n\n", "".join(f"{line}\n" for line in _known()))


def _known() -> list[str]:
    cells: dict[str, dict[str, list[str]]] = {}
    for (store, failure, step), reason in KNOWN.items():
        cells.setdefault(reason, {}).setdefault(f"{_NAMES[store]}, {failure}", []).append(f"`{step}`")
    if not cells:
        return []
    lines = []
    for reason, where in cells.items():
        told = "; ".join(f"{column}: {', '.join(steps)}" for column, steps in where.items())
        lines.append(f"- {reason}. {told}")
    return [
        "## What is not kept yet",
        "",
        "The tests know these cells, and will say when they are right:",
        "",
        *lines,
        "",
    ]


def parse(page: str) -> dict[tuple[str, str], Column]:
    """What a page tells of each column."""
    found: dict[tuple[str, str], Column] = {}
    for store, name in _NAMES.items():
        rows = [line for line in page.splitlines() if line.startswith(f"| {name}: ")]
        table = page[page.index(rows[0]) :].partition("\n\n")[0].splitlines()
        failures, _, *lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table]
        for number, failure in enumerate(failures[1:], start=1):
            words = {line[0].strip("`"): line[number] for line in lines if line[0].startswith("`")}
            [code] = [line[number] for line in lines if line[0] == "error code"]
            found[store, failure] = ({point: word for point, word in words.items() if word != _NONE}, code)
    return found


def _matrix(store: str, name: str, found: Columns) -> list[str]:
    failures = [failure for failure in FAILURES if (store, failure) in found]
    rows = [[f"{name}: at …", *failures], ["---"] * (len(failures) + 1)]
    for point in POINTS:
        words = [found[store, failure][0].get(point.step.value, _NONE) for failure in failures]
        rows.append([f"`{point.step}`", *words])
    rows.append(["error code", *(found[store, failure][1] for failure in failures)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    reasons = [
        f"`{step}` with {failure}: cannot be, as {reason}."
        for (of, failure, step), reason in IMPOSSIBLE.items()
        if of == store
    ]
    return [*lines, *(["", *reasons] if reasons else [])]


def run_all() -> tuple[dict[tuple[str, str], Column], list[str]]:
    """Run every cell: what is found, and all that is not as it must be."""
    found: dict[tuple[str, str], Column] = {}
    wrong: list[str] = []
    with running_emulator() as emulator, service_front(emulator) as front, running_host() as host:
        for store, failure in columns():
            with tempfile.TemporaryDirectory() as folder:
                cells = run_column(host, store, failure, Path(folder), front)
            found[store, failure] = column_of(cells)
            told = [f"{cell.name}: {one}" for cell in cells for one in complaints(cell)]
            sys.stderr.write(
                f"{store}, {failure}: {len(cells)} cells\n" + "".join(f"  {one}\n" for one in told)
            )
            wrong += told
    return found, wrong


def complaints(cell: Cell) -> list[str]:
    """What is wrong with a cell; with one that is known to be wrong, that it is right."""
    found = Verdict(cell).complaints()
    known = KNOWN.get((cell.store, cell.failure, cell.point.step))
    if known is None:
        return found
    return [] if found else [f"is right now: take it off KNOWN ({known})"]


def main() -> int:
    """Write the page, or say that it differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page differs")
    check = parser.parse_args().check
    found, wrong = run_all()
    text = render(found)
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    return 1 if wrong or (check and PAGE.read_text(encoding="utf-8") != text) else 0


if __name__ == "__main__":
    sys.exit(main())
