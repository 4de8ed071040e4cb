"""What the fuzzer found stays mended, and some seconds of new inputs find nothing more.

The same inputs each time. `make fuzz` looks for new ones, guided by what of the code they reach.
"""

from pathlib import Path

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
RUNS = 150


def inputs(name: str) -> list[bytes]:
    """The committed inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def test_every_target_has_inputs() -> None:
    assert sorted(TARGETS) == sorted(path.name for path in CORPUS.iterdir())


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name: str) -> None:
    known = inputs(name)
    for data in [b"", *known, *mutated(known, runs=RUNS, seed=20251124)]:
        try:
            TARGETS[name](data)
        except BaseException as error:
            error.add_note(f"input: {data[:2000]!r}")
            raise
