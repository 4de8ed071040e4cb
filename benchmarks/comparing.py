"""Contenders that take turns, round by round, and what came of it."""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.measuring import FailedError, Measured

FIRST, AGAIN, CHANGED = "first load", "identical re-run", "1 % changed"

#: A contender, and which of its steps.
Turn = tuple[str, str]
Round = Mapping[Turn, Measured]


def summary(rounds: Sequence[Round], base: Turn) -> list[dict[str, Any]]:
    """Each turn's medians of times and of ratios to the yardstick of the same round; the largest of sizes."""
    found: dict[Turn, list[dict[str, float]]] = defaultdict(list)
    for one in rounds:
        for turn, took in one.items():
            found[turn].append(_figures(took, one[base]))
    return [
        {
            "contender": contender,
            "step": step,
            **{
                name: max(one[name] for one in figures)
                if name.endswith("bytes")
                else median(one[name] for one in figures)
                for name in figures[0]
            },
        }
        for (contender, step), figures in found.items()
    ]


def median(numbers: Iterable[float]) -> float:
    """The median, without digits that mean nothing."""
    return round(statistics.median(numbers), 4)


def _figures(took: Measured, base: Measured) -> dict[str, float]:
    return {
        "seconds": took.seconds,
        "cpu_seconds": took.cpu_seconds,
        "ratio": took.seconds / base.seconds,
        "cpu_ratio": took.cpu_seconds / base.cpu_seconds,
        "peak_bytes": took.peak_bytes,
        "file_bytes": took.file_bytes,
    }


def tell(what: str, took: Measured | None = None) -> None:
    """A word on the way, for who waits."""
    print(what if took is None else f"{what}: {took.seconds:.2f} s", file=sys.stderr, flush=True)


def part(document: str | None, run: Callable[..., dict[str, Any]], *, rounds: int, quick_rounds: int) -> None:
    """The command line of a module that measures; its report is JSON on stdout."""
    parser = argparse.ArgumentParser(
        description=document, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the data")
    parser.add_argument("--rounds", type=int, help=f"{rounds}; {quick_rounds} with --quick")
    given = parser.parse_args()
    number = given.rounds or (quick_rounds if given.quick else rounds)
    try:
        report = run(quick=given.quick, rounds=number)
    except FailedError as error:
        sys.exit(str(error))
    print(json.dumps({"rounds": number, **report}, indent=1))
