"""What `upsert_objects()` costs over the raw engine and beside others that do the same job.

    python -m benchmarks.upsert [--quick] [--rounds N] > upsert.json

Every measurement is a process of its own, from start to end, and the contenders take turns.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.comparing import AGAIN, CHANGED, FIRST, Round, Turn, part, summary, tell
from benchmarks.environments import OURS, PEERS, RAW, Contender
from benchmarks.measuring import FailedError, Measured, measure, remove, size_of
from benchmarks.messages import LARGE, SMALL, Work, written

_YARDSTICK: Turn = (RAW.name, FIRST)
_FAR_BEHIND = 3.0


class Measurements:
    """One work, by all contenders, as often as there are rounds."""

    def __init__(self, work: Work, contenders: Sequence[Contender], folder: Path) -> None:
        self._work = work
        self._contenders = contenders
        self._folder = folder
        self._objects = {
            FIRST: folder / "objects.jsonl",
            AGAIN: folder / "objects.jsonl",
            CHANGED: folder / "changed.jsonl",
        }
        written(self._objects[FIRST], work)
        written(self._objects[CHANGED], work, changed=0.01)
        self._rounds: list[Round] = []
        self._failed: dict[str, str] = {}

    def round(self) -> None:
        """Each contender once: a first load and, of those that compare keys, what comes after it."""
        found: dict[Turn, Measured] = {}
        self._steps(RAW, (FIRST,), found)
        for contender in self._contenders:
            if contender.name in self._failed or self._is_far_behind(contender):
                continue
            steps = (FIRST, AGAIN, CHANGED) if contender is OURS else (FIRST, AGAIN)
            try:
                self._steps(contender, steps, found)
            except FailedError as error:
                self._failed[contender.name] = str(error)
                tell(f"{self._work.name} {contender.name} failed: {error}")
        self._rounds.append(found)

    def _is_far_behind(self, contender: Contender) -> bool:
        """Whether another look at it would tell nothing new."""
        return any(
            one[contender.name, FIRST].seconds > _FAR_BEHIND * one[_YARDSTICK].seconds
            for one in self._rounds
            if (contender.name, FIRST) in one
        )

    def _steps(self, contender: Contender, steps: Sequence[str], found: dict[Turn, Measured]) -> None:
        file = self._folder / f"{Path(contender.script).stem}.db"
        try:
            for step in steps:
                took = measure(contender.command(self._objects[step], file), file=file)
                found[contender.name, step] = took
                tell(f"{self._work.name} {contender.name}, {step}", took)
        finally:
            remove(file)

    def report(self) -> dict[str, Any]:
        """What came of all rounds until now."""
        return {
            "work": self._work.name,
            "messages": self._work.messages,
            "bytes": size_of(self._objects[FIRST]),
            "results": summary(self._rounds, _YARDSTICK),
            "failed": self._failed,
        }


def installed(contenders: Sequence[Contender]) -> tuple[list[Contender], dict[str, str]]:
    """Those that can run here, and why the others cannot."""
    able, unable = [], {}
    for contender in contenders:
        try:
            contender.python()
            able.append(contender)
        except FailedError as error:
            unable[contender.name] = str(error)
    return able, unable


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """Both works, as one report."""
    contenders, unable = installed((OURS, *PEERS))
    works = []
    for work in (LARGE, SMALL):
        size = replace(work, messages=work.messages // 10) if quick else work
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            measurements = Measurements(size, contenders, Path(folder))
            for _ in range(rounds):
                measurements.round()
            works.append(measurements.report())
    return {
        "versions": {contender.name: contender.version() for contender in (RAW, *contenders)},
        "unable": unable,
        "works": works,
    }


if __name__ == "__main__":
    part(__doc__, run, rounds=3, quick_rounds=1)
