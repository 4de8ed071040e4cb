"""How fast the page is over 100,000 runs, beside the raw engine: DuckDB, asked through the view `job_runs`.

    python -m benchmarks.web [--quick] [--rounds N] > web.json

Each address is asked for twice in a round: after an event was written (`changed`), and again (`unchanged`).
The raw engine, in a process that has the file open, reads the newest run of each job out of the view.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from benchmarks.comparing import part
from benchmarks.runs import COMMAND, fill

RUNS = 100_000
RAW = "raw: the newest run of each job, from the view"
ADDRESSES = {
    "overview": "/",
    "timeline of a week": "/timeline?span=week&until=2025-12-25",
    "runs": "/runs",
    "one job": "/job?name=job_7",
    "objects": "/objects",
}
_RAW_QUERY = """
SELECT * FROM events_dev.job_runs
QUALIFY row_number() OVER (PARTITION BY job_name ORDER BY started_at DESC) = 1
"""


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """Milliseconds until the last byte, medians, and their ratio to the raw engine's."""
    runs = RUNS // (10 if quick else 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        file = folder / "lorchestra.duckdb"
        (folder / "lorchestra.toml").write_text('[store]\nurl = "duckdb:///lorchestra.duckdb"\n')
        fill(file, runs * 3)
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            found.setdefault(RAW, []).append(_raw(file))
        server = subprocess.Popen(
            [COMMAND, "web", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            _ask(server, file, found, rounds)
        finally:
            server.terminate()
            server.wait()
    raw = statistics.median(found[RAW])
    return {
        "runs": runs,
        "results": [
            {
                "what": what,
                "ms": round(statistics.median(ms), 1),
                "ratio": round(statistics.median(ms) / raw, 2),
            }
            for what, ms in found.items()
        ],
    }


def _raw(file: Path) -> float:
    program = f"""
import time, duckdb
with duckdb.connect({str(file)!r}, read_only=True) as connection:
    begin = time.perf_counter()
    connection.sql({_RAW_QUERY!r}).fetchall()
    print(time.perf_counter() - begin)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # Before it stands the bar of a query that takes long.
    return float(done.stdout.split()[-1]) * 1e3


def _ask(server: subprocess.Popen[str], file: Path, found: dict[str, list[float]], rounds: int) -> None:
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    with requests.Session() as session:
        session.get(url).raise_for_status()
        base = re.sub(r"/\?token=.*", "", url)
        for _ in range(rounds):
            for what, address in ADDRESSES.items():
                _write(file)
                # What was looked at a moment ago counts as unchanged.
                time.sleep(0.2)
                for state in ("changed", "unchanged"):
                    ms = _timed(lambda path=address: session.get(base + path).raise_for_status())
                    found.setdefault(f"{what}, {state}", []).append(ms)


def _timed(ask: Callable[[], object]) -> float:
    begin = time.perf_counter()
    ask()
    return (time.perf_counter() - begin) * 1e3


def _write(file: Path) -> None:
    from lorchestra.stack_clients.event_client import log_event
    from lorchestra.stores import open_store

    with open_store(f"duckdb:///{file}") as store:
        log_event(event_type="bench.noted", source_system="bench", correlation_id="bench", bq_client=store)


if __name__ == "__main__":
    part(__doc__, run, rounds=5, quick_rounds=2)
