"""Files and folders for their owner alone, and files that are replaced whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO


def make_private_folder(folder: Path) -> None:
    """The folder and those above it that are missing, for their owner alone."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path, mode: str) -> IO[bytes]:
    """Open a file; one that is made by it is its owner's alone."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    return open(path, mode, opener=opener)


def replace_file(path: Path, content: Iterable[bytes], *, new: Path | None = None) -> None:
    """Write a file anew. When this returns it is on the disk; until then, whatever happens, the old one is.

    `new` lies in the same folder and is where the content is first, by default the path with the suffix
    `.new`. Two that replace a file at the same time need one each, or a lock.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    new = new or path.with_suffix(".new")
    try:
        with open_private(new, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring to the disk that a file was renamed: it must not be missing after a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
