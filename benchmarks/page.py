"""Writes a page of speed from what was found: `page.md`, with tables and plots in their places.

    python -m benchmarks.page [RESULTS]

Without an argument it is docs/performance.md, from results.json: after an edit of page.md.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT, plotting
from benchmarks.measuring import FailedError, last_words
from benchmarks.tables import TABLES

RESULTS = ROOT / "results.json"
PAGE = ROOT.parent / "docs" / "performance.md"
_TEXT = ROOT / "page.md"
_PAIR = re.compile(r"\[\s+([\d.]+),\s+([\d.]+)\s+\]")


def page(results: Mapping[str, Any]) -> str:
    """The whole page. A part that failed, or is not there, is named with the reason in its section."""
    head, *sections = _TEXT.read_text(encoding="utf-8").split("\n## ")
    told = [head.replace("{machine}", _machine(results))]
    told += [_section(one, results) for one in sections]
    return "\n## ".join(told)


def _section(text: str, results: Mapping[str, Any]) -> str:
    [name] = [one for one in TABLES if f"{{{one}}}" in text]
    report = results["parts"].get(name, {"failed": "it was not part of this measurement"})
    if "failed" in report:
        return f"{text.splitlines()[0]}\n\nNot measured: {report['failed']}.\n"
    plots = results["plots"]
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("![") or name in plots]
    return "".join(lines).replace(f"{{{name}}}", TABLES[name](report))


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    told = (
        f"{machine['processors']} processors, {machine['memory_bytes'] / 1e9:.0f} GB of memory,"
        f" {machine['system']}, Python {machine['python']}, DuckDB {machine['duckdb']},"
        f" lorchestra {machine['lorchestra']}; size {results['size']}."
    )
    if why := results.get("plots_failed"):
        told += f" There are no plots: {why}."
    return told


def write(results: dict[str, Any], target: Path, file: Path) -> None:
    """Write the page, its plots into `images/` beside it, and the results, in which stands what was drawn."""
    images = target.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    results.pop("plots_failed", None)
    try:
        drawn = subprocess.run(
            [plotting(), ROOT / "plots.py", images],
            input=json.dumps(results["parts"]),
            capture_output=True,
            text=True,
            check=False,
        )
        if drawn.returncode:
            raise FailedError(last_words(drawn.stderr))
        results["plots"] = drawn.stdout.split()
    except FailedError as error:
        results["plots"], results["plots_failed"] = [], str(error)
    target.write_text(page(results), encoding="utf-8")
    # Points of a curve stay on one line each.
    text = _PAIR.sub(r"[\1, \2]", json.dumps(results, indent=1))
    file.write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    source = Path(sys.argv[1]) if sys.argv[1:] else RESULTS
    target = source.with_name("performance.md") if sys.argv[1:] else PAGE
    results = json.loads(source.read_text(encoding="utf-8"))
    write(results, target, source)


if __name__ == "__main__":
    main()
