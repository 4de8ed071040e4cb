"""Words that stand for data and secrets, what commands wrote, and the search for the one in the other."""

import base64
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from tests.project import Project

#: In every canary, and nowhere else.
MARK = "kanari4711"

# Runs commands one after the other in one process, and notes what it starts and which files it opens.
_DRIVER = """
import json, os, sys
from contextlib import suppress
from pathlib import Path
plan = json.load(open(sys.argv[1]))
noted = open(sys.argv[1] + ".noted", "a", encoding="utf-8", errors="backslashreplace")
def look():
    for path in [*Path(".").glob("*.duckdb*"), *Path(".").glob(".lorchestra/**/*")]:
        with suppress(FileNotFoundError):
            if path.lstat().st_mode & 0o077:
                noted.write(f"open to others: {path}\\n")
def note(event, arguments):
    if event == "lorchestra.step":
        look()
    if event in ("open", "os.mkdir", "os.rename", "subprocess.Popen", "os.exec", "os.posix_spawn"):
        noted.write(f"{event} {arguments[:2]!r}\\n")
sys.addaudithook(note)
os.umask(0)
from lorchestra.cli import main
codes = []
for arguments in plan:
    try:
        main(arguments, prog_name="lorchestra")
    except SystemExit as end:
        codes.append(end.code)
    sys.stdout.flush()
json.dump(codes, open(sys.argv[1] + ".codes", "w"))
"""
#: Files of a project that are read, not written.
_INPUTS = frozenset({"lorchestra.toml", ".env", "client.json", "login.json", "trap_jobs.py", "trap_jobs.pyc"})
_ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Canaries:
    """Gives out canaries, and knows where each was put."""

    places: list[str] = field(default_factory=list)

    def __call__(self, place: str) -> str:
        """A canary for this place."""
        self.places.append(place)
        return f"{MARK}n{len(self.places) - 1}n"

    def found(self, data: bytes, *, secrets: Sequence[str] = ()) -> set[str]:
        """The places whose canaries are in the data, in whatever form; and those of `secrets` that are."""
        forms = list(_forms(data))
        places = {
            self.places[int(number)]
            for form in forms
            for number in re.findall(rb"%bn(\d+)n" % MARK.encode(), form, re.IGNORECASE)
        }
        hidden = [encoded for encoded in _encoded(MARK) if any(encoded in form for form in forms)]
        return (
            places
            | {f"encoded as {one!r}" for one in hidden}
            | {
                f"secret {secret[:4]}…"
                for secret in secrets
                if any(secret.encode() in form for form in forms)
            }
        )


def _forms(data: bytes) -> Iterator[bytes]:
    """As it is, without the breaks of lines, of UTF-16, and without percent signs."""
    yield data
    yield re.sub(rb"=?\s+|\\[rn]", b"", _ANSI.sub(b"", data))
    yield data.replace(b"\x00", b"")
    yield unquote_to_bytes(data)


def _encoded(text: str) -> Iterator[bytes]:
    yield text.encode().hex().encode()
    for before in range(3):
        # The first and the last characters also depend on what stands beside the text.
        encoded = base64.b64encode(b"\0" * before + text.encode())
        yield encoded[-(-before * 8 // 6) : len(encoded) - 4]


@dataclass(frozen=True)
class Session:
    """What a process said that ran several commands, how each ended, and what it opened and started.

    `noted` also says which files were open to others at a step of a run; the umask was 0 at first.
    """

    said: bytes
    codes: list[int]
    noted: bytes


def session(
    project: Project,
    *commands: Sequence[str],
    terminal: bool = False,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Session:
    """Run commands in one process, with all it says on a terminal or in pipes."""
    plan = project.folder.parent / "plan.json"
    plan.write_text(json.dumps(commands), encoding="utf-8")
    noted, codes = Path(f"{plan}.noted"), Path(f"{plan}.codes")
    noted.unlink(missing_ok=True)
    arguments = [sys.executable, "-c", _DRIVER, str(plan)]
    where = {"cwd": project.folder, "env": project.environment(env)}
    if terminal:
        said = _on_a_terminal(arguments, where)
    else:
        done = subprocess.run(
            arguments,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
            **where,  # type: ignore[call-overload]
        )
        said = done.stdout
    return Session(said, json.loads(codes.read_text()), noted.read_bytes())


def _on_a_terminal(arguments: Sequence[str], where: Mapping[str, object]) -> bytes:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, **where)  # type: ignore[call-overload]
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65_536):
            said += piece
    except OSError:
        pass  # Nobody holds the other end any more.
    os.close(ours)
    process.wait(60)
    return said


def files_below(*folders: Path) -> dict[str, bytes]:
    """The content of every file."""
    return {
        str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    }


def clean(canary: Canaries, project: Project, *sessions: Session, secrets: tuple[str, ...] = ()) -> None:
    """No canary in what was said, started, opened, or left in any file or in the event log.

    Nor was a file that holds data open to others at any step of a run.
    """
    for one in sessions:
        assert canary.found(one.said, secrets=secrets) == set(), one.said.decode(errors="replace")
        assert canary.found(one.noted, secrets=secrets) == set()
        assert b"Traceback" not in one.said
        assert b"open to others" not in one.noted
    for path, content in files_below(
        *(project.folder.parent / name for name in ("project", "home", "tmp"))
    ).items():
        assert canary.found(path.encode()) == set(), path
        inside = Path(path).relative_to(project.folder.parent).parts
        is_mail = inside[-1].endswith(".mbox")
        holds_data = "segments" in inside or "rejects" in inside or "logins" in inside
        is_input = is_mail or inside[-1] in _INPUTS or "__pycache__" in inside
        if not (holds_data or is_input or ".duckdb" in inside[-1]):
            assert canary.found(content, secrets=secrets) == set(), path
    for table in ("event_log", "job_runs"):
        rows = json.dumps(project.table(f"SELECT * FROM `events_dev.{table}`"), default=str).encode()
        assert len(rows) > 1000
        assert canary.found(rows, secrets=secrets) == set(), table
