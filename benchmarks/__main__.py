"""Everything that is measured, part by part, and the page of it: see README.md.

    python -m benchmarks [--full] [--only PART…]

What a part found is kept under `.venv/bench-results/`, so with `--only` the others stay as they were. The
page of the quick size stands there too; only the full size writes docs/performance.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT
from benchmarks.measuring import last_words
from benchmarks.page import PAGE, RESULTS, write
from benchmarks.tables import TABLES

KEPT = ROOT.parent / ".venv" / "bench-results"


def machine() -> dict[str, Any]:
    """What it is measured on."""
    return {
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} on {platform.machine()}",
        "python": platform.python_version(),
        "duckdb": version("duckdb"),
        "lorchestra": version("lorchestra"),
    }


def measure_part(part: str, kept: Path, *, full: bool) -> None:
    """Run a part as a process of its own, and keep its report, or why there is none."""
    report, begun = kept / f"{part}.json", kept / f"{part}.json.begun"
    report.unlink(missing_ok=True)
    started, last = time.monotonic(), ""
    command = [sys.executable, "-m", f"benchmarks.{part}", *(() if full else ("--quick",))]
    with begun.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT.parent, stdout=out, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            print(f"{part}: {line.rstrip()}", file=sys.stderr, flush=True)
            last = line.strip() or last
        code = process.wait()
    if code:
        begun.write_text(
            json.dumps({"failed": last_words(last) or f"it ended with {code}"}), encoding="utf-8"
        )
    begun.rename(report)
    print(f"{part}: {time.monotonic() - started:.0f} s in all", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full", action="store_true", help="all of the data, and docs/performance.md")
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES), metavar="PART")
    given = parser.parse_args()
    size = "full" if given.full else "quick"
    kept = KEPT / size
    kept.mkdir(parents=True, exist_ok=True)
    for part in given.only:
        measure_part(part, kept, full=given.full)
    found = {part: kept / f"{part}.json" for part in TABLES}
    parts = {part: json.loads(file.read_text("utf-8")) for part, file in found.items() if file.exists()}
    results = {"size": size, "machine": machine(), "parts": parts}
    page, file = (PAGE, RESULTS) if given.full else (kept / "performance.md", kept / "results.json")
    write(results, page, file)
    print(f"The page is {page}.")
    if failed := [part for part in given.only if "failed" in parts[part]]:
        sys.exit(f"Not measured: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
