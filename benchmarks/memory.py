"""How much memory a first load holds from its start to its end, at one and at ten times the messages.

    python -m benchmarks.memory [--quick] > memory.json

Resident memory of the process is looked at every 50 ms, beside the raw engine's.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.comparing import part, tell
from benchmarks.environments import OURS, RAW
from benchmarks.measuring import measure, remove, size_of
from benchmarks.messages import LARGE, written

SCALES = (1, 10)
_POINTS = 120


def thinned(course: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """The highest of each of so many stretches of time."""
    step = max(1, -(-len(course) // _POINTS))
    stretches = (course[start : start + step] for start in range(0, len(course), step))
    return [max(stretch, key=lambda point: point[1]) for stretch in stretches]


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """Both sizes by both contenders; of several rounds the one with the highest peak."""
    loads = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        objects, file = Path(name) / "objects.jsonl", Path(name) / "objects.db"
        for scale in SCALES:
            work = replace(LARGE, messages=LARGE.messages // (10 if quick else 1))
            messages = work.messages * scale
            written(objects, work, times=scale)
            for contender in (RAW, OURS):
                found = []
                for _ in range(rounds):
                    found.append(measure(contender.command(objects, file), file=file, sampled=True))
                    tell(f"{messages:,} messages: {contender.name}", found[-1])
                    remove(file)
                highest = max(found, key=lambda one: one.peak_bytes)
                loads.append(
                    {
                        "contender": contender.name,
                        "scale": scale,
                        "messages": messages,
                        "bytes": size_of(objects),
                        "seconds": round(highest.seconds, 4),
                        "peak_bytes": highest.peak_bytes,
                        "file_bytes": highest.file_bytes,
                        "course": [(round(at, 2), held) for at, held in thinned(highest.course)],
                    }
                )
    return {"loads": loads}


if __name__ == "__main__":
    part(__doc__, run, rounds=1, quick_rounds=1)
