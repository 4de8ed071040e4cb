"""A process that has imported what others wrote, and becomes the command in a child, again and again.

Most of what a short command takes is loading DuckDB, pydantic and the like, and taking them apart at the end.
Here the one is done once and the other never. Our own code is loaded anew by each child, which is a process
like any other. `tests.commands` starts and asks it: a connection to the socket is a command. It brings the
three standard files and a line of JSON, and ends with the exit code; the child dies where the asker hangs up.
"""

import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.forking import keep_loaded_modules

_COMMAND = Path(sys.executable).with_name("lorchestra")

# Nothing of ours, and nothing that starts a thread. A package that loads its parts late is named by these.
_IMPORTED = (
    "_strptime",
    "click",
    "dotenv",
    "duckdb",
    "email.policy",
    "encodings.ascii",
    "encodings.idna",
    "encodings.utf_8_sig",
    "filelock",
    "glob",
    "google.auth.impersonated_credentials",
    "google.auth.transport.requests",
    "google.cloud.bigquery",
    "google_auth_oauthlib.flow",
    "keyring.backends.SecretService",
    "keyring.backends.chainer",
    "keyring.backends.kwallet",
    "keyring.backends.libsecret",
    "keyrings.alt.file",
    "netrc",
    "orjson",
    "pyarrow.compute",
    "pydantic.fields",
    "pydantic.functional_validators",
    "pydantic.main",
    "pydantic.plugin._loader",
    "pydantic.plugin._schema_validator",
    "pydantic.types",
    "rich.console",
    "rich.progress",
    "rich.table",
    "sqlglot.dialects.bigquery",
    "sqlglot.dialects.duckdb",
    "tomllib",
    "tzdata.zoneinfo",
    "tzlocal",
    "uuid_utils.compat",
    "xxhash",
)


def serve(listener: socket.socket) -> dict[str, Any]:
    """Start commands until the listener's owner is gone; in a child, return its request."""
    commands: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(sys.stdin, select.POLLIN)
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                sys.exit(0)
            elif number == listener.fileno():
                connection, _ = listener.accept()
                _, files, _, _ = socket.recv_fds(connection, 1, 3)
                with connection.makefile("rb") as lines:
                    request = json.loads(lines.readline())
                if (child := os.fork()) == 0:
                    return {**request, "files": files}
                for file in files:
                    os.close(file)
                ended = os.pidfd_open(child)
                commands[ended] = child, connection
                poll.register(ended, select.POLLIN)
                poll.register(connection, select.POLLIN)
            elif number in commands:
                child, connection = commands.pop(number)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                poll.unregister(number)
                os.close(number)
                with suppress(KeyError):
                    poll.unregister(connection)
                with connection, suppress(OSError):
                    connection.sendall(str(code).encode())
            else:
                poll.unregister(number)
                for child, connection in commands.values():
                    if connection.fileno() == number:
                        os.kill(child, signal.SIGKILL)


def become(request: dict[str, Any]) -> None:
    """In the child: be the command, with its folder, environment and standard files."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    for number, file in enumerate(request["files"]):
        os.dup2(file, number)
        os.close(file)
    # It was not started by `python -m`, for all that click can see.
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path[0] = str(_COMMAND.parent)
    sys.argv = [str(_COMMAND), *request["arguments"]]
    command: Any = importlib.import_module("lorchestra.__main__")
    command.main()


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    assert not [name for name in sys.modules if name.split(".")[0] == "lorchestra"]
    keep_loaded_modules()
    with socket.socket(fileno=int(sys.argv[1])) as waiting:
        asked = serve(waiting)
    become(asked)
