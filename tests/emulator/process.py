"""The emulator as a process of its own."""

import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.emulator.environment import clean_environment, emulator_environment

_START_SECONDS = 60
_STOP_SECONDS = 5
_ATTEMPTS = 3
_LAUNCHER = Path(__file__).with_name("start.py")


@contextmanager
def running_emulator() -> Iterator[str]:
    """Start an empty emulator and give its endpoint; stop it at the end."""
    folder = emulator_environment()
    with tempfile.TemporaryFile() as log:
        for attempt in range(1, _ATTEMPTS + 1):
            process, port = _start(folder, log)
            try:
                if _answers(process, port):
                    yield f"http://127.0.0.1:{port}"
                    return
                # Another process may have taken the port between our look and the emulator's.
                if attempt == _ATTEMPTS:
                    log.seek(0)
                    output = log.read().decode(errors="replace")[-4000:]
                    raise RuntimeError(f"The emulator ended with {process.returncode}.\n{output}")
            finally:
                _stop(process)


def _start(folder: Path, log: IO[bytes]) -> tuple[subprocess.Popen[bytes], int]:
    port, grpc_port = _free_ports()
    command = ["start", "--ephemeral", "--log-level", "warning"]
    command += ["--rest-port", str(port), "--grpc-port", str(grpc_port)]
    process = subprocess.Popen(
        [folder / "venv" / "bin" / "python", _LAUNCHER, str(os.getpid()), *command],
        env=clean_environment(folder / "home"),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    return process, port


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the emulator answers; False when it ended before it did."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return True
        finally:
            connection.close()
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
