"""A command that is started by a process which has loaded what others wrote is the installed command."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.commands import COMMAND, Outcome, run_command
from tests.project import JOB, Project, new_project

# Ids of runs and times are different each time.
_DIGITS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def installed(arguments: tuple[str, ...], project: Project, stdin: bytes) -> Outcome:
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=project.folder,
        env=project.environment(),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Outcome(code=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode())


def by_the_server(arguments: tuple[str, ...], project: Project, stdin: bytes) -> Outcome:
    return run_command(arguments, folder=project.folder, environment=project.environment(), stdin=stdin)


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (("--help",), b"", 0),
        (("run", "nothing"), b"", 2),
        (("run", JOB, "--json"), b"", 0),
        (("query", "-"), b"SELECT 1 AS one", 1),
        (("query", "-"), b"\xff", 2),
        (("jobs", "list"), b"", 0),
    ],
)
def test_it_says_and_ends_as_the_installed_one(
    tmp_path: Path, arguments: tuple[str, ...], stdin: bytes, code: int
) -> None:
    said = []
    for start in (installed, by_the_server):
        folder = tmp_path / start.__name__
        folder.mkdir()
        outcome = start(arguments, new_project(folder), stdin)
        assert outcome.code == code
        said.append(_DIGITS.sub("0", outcome.words.replace(str(folder), "")))
    assert said[0] == said[1]
