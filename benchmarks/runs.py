"""How long `lorchestra runs` takes over a year of events, beside a program that does nothing but use Click.

python -m benchmarks.runs [--quick] [--rounds N] > runs.json
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.comparing import Round, Turn, part, summary, tell
from benchmarks.measuring import Measured, measure

EVENTS_OF_A_YEAR = 1_000_000

COMMAND = Path(sys.executable).with_name("lorchestra")
BARE = "a bare Click program"
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
    """Make a database with a year of runs in it."""
    import duckdb

    from lorchestra.stores import open_store

    with open_store(f"duckdb:///{file}") as store:
        store.create_tables()
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(EVENTS, {"runs": events // 3})


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """All commands in turns, as one report."""
    events = EVENTS_OF_A_YEAR // (10 if quick else 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "lorchestra.toml").write_text('[store]\nurl = "duckdb:///lorchestra.duckdb"\n')
        # In a process of its own: what a parent had in memory counts as its child's.
        filling = [sys.executable, "-m", "benchmarks.runs", "--fill"]
        subprocess.run([*filling, folder / "lorchestra.duckdb", str(events)], check=True)
        listed = subprocess.run([COMMAND, "runs", "--json"], cwd=folder, capture_output=True, check=True)
        newest = json.loads(listed.stdout)[0]["run_id"]
        commands: dict[str, list[str | Path]] = {
            BARE: [sys.executable, "-c", CLICK],
            "lorchestra --help": [COMMAND, "--help"],
            "runs": [COMMAND, "runs"],
            "runs --job job_7": [COMMAND, "runs", "--job", "job_7"],
            "runs --status failed": [COMMAND, "runs", "--status", "failed"],
            "runs --status running": [COMMAND, "runs", "--status", "running"],
            "runs show RUN_ID": [COMMAND, "runs", "show", newest],
            "prune --events 1d, which only looks": [COMMAND, "prune", "--events", "1d"],
        }
        found: list[Round] = []
        for _ in range(rounds):
            turns: dict[Turn, Measured] = {}
            for contender, command in commands.items():
                turns[contender, ""] = measure(command, folder=folder)
                tell(contender, turns[contender, ""])
            found.append(turns)
    return {"events": events, "results": summary(found, (BARE, ""))}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fill"]:
        fill(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        part(__doc__, run, rounds=7, quick_rounds=3)
