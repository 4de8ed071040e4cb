"""Whether files that hold data are for their owner alone."""

import stat
from collections.abc import Iterator
from pathlib import Path

from lorchestra.model import Finding

_OPEN_TO_OTHERS = 0o077


def open_to_others(check: str, *paths: Path) -> Iterator[Finding]:
    """A finding for each file or folder that is there and that others than its owner may use."""
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & _OPEN_TO_OTHERS:
            private = "700" if path.is_dir() else "600"
            yield Finding(
                check=check,
                ok=False,
                found=f"open to others: {path.name} has mode {mode:o}",
                fix=f"chmod {private} '{path}'",
            )
