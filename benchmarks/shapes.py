"""What loading costs where objects are not the mail that the store was made for.

python -m benchmarks.shapes [--quick] [--rounds N] > shapes.json
"""

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from benchmarks.comparing import AGAIN, FIRST, Round, part, summary, tell
from benchmarks.environments import OURS, RAW
from benchmarks.measuring import Measured, measure, remove, size_of
from benchmarks.messages import SMALL, messages

_HUGE = 40_000_000

Objects = Iterator[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Objects of one kind: how they are made, and how many there are."""

    name: str
    make: Callable[[int], Objects]
    objects: int
    #: What the yardstick must be told of the largest.
    largest: int | None = None


def _tiny(index: int) -> dict[str, Any]:
    """A payment as an API lists it, of about 180 bytes."""
    return {
        "id": f"ch_{index:012x}",
        "object": "charge",
        "amount": 1000 + index % 90_000,
        "currency": "eur",
        "customer": f"cus_{index * 2654435761 % 2**32:08x}",
        "created": 1_700_000_000 + index * 61,
        "status": "succeeded" if index % 50 else "failed",
        "livemode": True,
    }


def _tiny_in_order(number: int) -> Objects:
    return map(_tiny, range(number))


def _tiny_shuffled(number: int) -> Objects:
    indexes = list(range(number))
    random.Random("shuffled").shuffle(indexes)
    return map(_tiny, indexes)


def _one_huge(number: int) -> Objects:
    small = list(messages(replace(SMALL, messages=number)))
    words = random.Random("huge").randbytes(_HUGE // 2).hex()
    return chain(small[: number // 2], [{"id": "huge", "data": words}], small[number // 2 :])


def _one_key(number: int) -> Objects:
    return ({**one, "id": "the same"} for one in messages(replace(SMALL, messages=number)))


SHAPES = (
    Shape(name="tiny objects", make=_tiny_in_order, objects=600_000),
    Shape(name="tiny objects, keys in random order", make=_tiny_shuffled, objects=600_000),
    Shape(name="small objects and one of 40 MB", make=_one_huge, objects=20_000, largest=64 * 1024**2),
    Shape(name="small objects, all of one key", make=_one_key, objects=50_000),
)


def measured(shape: Shape, folder: Path, rounds: int) -> dict[str, Any]:
    """One shape by both contenders."""
    objects = folder / "objects.jsonl"
    # In a process of its own: what a parent had in memory counts as its child's.
    writer: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.shapes",
        "--write",
        shape.name,
        str(shape.objects),
        objects,
    ]
    subprocess.run(writer, check=True)
    found: list[Round] = []
    for _ in range(rounds):
        turns: dict[tuple[str, str], Measured] = {}
        for contender, steps in ((RAW, (FIRST,)), (OURS, (FIRST, AGAIN))):
            file = folder / "objects.db"
            largest = [str(shape.largest)] if contender is RAW and shape.largest else []
            for step in steps:
                took = measure(contender.command(objects, file, *largest), file=file)
                turns[contender.name, step] = took
                tell(f"{shape.name}: {contender.name}, {step}", took)
            remove(file)
        found.append(turns)
    return {
        "shape": shape.name,
        "objects": shape.objects,
        "bytes": size_of(objects),
        "results": summary(found, (RAW.name, FIRST)),
    }


def run(*, quick: bool, rounds: int) -> dict[str, Any]:
    """All shapes, as one report."""
    shapes = [replace(one, objects=one.objects // 10) if quick else one for one in SHAPES]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return {"shapes": [measured(shape, Path(folder), rounds) for shape in shapes]}


def _write(name: str, number: int, path: Path) -> None:
    [shape] = [one for one in SHAPES if one.name == name]
    with path.open("wb") as out:
        out.writelines(orjson.dumps(one) + b"\n" for one in shape.make(number))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        _write(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        part(__doc__, run, rounds=3, quick_rounds=1)
