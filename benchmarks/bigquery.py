"""What the client's side of BigQuery costs: our batches, beside Google's client with a ready file.

    python -m benchmarks.bigquery [--quick] [--rounds N] > bigquery.json

The requests go to a sink on this host that answers at once, so the service's own time is not in it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.comparing import Round, Turn, part, summary, tell
from benchmarks.environments import ROOT
from benchmarks.measuring import Measured, measure, size_of
from benchmarks.messages import LARGE, written

GOOGLE = "google-cloud-bigquery, a ready file"
_ID = re.compile(rb'"id":"([^"]+)"')
READY, OBJECTS = "lorchestra, ready batches", "lorchestra, upsert_objects()"


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """All ways to send the same messages."""
    work = replace(LARGE, messages=LARGE.messages // 10) if quick else LARGE
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _sink() as endpoint:
        objects, ready = Path(name) / "objects.jsonl", Path(name) / "ready.jsonl"
        written(objects, work)
        _ready(objects, ready)
        ours = ROOT / "contenders" / "to_bigquery.py"
        commands: dict[str, list[str | Path]] = {
            GOOGLE: [sys.executable, ROOT / "contenders" / "google_client.py", ready, endpoint],
            READY: [sys.executable, ours, ready, "ready"],
            OBJECTS: [sys.executable, ours, objects, "objects"],
        }
        found: list[Round] = []
        for _ in range(rounds):
            turns: dict[Turn, Measured] = {}
            for contender, command in commands.items():
                took = measure(command, variables={"BIGQUERY_EMULATOR_HOST": endpoint})
                turns[contender, ""] = took
                tell(contender, took)
            found.append(turns)
        return {
            "messages": work.messages,
            "bytes": size_of(objects),
            "results": summary(found, (GOOGLE, "")),
        }


def _ready(objects: Path, file: Path) -> None:
    """Write the lines that a load into a table of key, id and payload takes."""
    with objects.open("rb") as lines, file.open("wb") as out:
        for line in lines:
            found = _ID.search(line)
            assert found is not None
            out.write(b'{"idem_key":"bench:email:%b","external_id":"%b","payload":' % (found[1], found[1]))
            out.write(line.rstrip() + b"}\n")


@contextmanager
def _sink() -> Iterator[str]:
    """A sink as a process of its own; where it listens."""
    command = [sys.executable, "-m", "benchmarks.bigquery_sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    part(__doc__, run, rounds=5, quick_rounds=3)
