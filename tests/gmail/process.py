"""The Gmail server: one process for all mailboxes of a test process, as its start takes long."""

import atexit
import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

from tests.emulator.environment import clean_environment
from tests.gmail.environment import gmail_environment

_HOST = Path(__file__).with_name("host.cjs")
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
    host = _host()
    port = host.open(seed)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        host.ask({"close": port})


class _Host:
    """The process, a pipe that tells the port of each server when it listens, and what it wrote."""

    def __init__(self, home: Path, log: IO[bytes]) -> None:
        environment = gmail_environment()
        self._home, self._log, self._lock = home, log, Lock()
        self._told, tells = os.pipe()
        command = [str(environment.node), str(_HOST), str(environment.emulate)]
        self._process = subprocess.Popen(
            [str(environment.python), "-I", "-c", _LAUNCHER, str(os.getpid()), *command],
            env=_variables(home) | {"LISTENING_FD": str(tells)},
            cwd=home,
            pass_fds=(tells,),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        os.close(tells)

    def open(self, seed: Mapping[str, Any]) -> int:
        """The port of a new server."""
        with self._lock:
            held = self._home / "seed.json"
            held.write_text(json.dumps(seed), encoding="ascii")
            self.ask({"open": str(held)})
            port = self._port()
            held.unlink()
        return port

    def ask(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def stop(self) -> None:
        """Without standard input it ends."""
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _port(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._told], [], [], _START_SECONDS)[0]:
                raise RuntimeError(f"The Gmail server does not listen after {_START_SECONDS} s.")
            piece = os.read(self._told, 64)
            if not piece:
                raise self._ended()
            line += piece
        return int(line)

    def _ended(self) -> RuntimeError:
        self._process.wait(_START_SECONDS)
        self._log.seek(0)
        output = self._log.read().decode(errors="replace")[-4000:]
        return RuntimeError(f"The Gmail server ended with {self._process.returncode}.\n{output}")


@cache
def _host() -> _Host:
    """The host of this process, which ends with it."""
    home = tempfile.TemporaryDirectory()
    host = _Host(Path(home.name), tempfile.TemporaryFile())  # noqa: SIM115 - as long as the process
    atexit.register(home.cleanup)
    atexit.register(host.stop)
    return host


def _variables(home: Path) -> dict[str, str]:
    # In a query, Google's days begin at midnight in California, the server's where it thinks it is.
    kept = {name: value for name, value in clean_environment(home).items() if not name.startswith("NODE_")}
    return kept | {"TZ": "America/Los_Angeles"}
