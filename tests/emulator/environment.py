"""The virtual environment that the emulator runs in, made once per machine and version.

`python -m tests.emulator.environment` makes it ahead of the tests, and prints where it is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_IMPORT_SPATIAL = (
    "import duckdb, duckdb_extensions; duckdb_extensions.import_extension('spatial', con=duckdb.connect())"
)
_INSTALL_SECONDS = 1800


def emulator_environment() -> Path:
    """The folder that holds the emulator's `venv` and its `home`; made when it is not there.

    Processes that ask at the same time wait for the one that makes it. A folder without `.ready` is what
    an interrupted installation left, and is made again.
    """
    folder = cache_folder() / f"bqemulator-{_digest()}"
    ready = folder / ".ready"
    if not ready.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not ready.exists():
                _make(folder)
                ready.touch()
    return folder


def clean_environment(home: Path) -> dict[str, str]:
    """The environment variables for the emulator's own processes."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {
        "HOME": str(home)
    }


def cache_folder() -> Path:
    """Where the environments of the tests' servers are kept, each in a folder of its own."""
    set_by_user = os.environ.get("XDG_CACHE_HOME")
    return (Path(set_by_user) if set_by_user else Path.home() / ".cache") / "lorchestra"


def _digest() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]


def _make(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    home = folder / "home"
    home.mkdir(parents=True)
    python = install(folder / "venv", REQUIREMENTS)
    run(str(python), "-c", _IMPORT_SPATIAL, env=clean_environment(home))


def install(venv: Path, requirements: Path) -> Path:
    """Make a virtual environment with just these packages; its Python.

    By uv, or else by pip, which takes ten times as long, but may still fetch where uv cannot.
    """
    python = venv / "bin" / "python"
    wanted = ("--quiet", "--no-deps", "-r", str(requirements))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if uv := shutil.which("uv", path=path):
        run(sys.executable, "-m", "venv", "--without-pip", str(venv))
        with suppress(RuntimeError):
            run(uv, "pip", "install", "--python", str(python), *wanted)
            return python
    run(sys.executable, "-m", "venv", str(venv))
    run(str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *wanted)
    return python


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a command of an installation; what it wrote is told only when it fails."""
    done = subprocess.run(
        command,
        check=False,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"The emulator's environment cannot be made: {' '.join(command)} exited with "
            f"{done.returncode}.\n{done.stderr or done.stdout}"
        )


if __name__ == "__main__":
    sys.stdout.write(f"{emulator_environment()}\n")
