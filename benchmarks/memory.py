"""How much memory a first load holds from its start to its end, at one and at ten times the messages.

    python -m benchmarks.memory [--quick] > memory.json

Resident memory of the process is looked at every 50 ms, beside the raw engine's.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.comparing import part, tell
from benchmarks.environments import OURS, RAW, Contender
from benchmarks.measuring import FailedError, Measured, measure, remove, size_of
from benchmarks.messages import LARGE, written

SCALES = (1, 10)
_POINTS = 120


def thinned(course: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """The highest of each of so many stretches of time."""
    step = max(1, -(-len(course) // _POINTS))
    stretches = (course[start : start + step] for start in range(0, len(course), step))
    return [max(stretch, key=lambda point: point[1]) for stretch in stretches]


def loaded(contender: Contender, objects: Path, rounds: int) -> Measured:
    """Of several first loads the one with the highest peak.

    Raises:
        FailedError: it failed, for want of memory perhaps.
    """
    file, found = objects.with_name("objects.db"), []
    try:
        for _ in range(rounds):
            found.append(measure(contender.command(objects, file), file=file, sampled=True))
            tell(f"{size_of(objects) / 1e6:,.0f} MB: {contender.name}", found[-1])
            remove(file)
    finally:
        remove(file)
    return max(found, key=lambda one: one.peak_bytes)


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """Both sizes by both contenders, and who failed at which."""
    loads, failed = [], []
    work = replace(LARGE, messages=LARGE.messages // (10 if quick else 1))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        objects = Path(name) / "objects.jsonl"
        for scale, contender in product(SCALES, (RAW, OURS)):
            if contender is RAW:
                written(objects, work, times=scale)
            load = {"contender": contender.name, "scale": scale, "messages": work.messages * scale}
            try:
                took = loaded(contender, objects, rounds)
            except FailedError as error:
                failed.append({**load, "why": str(error)})
                continue
            figures = {
                "bytes": size_of(objects),
                "seconds": round(took.seconds, 4),
                "peak_bytes": took.peak_bytes,
                "file_bytes": took.file_bytes,
                "course": [(round(at, 2), held) for at, held in thinned(took.course)],
            }
            loads.append({**load, **figures})
    return {"loads": loads, "failed_loads": failed}


if __name__ == "__main__":
    part(__doc__, run, rounds=1, quick_rounds=1)
