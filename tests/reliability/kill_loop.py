"""Kills the installed command at random moments, and looks at what the next command makes of it.

`python -m tests.reliability.kill_loop --kills 200 --store duckdb` or `--store bigquery`, and other signals.
Where the points of a run are steps that somebody thought of, this is any moment: imports, settings, the
making of the file, exit.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from lorchestra.stores import open_store
from tests.emulator.front import service_front
from tests.emulator.process import running_emulator
from tests.project import COMMAND, JOB, SOURCE_SYSTEM, new_project, takeout
from tests.reliability import facts
from tests.reliability.fork_server import SITE

_MESSAGES = 8
_ROUNDS_PER_STORE = 6
#: How often the command that comes after a kill is killed itself.
_KILLED_AGAIN = 0.6
_PATIENCE_SECONDS = 120


@dataclass
class Tally:
    """What happened: kills, commands that were let through to look at what is there, and what was wrong."""

    kills: int = 0
    looks: int = 0
    complaints: list[str] = field(default_factory=list)


def kill_at_random(
    kills: int,
    new_url: Callable[[Path], str],
    *,
    chance: random.Random,
    say: Callable[[str], None],
    by: signal.Signals = signal.SIGKILL,
) -> Tally:
    """Kill so many commands; after some of them let one through, and look. A store serves some rounds."""
    tally = Tally()
    seconds = 1.5
    while tally.kills < kills:
        with tempfile.TemporaryDirectory() as folder:
            rounds = _Rounds(Path(folder), new_url(Path(folder)), by)
            for _ in range(_ROUNDS_PER_STORE):
                if tally.kills >= kills:
                    break
                rounds.change_source()
                while True:
                    after = chance.uniform(0, seconds)
                    tally.kills += rounds.killed(after)
                    if tally.kills >= kills or chance.random() > _KILLED_AGAIN:
                        break
                seconds = (seconds + rounds.let_through()) / 2
                tally.looks += 1
                told = [*rounds.told, *rounds.complaints()]
                rounds.told.clear()
                tally.complaints += told
                say("".join(f"after {tally.kills} kills: {one}\n" for one in told or ["all is well"]))
    return tally


class _Rounds:
    """A project whose command is killed; its mailbox is another each round."""

    def __init__(self, folder: Path, url: str, by: signal.Signals) -> None:
        self.project = new_project(folder, store_url=url)
        self.by = by
        self.told: list[str] = []
        self.url = url
        self.round = 0
        self.project.variables |= {"PYTHONPATH": str(SITE), "CRASH_SEGMENT_RECORDS": "3"}

    def change_source(self) -> None:
        """One message more, and all of them changed."""
        self.round += 1
        text = takeout(range(_MESSAGES + self.round))
        changed = text.replace(b"\nSubject: Message", b"\nSubject: Round %d Message" % self.round)
        (self.project.folder / "takeout.mbox").write_bytes(changed)

    def killed(self, after: float) -> bool:
        """Start a run and kill it so many seconds later; False when it was over by then."""
        process = subprocess.Popen(
            [COMMAND, "run", JOB],
            cwd=self.project.folder,
            env=self.project.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(after)
        process.send_signal(self.by)
        _, said = process.communicate(timeout=_PATIENCE_SECONDS)
        if "Traceback" in said or "Error: " in said.replace("Error: ", "", 1):
            self.told.append(f"{self.by.name} after {after:.2f} s: {said!r}")
        return process.returncode != 0

    def let_through(self) -> float:
        """A run that is not killed; the seconds it took."""
        begun = time.monotonic()
        self.last = self.project.lorchestra("run", JOB, "--json")
        return time.monotonic() - begun

    def complaints(self) -> Iterator[str]:
        """All that is not as it must be."""
        database = self.url.removeprefix("duckdb:///")
        disk = facts.on_disk(str(self.project.spool), database if database != self.url else None)
        store = facts.in_store(self.url)
        if self.last.stderr:
            yield f"the next command says: {self.last.stderr!r}"
        if disk["files"] or disk["held"]:
            yield f"left in the spool: {disk['files'] + disk['held']}"
        yield from _half_made(disk["beside"])
        if store["staged"]:
            yield f"staging tables left: {store['staged']}"
        yield from self._objects(store["objects"])
        yield from _accounts(store["events"], self.last.rows[0]["run_id"])

    def _objects(self, rows: list[dict[str, Any]]) -> Iterator[str]:
        keys = Counter(row["idem_key"] for row in rows)
        if len(keys) != _MESSAGES + self.round or set(keys.values()) != {1}:
            yield f"{len(keys)} objects, not {_MESSAGES + self.round}; at most {max(keys.values())} of a key"
        for row in rows:
            if f"Round {self.round} Message" not in row["payload"] or row["source_system"] != SOURCE_SYSTEM:
                yield f"{row['idem_key']}: is not as the source has it"


def _half_made(names: list[str]) -> Iterator[str]:
    strays = [name for name in names if name.startswith(("lorchestra.duckdb.", ".lorchestra."))]
    if strays:
        yield f"left beside the store: {len(strays)} files ({strays[0]})"


def _accounts(events: list[dict[str, Any]], last: str) -> Iterator[str]:
    for run_id in dict.fromkeys(row["correlation_id"] for row in events):
        types = Counter(row["event_type"] for row in events if row["correlation_id"] == run_id)
        ends = types["job.completed"] + types["job.failed"]
        ingestions = types["ingestion.completed"] + types["ingestion.failed"]
        if types["job.started"] != 1 or ends != 1 or ingestions > 1 or types["job.completed"] > ingestions:
            yield f"the account of {'the last' if run_id == last else 'a killed'} run: {dict(types)}"
    for row in events:
        code = json.loads(row["payload"]).get("error_code")
        if code not in (None, "run.interrupted"):
            yield f"{row['event_type']} with {code}"


def new_duckdb(folder: Path) -> str:
    """A file that is not there yet."""
    return f"duckdb:///{folder / 'lorchestra.duckdb'}"


def new_bigquery(folder: Path) -> str:
    """A new dataset, with its tables."""
    url = f"bigquery://p{uuid4().hex[:20]}/events_dev"
    with open_store(url) as store:
        store.create_tables()
    return url


def main() -> int:
    """Kill, look, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.kill_loop", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--store", choices=("duckdb", "bigquery"), default="duckdb")
    parser.add_argument("--signal", choices=("SIGKILL", "SIGTERM", "SIGINT"), default="SIGKILL")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(10**6)
    chance = random.Random(seed)

    def say(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    by = signal.Signals[arguments.signal]
    if arguments.store == "duckdb":
        tally = kill_at_random(arguments.kills, new_duckdb, chance=chance, say=say, by=by)
    else:
        with running_emulator() as emulator, service_front(emulator) as front:
            os.environ["BIGQUERY_EMULATOR_HOST"] = front.endpoint
            tally = kill_at_random(arguments.kills, new_bigquery, chance=chance, say=say, by=by)
    say(f"{tally.kills} kills (seed {seed}), {tally.looks} looks, {len(tally.complaints)} complaints\n")
    return 1 if tally.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
