"""Starts commands that collide: processes forked from one that has imported all, let go at the same moment.

So a command costs milliseconds, many of them can be raced, and what is raced is whole processes.
`python -m tests.reliability.racer` is the process that forks; `Racer` starts it and asks it.
"""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

from tests.forking import keep_loaded_modules
from tests.project import COMMAND, Outcome, Project

PATIENCE_SECONDS = 400.0

# All that the commands import on their way; nothing of it starts a thread or opens a store.
_IMPORTED = (
    "lorchestra.cli",
    "lorchestra.config",
    "lorchestra.first_config",
    "lorchestra.interruption",
    "lorchestra.jobs.ingest",
    "lorchestra.jobs.registry",
    "lorchestra.outcome",
    "lorchestra.runs",
    "lorchestra.sources.login_store",
    "lorchestra.sources.takeout",
    "lorchestra.store_copy",
    "lorchestra.stores.bigquery",
    "lorchestra.stores.duckdb",
    "lorchestra.stores.googlesql",
    "lorchestra.terminal",
    "tzlocal",
    "encodings.idna",
)


@dataclass
class Racer:
    """Asks the process that forks."""

    process: "subprocess.Popen[str]"
    _ids: Iterator[int] = field(default_factory=count)
    _waiting: "dict[int, Future[int]]" = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, project: Project, *commands: Sequence[str]) -> "list[Future[Outcome]]":
        """Start commands at the same moment; each gives its outcome when it has ended."""
        asked, outcomes = [], []
        for arguments in commands:
            number, ended = next(self._ids), Future[int]()
            self._waiting[number] = ended
            out = project.folder / f".out-{number}"
            asked.append({"id": number, "arguments": list(arguments), "out": str(out)})
            outcomes.append(_outcome(ended, out))
        request = {"folder": str(project.folder), "environment": project.environment(), "commands": asked}
        with self._lock:
            assert self.process.stdin is not None
            print(json.dumps(request), file=self.process.stdin, flush=True)
        return outcomes

    def race(self, project: Project, *commands: Sequence[str]) -> list[Outcome]:
        """Start commands at the same moment, and wait for all of them."""
        return [one.result(timeout=PATIENCE_SECONDS) for one in self.start(project, *commands)]

    def listen(self) -> None:
        """Take the answers, until there are no more."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).set_result(answer["code"])
        for ended in self._waiting.values():
            ended.set_exception(RuntimeError("the process that forks is gone"))


def _outcome(ended: "Future[int]", out: Path) -> "Future[Outcome]":
    outcome = Future[Outcome]()

    def read(code: "Future[int]") -> None:
        texts = [Path(f"{out}.{name}") for name in ("stdout", "stderr")]
        stdout, stderr = (text.read_text(errors="replace") for text in texts)
        for text in texts:
            text.unlink()
        outcome.set_result(Outcome(code=code.result(), stdout=stdout, stderr=stderr))

    ended.add_done_callback(read)
    return outcome


@contextmanager
def running_racer() -> Iterator[Racer]:
    """The process that forks, for a while."""
    command = [sys.executable, "-m", "tests.reliability.racer"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        racer = Racer(process)
        listener = threading.Thread(target=racer.listen)
        listener.start()
        try:
            yield racer
        finally:
            assert process.stdin is not None
            process.stdin.close()
            listener.join()


# The other side: the process that forks.


def serve() -> dict[str, Any]:
    """Fork what is asked for and tell how it ended; in the child, return what it shall be."""
    for name in _IMPORTED:
        importlib.import_module(name)
    googlesql: Any = sys.modules["lorchestra.stores.googlesql"]
    googlesql.translate("SELECT 1", dialect="duckdb")
    keep_loaded_modules()
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    children: dict[int, tuple[int, int]] = {}
    asked = True
    while asked or children:
        ready, _, _ = select.select([*([requests] if asked else []), *children], [], [])
        for descriptor in ready:
            if descriptor is not requests:
                number, child = children.pop(descriptor)
                os.close(descriptor)
                _answer(number, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                continue
            asked = bool(line := requests.readline())
            if asked:
                request = json.loads(line)
                gate, opened = os.pipe()
                for command in request["commands"]:
                    if (child := os.fork()) == 0:
                        os.close(opened)
                        os.read(gate, 1)
                        return {**request, **command}
                    children[os.pidfd_open(child)] = (command["id"], child)
                os.close(opened)
                os.close(gate)
    sys.exit(0)


def _answer(number: int, code: int) -> None:
    os.write(1, json.dumps({"id": number, "code": code}).encode() + b"\n")


def become(asked: dict[str, Any]) -> None:
    """In the child: be the command, with its folder, environment and outputs."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    for number, name in ((1, "stdout"), (2, "stderr")):
        file: IO[bytes] = Path(f"{asked['out']}.{name}").open("wb")  # noqa: SIM115 - it stays open
        os.dup2(file.fileno(), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    command: Any = importlib.import_module("lorchestra.cli")
    sys.argv = [str(COMMAND), *asked["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(command.main())


if __name__ == "__main__":
    become(serve())
