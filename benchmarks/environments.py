"""Contenders in environments of their own, so that none of them has to get along with the others."""

import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import FailedError, last_words

ROOT = Path(__file__).parent
_ENVIRONMENTS = ROOT.parent / ".venv" / "bench"


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment that has these; installed when it is not there yet.

    Raises:
        FailedError: they cannot be installed here.
    """
    folder = _ENVIRONMENTS / name
    ready, wanted = folder / "ready", "\n".join(requirements)
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise FailedError(f"cannot be installed: {last_words(done.stderr) or done.returncode}")
        ready.write_text(wanted, encoding="utf-8")
    return folder / "bin" / "python"


def plotting() -> Path:
    """The interpreter that draws: it has the dependency group `bench`.

    Raises:
        FailedError: it cannot be installed here.
    """
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    return environment("plots", project["dependency-groups"]["bench"])


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A program in `contenders/`, and what must be installed for it."""

    name: str
    script: str
    #: Nothing: it runs where lorchestra is installed.
    requirements: tuple[str, ...] = ()
    #: Whose version is told.
    package: str

    def python(self) -> Path:
        """The interpreter that has what it needs; installed when it is not there yet.

        Raises:
            FailedError: it cannot be installed here.
        """
        if not self.requirements:
            return Path(sys.executable)
        return environment(self.name, self.requirements)

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """What is typed to run it."""
        return [self.python(), ROOT / "contenders" / self.script, *arguments]

    def version(self) -> str:
        """The version that runs."""
        told = subprocess.run(
            [
                self.python(),
                "-c",
                f"from importlib.metadata import version; print(version('{self.package}'))",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return told.stdout.strip()


RAW = Contender(name="raw DuckDB", script="raw.py", package="duckdb")
OURS = Contender(name="lorchestra", script="with_lorchestra.py", package="lorchestra")
PEERS = (
    Contender(
        name="sqlite-utils",
        script="with_sqlite_utils.py",
        package="sqlite-utils",
        requirements=("sqlite-utils==4.2.1", "orjson"),
    ),
    Contender(
        name="dlt",
        script="with_dlt.py",
        package="dlt",
        requirements=("dlt[duckdb,parquet]==1.31.0", "orjson"),
    ),
    Contender(
        name="PyAirbyte",
        script="with_pyairbyte.py",
        package="airbyte",
        requirements=("airbyte==0.71.3", "orjson"),
    ),
    Contender(
        name="target-duckdb",
        script="with_target_duckdb.py",
        package="target-duckdb",
        requirements=("target-duckdb==0.8.0", "orjson"),
    ),
)
