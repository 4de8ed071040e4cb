"""A process that has imported what a command needs, and becomes that command in a child, again and again.

So a command costs milliseconds and is a process all the same, which can be killed. It runs in a mount
namespace of its own: `python -m tests.reliability.fork_server` is started by `tests.reliability.host`.

A request is a line of JSON on standard input, an answer one on standard output.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

from tests.forking import keep_loaded_modules

SITE = Path(__file__).with_name("site")
sys.path.insert(0, str(SITE))

import crash_hook  # noqa: E402

PATIENCE_SECONDS = 60.0

# All that the commands import on their way; nothing of it starts a thread or opens a store.
_IMPORTED = (
    "lorchestra.cli",
    "lorchestra.config",
    "lorchestra.interruption",
    "lorchestra.jobs.dry_run",
    "lorchestra.jobs.ingest",
    "lorchestra.jobs.registry",
    "lorchestra.outcome",
    "lorchestra.runs",
    "lorchestra.sources.takeout",
    "lorchestra.stores.bigquery",
    "lorchestra.stores.duckdb",
    "lorchestra.terminal",
    "lorchestra.timespan",
    "pyarrow.compute",
    "tests.reliability.facts",
    "tzdata.zoneinfo",
    "tzlocal",
    "encodings.idna",
)
_COMMAND = Path(sys.executable).with_name("lorchestra")


def serve() -> dict[str, Any]:
    """Answer requests; in the child that shall become a command, return its request."""
    for name in _IMPORTED:
        importlib.import_module(name)
    # What the first translation of a query takes is taken here, once.
    googlesql, queries, model = (
        importlib.import_module(f"lorchestra.{name}") for name in ("stores.googlesql", "queries", "model")
    )
    googlesql.translate(queries.internal_query("run_events", model.TableNames()), dialect="duckdb")
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    keep_loaded_modules()
    # The allocator of pyarrow knows how to be forked.
    _answer({"ready": os.getpid(), "threads": [name for name in names if not name.startswith("jemalloc")]})
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    while line := requests.readline():
        request = json.loads(line)
        match request["do"]:
            case "mount":
                _mount(Path(request["folder"]), request["size"])
            case "make_folder":
                Path(request["folder"]).mkdir(mode=0o700)
            case "mend":
                _mend([Path(disk) for disk in request["disks"]])
            case _:
                if (child := os.fork()) == 0:
                    return dict(request)
                _answer({"ended": _wait(child)})
                continue
        _answer({"done": True})
    sys.exit(0)


def become(request: dict[str, Any]) -> None:
    """In the child: be the command, with its folder, environment and outputs."""
    asks, hears = os.dup(1), os.dup(0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"], CRASH_CHANNEL=f"{asks},{hears}")
    for number, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        file = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    if request["do"] == "installed":
        os.environ["PYTHONPATH"] = str(SITE)
        for number in (asks, hears):
            os.set_inheritable(number, True)
        os.execv(_COMMAND, [str(_COMMAND), *request["arguments"]])
    if request["do"] == "facts":
        facts: Any = importlib.import_module("tests.reliability.facts")
        sys.stdout.write(json.dumps(getattr(facts, request["what"])(**request["of"])))
        return
    crash_hook.install()
    command: Any = importlib.import_module("lorchestra.cli")
    sys.argv = [str(_COMMAND), *request["arguments"]]
    sys.exit(command.main())


def _answer(content: dict[str, Any]) -> None:
    os.write(1, json.dumps(content).encode() + b"\n")


def _wait(child: int) -> int:
    """The exit code of the child, negative for the signal that killed it, as `subprocess` has it."""
    descriptor = os.pidfd_open(child)
    try:
        if not select.select([descriptor], [], [], PATIENCE_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _mount(folder: Path, size: int) -> None:
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, f"size={size},mode=700".encode()):
        raise OSError(ctypes.get_errno(), "a small file system cannot be mounted", str(folder))


def _mend(disks: list[Path]) -> None:
    """Give back the space, the rights and the folders that failures took."""
    for disk in disks:
        crash_hook.remount(str(disk), 0)
        (disk / crash_hook.FILLER).unlink(missing_ok=True)
        for away in disk.glob(f"*{crash_hook.AWAY}"):
            away.rename(away.with_name(away.name.removesuffix(crash_hook.AWAY)))


if __name__ == "__main__":
    become(serve())
