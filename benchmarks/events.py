"""What the account of a run costs: its three events, and a whole `lorchestra run`, beside the same untracked.

    python -m benchmarks.events [--rounds N] > events.json

The work is small, the 220 messages of the sample mailbox once more, so that the difference shows.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.comparing import AGAIN, Round, Turn, median, part, tell
from benchmarks.environments import ROOT
from benchmarks.measuring import Measured, measure

UNTRACKED, TRACKED, RUN = "no events", "three events by log_event()", "lorchestra run"
COMMAND = Path(sys.executable).with_name("lorchestra")
MAILBOX = ROOT.parent / "examples" / "mail" / "takeout.mbox"
_PROGRAM = ROOT / "contenders" / "takeout.py"
_CONFIGURATION = """\
[store]
url = "duckdb:///{store}"

[jobs.sample]
source = "takeout"
source_system = "bench"
path = "{mailbox}"
"""


def run(*, quick: bool, rounds: int) -> dict[str, Any]:  # noqa: ARG001 - small anyway
    """All ways to do the same work, each into a database of its own that has the messages already."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        configuration = _CONFIGURATION.format(store=folder / "run.db", mailbox=MAILBOX)
        (folder / "lorchestra.toml").write_text(configuration, encoding="utf-8")
        commands: dict[str, list[str | Path]] = {
            UNTRACKED: [sys.executable, _PROGRAM, MAILBOX, folder / "untracked.db"],
            TRACKED: [sys.executable, _PROGRAM, MAILBOX, folder / "tracked.db", "tracked"],
            RUN: [COMMAND, "run", "sample"],
        }
        found: list[Round] = []
        # The first round makes the databases.
        for number in range(rounds + 1):
            turns: dict[Turn, Measured] = {}
            for contender, command in commands.items():
                turns[contender, AGAIN] = measure(command, folder=folder)
                tell(contender, turns[contender, AGAIN])
            if number:
                found.append(turns)
    return {"messages": 220, "results": [_beside(found, contender) for contender in commands]}


def _beside(rounds: list[Round], contender: str) -> dict[str, Any]:
    """Medians, and the median of what it took more than the work alone, round by round."""
    mine = [one[contender, AGAIN] for one in rounds]
    alone = [one[UNTRACKED, AGAIN] for one in rounds]
    pairs = list(zip(mine, alone, strict=True))
    return {
        "contender": contender,
        "seconds": median(one.seconds for one in mine),
        "cpu_seconds": median(one.cpu_seconds for one in mine),
        "more_seconds": median(one.seconds - other.seconds for one, other in pairs),
        "more_cpu_seconds": median(one.cpu_seconds - other.cpu_seconds for one, other in pairs),
    }


if __name__ == "__main__":
    part(__doc__, run, rounds=15, quick_rounds=7)
