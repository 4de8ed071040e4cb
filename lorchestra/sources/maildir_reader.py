"""Reading a Maildir (https://cr.yp.to/proto/maildir.html) and its Maildir++ subfolders, in sorted order."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lorchestra.model import Rejection
from lorchestra.sources.stored_message import HEAD_LIMIT, MIB, WHOLE_MESSAGE_LIMIT, StoredMessage

_FILED_AT = re.compile(r"(\d{9,11})\.")
_FLAGS = re.compile(r"[:;!]2,([A-Za-z]*)$")


def is_maildir(path: Path) -> bool:
    return (path / "cur").is_dir() and (path / "new").is_dir()


def maildir_size(path: Path) -> int:
    """The bytes of all messages."""
    return sum(entry.stat().st_size for folder in _folders(path) for entry in _entries(folder))


def read_maildir(path: Path, *, name: str) -> Iterator[StoredMessage | Rejection]:
    """Yield each message of `cur` and `new` as its file's bytes, untouched; `tmp` holds none yet.

    A message that a mail program renames meanwhile is found under its new name; one that it deletes is gone.
    One whose file cannot be read is a rejection, `unreadable_file`.
    The names of one folder are held in memory, not its messages.
    """
    for folder in _folders(path):
        for file_name in sorted(entry.name for entry in _entries(folder)):
            file = _present(folder / file_name)
            if file is not None:
                position = f"{name}/{file.relative_to(path).as_posix()}"
                try:
                    message: StoredMessage | Rejection = _stored(file, position)
                except OSError:
                    message = Rejection(reason="unreadable_file", position=position)
                yield message


def _folders(path: Path) -> Iterator[Path]:
    subfolders = sorted(entry for entry in path.iterdir() if entry.name.startswith(".") and is_maildir(entry))
    for maildir in (path, *subfolders):
        yield maildir / "cur"
        yield maildir / "new"


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith(".") and _is_file(entry))


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # links that lead in a circle
        return False


def _present(file: Path) -> Path | None:
    """The file, or what it is called since a mail program changed its flags or took it from new to cur."""
    if file.exists():
        return file
    unique = re.split(r"[:;!]2,", file.name)[0]
    for entry in _entries(file.parent.parent / "cur"):
        if entry.name.startswith(unique):
            return Path(entry.path)
    return None


def _stored(file: Path, position: str) -> StoredMessage:
    filed_at = _FILED_AT.match(file.name)
    flags = _FLAGS.search(file.name)
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        if status.st_size > WHOLE_MESSAGE_LIMIT:
            content = stream.read(HEAD_LIMIT)
            size, digest = _measure(file)
        else:
            content = stream.read()
            size, digest = len(content), None
    return StoredMessage(
        content=content,
        size=size,
        digest=digest,
        position=position,
        filed_at=int(filed_at[1]) * 1000 if filed_at else int(status.st_mtime * 1000),
        flags=flags[1] if flags else "",
    )


def _measure(file: Path) -> tuple[int, str]:
    sha256, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while chunk := stream.read(MIB):
            sha256.update(chunk)
            size += len(chunk)
    return size, sha256.hexdigest()
