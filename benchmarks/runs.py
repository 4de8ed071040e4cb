"""How long `lorchestra runs` takes over a log of a million events: see README.md.

    python benchmarks/runs.py [--events N] [--rounds N] [--json]

Every measurement is a process of its own, and the contenders take turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from lorchestra.stores import open_store

COMMAND = Path(sys.executable).with_name("lorchestra")
CLICK = "import click\n@click.command()\ndef main():\n    click.echo('hello')\nmain()"
#: A year of runs of three events, one in fifty failed, of twenty jobs.
EVENTS = """
INSERT INTO events_dev.event_log
WITH runs AS (
  SELECT
    i,
    TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_seconds(i * 365.0 * 86400 / $runs) AS t,
    'job_' || (i % 20) AS job,
    hash(i) % 50 = 0 AS failed
  FROM range($runs::BIGINT) x(i)
), steps AS (
  SELECT *, job || '-' || strftime(t, '%Y%m%d%H%M%S') AS run_id FROM runs, range(3) y(k)
)
SELECT
  format('{:012x}', epoch_ms(t) + k) || format('-7000-8000-{:012x}', (i * 3 + k)::BIGINT),
  CASE k
    WHEN 0 THEN 'job.started'
    WHEN 1 THEN 'ingestion.' || if(failed, 'failed', 'completed')
    ELSE 'job.' || if(failed, 'failed', 'completed')
  END,
  if(k = 1, 'tap--' || job, 'lorchestra'),
  if(k = 1, 'email', 'job_run'),
  NULL,
  run_id,
  NULL,
  t + to_seconds(2 * k),
  if(failed AND k > 0, 'failed', 'ok'),
  if(failed AND k > 0, 'The source did not answer.', NULL),
  CASE k
    WHEN 0 THEN json_object(
      'job_name', job, 'package_name', 'lorchestra', 'host', 'host-1', 'pid', 1000 + i % 30000,
      'parameters', json_object('source', 'gmail', 'source_system', 'tap--' || job), 'version', '0.1.0')
    WHEN 1 THEN json_object(
      'duration_seconds', 3.5, 'records_extracted', i % 200, 'inserted', i % 10, 'updated', 0,
      'unchanged', i % 190, 'rejected', 0, 'batches', 1, 'bytes', i * 7 % 100000,
      'seen_at', strftime(t, '%Y-%m-%dT%H:%M:%SZ'), 'cursor', json_object('history_id', i * 17))
    ELSE json_object(
      'job_name', job, 'package_name', 'lorchestra', 'duration_seconds', 4.1,
      'error_code', if(failed, 'source.error', NULL))
  END
FROM steps
ORDER BY t, k
"""


def fill(file: Path, events: int) -> None:
    with open_store(f"duckdb:///{file}") as store:
        store.create_tables()
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(EVENTS, {"runs": events // 3})


def seconds(command: list[str | Path], folder: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stderr}")
    return time.perf_counter() - started


def run(events: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "lorchestra.toml").write_text('[store]\nurl = "duckdb:///lorchestra.duckdb"\n')
        fill(folder / "lorchestra.duckdb", events)
        newest = json.loads(
            subprocess.run([COMMAND, "runs", "--json"], cwd=folder, capture_output=True, check=True).stdout
        )[0]["run_id"]
        contenders: dict[str, list[str | Path]] = {
            "a bare Click program": [sys.executable, "-c", CLICK],
            "lorchestra --help": [COMMAND, "--help"],
            "runs": [COMMAND, "runs"],
            "runs --job job_7": [COMMAND, "runs", "--job", "job_7"],
            "runs --status failed": [COMMAND, "runs", "--status", "failed"],
            "runs --status running": [COMMAND, "runs", "--status", "running"],
            "runs show": [COMMAND, "runs", "show", newest],
            "prune (dry run)": [COMMAND, "prune", "--events", "1d"],
        }
        found: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(rounds):
            for contender, command in contenders.items():
                found[contender].append(seconds(command, folder))
                print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    base = found["a bare Click program"]
    return {
        "events": events,
        "rounds": rounds,
        "cpus": os.cpu_count(),
        "duckdb": duckdb.__version__,
        "results": [
            {
                "contender": contender,
                "seconds": statistics.median(each),
                "fastest": min(each),
                "ratio": statistics.median(one / other for one, other in zip(each, base, strict=True)),
            }
            for contender, each in found.items()
        ],
    }


def as_table(report: dict[str, Any]) -> str:
    machine = f"{report['cpus']} cores, DuckDB {report['duckdb']}"
    lines = [
        f"{report['events']:,} events, {machine}, {report['rounds']} rounds",
        "",
        "| | median, seconds | fastest | ratio to Click |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {one['contender']} | {one['seconds']:.2f} | {one['fastest']:.2f} | {one['ratio']:.1f} |"
        for one in report["results"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = run(arguments.events, arguments.rounds)
    print(json.dumps(report, indent=2) if arguments.json else as_table(report))


if __name__ == "__main__":
    main()
