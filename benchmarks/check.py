"""Whether loading became dearer: `make bench-check`, for a nightly run.

    python -m benchmarks.check [--write]

It measures lorchestra and the raw engine in turns, and compares with `baseline.json`: processor time, which
other work on the machine moves least, as a ratio to the raw engine's; memory; the file. A step of a quarter
or more is a failure; `--write` makes what was found the new baseline.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.environments import OURS, ROOT
from benchmarks.messages import LARGE, SMALL
from benchmarks.upsert import Measurements

BASELINE = ROOT / "baseline.json"
ROUNDS = 5
STEP = 1.25
COMPARED = ("cpu_ratio", "peak_bytes", "file_bytes")

Found = dict[str, dict[str, dict[str, float]]]


def found() -> Found:
    """By work and step, what is compared."""
    result: Found = {}
    for work in (replace(LARGE, messages=2_000), replace(SMALL, messages=30_000)):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            measurements = Measurements(work, [OURS], Path(folder))
            for _ in range(ROUNDS):
                measurements.round()
            result[work.name] = {
                one["step"]: {name: round(one[name], 3) for name in COMPARED}
                for one in measurements.report()["results"]
                if one["contender"] == OURS.name
            }
    return result


def steps(before: Found, now: Found) -> list[str]:
    """What became dearer by a quarter or more, one line each."""
    return [
        f"{work}, {step}: {name} was {before[work][step][name]:,}, is {value:,}"
        for work, by_step in now.items()
        for step, values in by_step.items()
        for name, value in values.items()
        if value >= STEP * before[work][step][name]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    now = found()
    if given.write:
        BASELINE.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        return
    print(json.dumps(now, indent=2))
    if dearer := steps(json.loads(BASELINE.read_text(encoding="utf-8")), now):
        sys.exit("\n".join(dearer))


if __name__ == "__main__":
    main()
