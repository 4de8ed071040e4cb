"""The Gmail server as a process of its own."""

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.emulator.environment import clean_environment
from tests.gmail.environment import gmail_environment

_PRELOADED = Path(__file__).with_name("loopback.cjs")
_START_SECONDS = 60
_STOP_SECONDS = 5
# On Linux the server asks to be killed with its parent, so that killed tests leave none behind.
_LAUNCHER = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def running_gmail(seed: Mapping[str, Any]) -> Iterator[str]:
    """Start a server that holds what `seed` says, and give its endpoint; stop it at the end."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as log:
        seed_file = Path(home) / "seed.json"
        seed_file.write_text(json.dumps(seed), encoding="ascii")
        process, told = _start(seed_file, log)
        try:
            port = _port(told)
            if not port:
                process.wait(_START_SECONDS)
                log.seek(0)
                output = log.read().decode(errors="replace")[-4000:]
                raise RuntimeError(f"The Gmail server ended with {process.returncode}.\n{output}")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.close(told)
            _stop(process)


def _start(seed_file: Path, log: IO[bytes]) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and a pipe that tells its port when it listens."""
    environment = gmail_environment()
    told, tells = os.pipe()
    command = [str(environment.node), "-r", str(_PRELOADED), str(environment.emulate), "start"]
    command += ["-s", "google", "--seed", str(seed_file)]
    try:
        process = subprocess.Popen(
            [str(environment.python), "-I", "-c", _LAUNCHER, str(os.getpid()), *command],
            env=_variables(seed_file.parent) | {"LISTENING_FD": str(tells)},
            cwd=seed_file.parent,
            pass_fds=(tells,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    except BaseException:
        os.close(told)
        raise
    finally:
        os.close(tells)
    return process, told


def _variables(home: Path) -> dict[str, str]:
    # In a query, Google's days begin at midnight in California, the server's where it thinks it is.
    kept = {name: value for name, value in clean_environment(home).items() if not name.startswith("NODE_")}
    return kept | {"TZ": "America/Los_Angeles"}


def _port(told: int) -> str:
    """Wait until the server listens; empty when it ended before it did."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([told], [], [], _START_SECONDS)[0]:
            raise RuntimeError(f"The Gmail server does not listen after {_START_SECONDS} s.")
        piece = os.read(told, 64)
        if not piece:
            return ""
        line += piece
    return line.decode().strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
