"""Commands to their end, in processes of their own, without loading for each what others wrote."""

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("lorchestra")
_PATIENCE_SECONDS = 60.0
# What Python reads before any of our code runs; keyring reads its own when it is used.
_READ_AT_START = ("PYTHON", "LC_", "LANG")
_READ_LATER = "PYTHON_KEYRING_BACKEND"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command said, and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output, which is one JSON array."""
        rows = json.loads(self.stdout)
        assert isinstance(rows, list)
        return rows

    @property
    def words(self) -> str:
        """All that was said, for a look at what must not be in it."""
        return self.stdout + self.stderr


def run_command(
    arguments: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], stdin: bytes = b""
) -> Outcome:
    """Run `lorchestra` to its end; the installed one where the environment is one for Python itself."""
    texts = [str(argument) for argument in arguments]
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        given.write(stdin)
        given.seek(0)
        files = [given.fileno(), stdout.fileno(), stderr.fileno()]
        if _of_python(environment) == _of_python(_environment()):
            request = {"arguments": texts, "folder": str(folder), "environment": dict(environment)}
            code = _ask(json.dumps(request).encode(), files)
        else:
            code = subprocess.run(
                [COMMAND, *texts],
                cwd=folder,
                env=environment,
                stdin=given,
                stdout=stdout,
                stderr=stderr,
                timeout=_PATIENCE_SECONDS,
                check=False,
            ).returncode
        for file in (stdout, stderr):
            file.seek(0)
        return Outcome(
            code=code, stdout=stdout.read().decode(), stderr=stderr.read().decode(errors="replace")
        )


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) and name != _READ_LATER
    }


def _environment() -> dict[str, str]:
    """That of this process, without modules that only it shall find."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _ask(request: bytes, files: list[int]) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        connection.connect(_server())
        socket.send_fds(connection, [b"\n"], files)
        connection.sendall(request + b"\n")
        answer = connection.recv(16)
    assert answer, "the command server has died"
    return int(answer)


@cache
def _server() -> bytes:
    """The address of this process's server. It ends with this process, or is told so."""
    listener = socket.socket(socket.AF_UNIX)
    # A name in no folder, free again when the server is gone.
    listener.bind("")
    listener.listen(64)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.command_server", str(listener.fileno())],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        env=_environment(),
    )
    address: bytes = listener.getsockname()
    listener.close()
    atexit.register(process.communicate)
    return address
