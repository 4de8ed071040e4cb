"""How loading grows with what is there already, and with what comes at once.

    python -m benchmarks.growth [--quick] [--rounds N] > growth.json

Tables are filled by the engine itself, ours with keys and digests as the store keeps them; then the programs
of `contenders/` load the same messages into a copy of each, ours once as new ones and once more.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.comparing import AGAIN, FIRST, Round, Turn, part, summary, tell
from benchmarks.environments import OURS, RAW
from benchmarks.measuring import Measured, measure, remove
from benchmarks.messages import SMALL, written

TABLES = (0, 40_000, 400_000, 4_000_000)
BATCHES = (5_000, 10_000, 20_000, 50_000)

_ROWS = """
SELECT 'bench:email:' || key AS idem_key, 'bench' AS source_system, 'email' AS object_type,
       key AS external_id, json_object('id', key, 'snippet', repeat(key, 8)) AS payload,
       now() AS first_seen, now() AS last_seen
FROM (SELECT md5(number::VARCHAR)[:16] AS key FROM range($rows) AS numbers(number))
"""
_DIGESTS = """
INSERT INTO events_dev__private.raw_objects_digest
SELECT hash(idem_key), md5(idem_key)::UUID FROM events_dev.raw_objects
"""


def _fill(contender: str, file: Path, rows: int) -> None:
    """Make a database with so many other objects in it."""
    import duckdb

    from lorchestra.stores import open_store

    if contender == OURS.name:
        with open_store(f"duckdb:///{file}") as store:
            store.create_tables()
    with duckdb.connect(file) as connection:
        if contender == OURS.name:
            connection.execute(f"INSERT INTO events_dev.raw_objects {_ROWS}", {"rows": rows})
            connection.execute(_DIGESTS)
        else:
            connection.execute(f"CREATE TABLE raw_objects AS {_ROWS}", {"rows": rows})


def loaded(objects: Path, rows: int, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The same objects into a table of so many rows, by both."""
    filled = {}
    for contender in (RAW, OURS):
        filled[contender] = folder / f"{contender.name}.filled"
        # In a process of its own: what a parent had in memory counts as its child's.
        filling = [sys.executable, "-m", "benchmarks.growth", "--fill", contender.name]
        subprocess.run([*filling, filled[contender], str(rows)], check=True)
    found: list[Round] = []
    for _ in range(rounds):
        turns: dict[Turn, Measured] = {}
        for contender, steps in ((RAW, (FIRST,)), (OURS, (FIRST, AGAIN))):
            file = folder / "growing.db"
            shutil.copyfile(filled[contender], file)
            for step in steps:
                took = measure(contender.command(objects, file), file=file)
                turns[contender.name, step] = took
                tell(f"{rows:,} rows: {contender.name}, {step}", took)
            remove(file)
        found.append(turns)
    for file in filled.values():
        remove(file)
    return summary(found, (RAW.name, FIRST))


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """Both curves, as one report."""
    part_of = 10 if quick else 1
    messages = BATCHES[0] // part_of
    tables, batches = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        objects = folder / "objects.jsonl"
        written(objects, replace(SMALL, messages=messages))
        for number in TABLES:
            rows = number // part_of
            tables.append({"rows": rows, "results": loaded(objects, rows, folder, rounds)})
        for number in BATCHES:
            size = number // part_of
            written(objects, replace(SMALL, messages=size))
            batches.append({"messages": size, "results": loaded(objects, 0, folder, rounds)})
    return {"messages": messages, "tables": tables, "batches": batches}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fill"]:
        _fill(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        part(__doc__, run, rounds=3, quick_rounds=1)
