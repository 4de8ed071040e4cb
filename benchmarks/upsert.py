"""What `upsert_objects()` costs over the raw engine and beside others that do the same job.

    python -m benchmarks.upsert [--quick] [--rounds N] [--no-peers] > results.json

Every measurement is a process of its own, from start to end, and the contenders take turns.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.environments import OURS, PEERS, RAW, ROOT, Contender
from benchmarks.measuring import FailedError, Measured, measure
from benchmarks.messages import LARGE, SMALL, Work, write

FIRST, AGAIN, CHANGED = "first load", "identical re-run", "1 % changed"


class Measurements:
    """One work, by all contenders, as often as there are rounds."""

    def __init__(self, work: Work, contenders: list[Contender], folder: Path) -> None:
        self._work = work
        self._contenders = contenders
        self._folder = folder
        self._objects = {
            FIRST: folder / "objects.jsonl",
            AGAIN: folder / "objects.jsonl",
            CHANGED: folder / "changed.jsonl",
        }
        write(self._objects[FIRST], work)
        write(self._objects[CHANGED], work, changed=0.01)
        self.found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
        self.failed: dict[str, str] = {}

    def round(self) -> None:
        """Each contender once: a first load and, of those that compare keys, what comes after it."""
        base = self._step(RAW, FIRST, self._folder / "raw.db", None)
        for contender in self._contenders:
            file = self._folder / f"{Path(contender.script).stem}.db"
            steps = (FIRST, AGAIN, CHANGED) if contender is OURS else (FIRST, AGAIN)
            try:
                for step in steps:
                    self._step(contender, step, file, base)
            except FailedError as error:
                self.failed[contender.name] = str(error)
            _remove(file)
        _remove(self._folder / "raw.db")

    def _step(self, contender: Contender, step: str, file: Path, base: Measured | None) -> Measured:
        before = _size(file)
        command = [contender.python(), ROOT / "contenders" / contender.script, self._objects[step], file]
        took = measure(command)
        self.found[contender.name, step].append(
            {
                "seconds": took.seconds,
                "cpu_seconds": took.cpu_seconds,
                "ratio": took.seconds / (base or took).seconds,
                "cpu_ratio": took.cpu_seconds / (base or took).cpu_seconds,
                "peak_bytes": took.peak_bytes,
                "file_bytes": _size(file),
                "grown_bytes": _size(file) - before,
            }
        )
        print(
            f"{self._work.name} {contender.name}, {step}: {took.seconds:.2f} s", file=sys.stderr, flush=True
        )
        return took

    def report(self) -> dict[str, Any]:
        """Medians of times and ratios; the largest of sizes."""
        return {
            "work": self._work.name,
            "messages": self._work.messages,
            "bytes": self._objects[FIRST].stat().st_size,
            "results": [
                {
                    "contender": contender,
                    "step": step,
                    **{
                        name: (max if name.endswith("bytes") else statistics.median)(
                            one[name] for one in rounds
                        )
                        for name in rounds[0]
                    },
                }
                for (contender, step), rounds in self.found.items()
            ],
            "failed": self.failed,
        }


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _remove(file: Path) -> None:
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()


def installed(contenders: tuple[Contender, ...]) -> tuple[list[Contender], dict[str, str]]:
    """Those that can run here, and why the others cannot."""
    able, unable = [], {}
    for contender in contenders:
        try:
            contender.python()
            able.append(contender)
        except FailedError as error:
            unable[contender.name] = str(error)
    return able, unable


def run(*, quick: bool, rounds: int, peers: bool) -> dict[str, Any]:
    """All works, as one report."""
    contenders, unable = installed((OURS, *(PEERS if peers else ())))
    works = []
    for work in (LARGE, SMALL):
        size = replace(work, messages=work.messages // 10) if quick else work
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            measurements = Measurements(size, contenders, Path(folder))
            for _ in range(rounds):
                measurements.round()
            works.append(measurements.report())
    return {
        "size": "quick" if quick else "full",
        "rounds": rounds,
        "machine": machine(),
        "versions": {contender.name: contender.version() for contender in (RAW, *contenders)},
        "unable": unable,
        "works": works,
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processors": os.cpu_count(),
        "memory_bytes": memory,
        "system": f"{platform.system()} on {platform.machine()}",
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    given = parser.parse_args()
    report = run(quick=given.quick, rounds=given.rounds, peers=not given.no_peers)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
