"""Writes `docs/performance.md` from what the measurements found: `python -m benchmarks.page RESULTS`."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.upsert import AGAIN, CHANGED, FIRST

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"

_HEAD = """\
# Speed

<!-- Written by `make bench`. -->

What it costs to load objects through `upsert_objects()`, beside the engine's own `INSERT … SELECT` of
the same file and beside others that do the same job: every line of a file is parsed, and stored once
under its key, its JSON whole in one column. All are whole processes, from start to end, that took turns.
Seconds differ from machine to machine, and on a shared one from hour to hour: compare the ratios, and
only within one table.

- **raw DuckDB** compares no keys and does without an account of what was new: it is the yardstick, not a
  way to load twice.
- **sqlite-utils** writes into SQLite, which does not compress; it keeps no `first_seen` and counts
  nothing.
- **dlt**, **PyAirbyte** and **target-duckdb** get a primary key and one text column for the payload; dlt
  writes Parquet files. `benchmarks/contenders/` has the programs.

{machine}
"""
_LONGEST = 120


def page(report: dict[str, Any]) -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD.format(machine=_machine(report)),
            *(_table(work) for work in report["works"]),
            *_failures(report),
        ]
    )


def _machine(report: dict[str, Any]) -> str:
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    rounds = "one round" if report["rounds"] == 1 else f"medians of {report['rounds']} rounds"
    return (
        f"{machine['processors']} processors, {machine['memory_bytes'] / 1e9:.0f} GB of memory,"
        f" {machine['system']}, Python {machine['python']}; size {report['size']}, {rounds}.\n\n{versions}."
    )


def _table(work: dict[str, Any]) -> str:
    mean = work["bytes"] / work["messages"] / 1000
    lines = [
        f"## {work['messages']:,} messages of {mean:.1f} KB ({work['bytes'] / 1e6:,.0f} MB)",
        "",
        "| | | seconds | of raw | processor, of raw | peak memory, MB | file, MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    order = {FIRST: 0, AGAIN: 1, CHANGED: 2}
    lines += [
        f"| {one['step']} | {one['contender']} | {one['seconds']:.2f} | {one['ratio']:.2f} |"
        f" {one['cpu_ratio']:.2f} | {one['peak_bytes'] / 1e6:,.0f} | {one['file_bytes'] / 1e6:,.0f} |"
        for one in sorted(work["results"], key=lambda one: order[one["step"]])
    ]
    return "\n".join(lines) + "\n"


def _failures(report: dict[str, Any]) -> list[str]:
    failed = [
        (name, f"{work['messages']:,} messages: {why}")
        for work in report["works"]
        for name, why in work["failed"].items()
    ]
    failed += report["unable"].items()
    if not failed:
        return []
    told = [f"- **{name}**: {why[:_LONGEST]}" for name, why in failed]
    return ["## What could not be measured", "", *told, ""]


def main() -> None:
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    PAGE.write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()
