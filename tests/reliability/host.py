"""Starts the fork server, and has it run commands."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.project import Outcome

ROOT = Path(__file__).resolve().parents[2]

# As root a namespace is free; anybody else becomes root in one of their own.
_NAMESPACES = (("unshare", "-m"), ("unshare", "-Urm"))


@dataclass
class Host:
    """Where commands run that are killed, or whose disks fill up."""

    process: "subprocess.Popen[bytes]"

    def mount(self, folder: Path, size: int) -> None:
        """A small disk at the folder, which is made."""
        self._ask({"do": "mount", "folder": str(folder), "size": size})

    def make_folder(self, folder: Path) -> None:
        """A folder on such a disk."""
        self._ask({"do": "make_folder", "folder": str(folder)})

    def mend(self, disks: Sequence[Path]) -> None:
        """Disks as they were before something failed: with room, writable, with their folders."""
        self._ask({"do": "mend", "disks": [str(disk) for disk in disks]})

    def command(
        self,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str],
        installed: bool = False,
        fail: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Run `lorchestra`; `fail` does what the command asks for at the point where it is disturbed."""
        request = {
            "do": "installed" if installed else "command",
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "stdout": str(folder / "stdout"),
            "stderr": str(folder / "stderr"),
        }
        code = self._ask(request, fail)["ended"]
        return Outcome(
            code=code, stdout=(folder / "stdout").read_text(), stderr=(folder / "stderr").read_text()
        )

    def facts(self, what: str, *, folder: Path, environment: Mapping[str, str], **of: Any) -> Any:
        """What a function of `tests.reliability.facts` finds, in a process of its own."""
        request = {"do": "facts", "what": what, "of": of, "folder": str(folder)}
        outputs = {"stdout": str(folder / "facts"), "stderr": str(folder / "facts-stderr")}
        ended = self._ask({**request, **outputs, "environment": dict(environment)})["ended"]
        assert ended == 0, (folder / "facts-stderr").read_text()
        return json.loads((folder / "facts").read_text())

    def _ask(self, request: dict[str, Any], fail: Callable[[str], None] | None = None) -> dict[str, Any]:
        self._send(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._heard()
            if "asked" not in answer:
                return answer
            assert fail is not None, answer
            fail(answer["asked"])
            self._send(b"\n")

    def _send(self, text: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the fork server has died"
        heard = json.loads(line)
        assert isinstance(heard, dict)
        return heard


@contextmanager
def running_host() -> Iterator[Host]:
    """A host, until the end."""
    prefix = _namespace()
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.reliability.fork_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    try:
        host = Host(process)
        ready = host._heard()
        assert len(ready["threads"]) == 1, f"a process with threads cannot be forked: {ready}"
        yield host
    finally:
        process.communicate(timeout=30)


def _namespace() -> Sequence[str]:
    tried = []
    for prefix in _NAMESPACES:
        probe = [*prefix, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return prefix
        tried.append(f"{' '.join(probe)}: {done.stderr.strip()}")
    raise RuntimeError(
        "These tests mount small file systems, to fill them up and to make them read-only, in a mount "
        "namespace of their own; this machine lets neither root nor a user do it:\n" + "\n".join(tried)
    )
