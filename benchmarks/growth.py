"""How loading grows with what is there already, and with what comes at once.

    python -m benchmarks.growth [--quick] > growth.json

Tables are filled by the engine itself, keys and digests as the store keeps them; then `contenders/` loads the
same messages into each, once as new ones and once more, whole processes both.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.environments import OURS, ROOT
from benchmarks.measuring import measure
from benchmarks.messages import SMALL, write
from lorchestra.stores import open_store

TABLES = (0, 40_000, 400_000, 4_000_000)
BATCHES = (5_000, 10_000, 20_000, 50_000)
ROUNDS = 3

_FILL = """
INSERT INTO events_dev.raw_objects
SELECT 'bench:email:' || key, 'bench', 'email', key,
       json_object('id', key, 'snippet', repeat(key, 8)), now(), now()
FROM (SELECT md5(number::VARCHAR)[:16] AS key FROM range($rows) AS numbers(number));
"""
_FILL_DIGESTS = """
INSERT INTO events_dev__private.raw_objects_digest
SELECT hash(idem_key), md5(idem_key)::UUID FROM events_dev.raw_objects
"""


def filled(file: Path, rows: int) -> None:
    """A store with so many other objects in it."""
    with open_store(f"duckdb:///{file}") as store:
        store.create_tables()
    with duckdb.connect(file) as connection:
        connection.execute(_FILL, {"rows": rows})
        connection.execute(_FILL_DIGESTS)


def loads(objects: Path, rows: int, folder: Path) -> dict[str, Any]:
    """A first load and the same once more, into a table of so many rows."""
    first, again = [], []
    for number in range(ROUNDS):
        file = folder / f"{rows}-{number}.db"
        # In a process of its own: what a parent had in memory counts as its child's.
        subprocess.run([sys.executable, "-m", "benchmarks.growth", "--fill", file, str(rows)], check=True)
        command = [OURS.python(), ROOT / "contenders" / OURS.script, objects, file]
        first.append(measure(command))
        again.append(measure(command))
        file.unlink()
    print(f"{rows:,} rows", file=sys.stderr, flush=True)
    return {
        "rows": rows,
        "first_seconds": statistics.median(one.seconds for one in first),
        "again_seconds": statistics.median(one.seconds for one in again),
        "peak_bytes": max(one.peak_bytes for one in first),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the tables")
    parser.add_argument("--fill", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        filled(Path(given.fill[0]), int(given.fill[1]))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        objects = folder / "objects.jsonl"
        write(objects, replace(SMALL, messages=5_000))
        tables = [loads(objects, rows // (10 if given.quick else 1), folder) for rows in TABLES]
        batches = []
        for messages in BATCHES:
            write(objects, replace(SMALL, messages=messages))
            batches.append({"messages": messages, **loads(objects, 0, folder)})
    print(json.dumps({"tables": tables, "batches": batches}, indent=2))


if __name__ == "__main__":
    main()
