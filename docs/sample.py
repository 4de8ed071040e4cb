"""A copy of the sample project in a folder of its own, and the installed `lorchestra` in it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lorchestra.environment import environment

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("lorchestra")


@dataclass(frozen=True)
class Sample:
    """The copy: what a command does here touches nothing else."""

    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `lorchestra` with these arguments."""
        return subprocess.run(  # noqa: S603 - our own command
            [COMMAND, *arguments],
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )


def clean_environment() -> dict[str, str]:
    """The environment without settings of lorchestra's."""
    settings = {"EVENTS_BQ_DATASET", "EVENT_LOG_TABLE", "RAW_OBJECTS_TABLE", "TRACEPARENT"}
    return {
        name: value
        for name, value in environment().items()
        if name not in settings and not name.startswith("LORCHESTRA_")
    }


@contextmanager
def sample_project() -> Iterator[Sample]:
    """A copy that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "lorchestra.toml", folder)
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        yield Sample(folder)
