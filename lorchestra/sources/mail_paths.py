"""From the option `path` to the mailboxes it names."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lorchestra.errors import SourceUnreadableError
from lorchestra.sources.maildir_reader import is_maildir


def find_mailboxes(patterns: Sequence[str], base: Path, *, maildirs: bool) -> list[Path]:
    """The files (and Maildirs, where the source takes them) that the patterns name, sorted, each once.

    Patterns are relative to `base`; `~`, `*`, `?`, `[…]` and `**` are understood, and a name that exists as
    it stands is taken as it stands. What a pattern finds inside a Maildir is that Maildir's own.

    Raises:
        SourceUnreadableError: a pattern names nothing that can be read as a mailbox.
    """
    found: dict[Path, Path] = {}
    for pattern in patterns:
        matches = list(_matches(pattern, base, maildirs=maildirs))
        if not matches:
            raise SourceUnreadableError(
                "path: nothing matches it",
                place=f"{pattern!r} in {base}",
                next_step="Correct `path`; it is relative to the folder of the configuration file.",
            )
        found.update((match.resolve(), match) for match in matches)
    within = {directory for directory in found if directory.is_dir()}
    return sorted(path for real, path in found.items() if within.isdisjoint(real.parents))


def _matches(pattern: str, base: Path, *, maildirs: bool) -> Iterator[Path]:
    expanded = os.path.expanduser(pattern)  # noqa: PTH111 (Path.expanduser raises where there is no home)
    literal = base / expanded
    if literal.exists():
        if literal.is_dir() and not (maildirs and is_maildir(literal)):
            raise _not_a_mailbox(pattern, maildirs=maildirs)
        yield literal
        return
    # Not Path.glob: it takes no absolute pattern.
    for match in glob.iglob(expanded, root_dir=base, recursive=True, include_hidden=True):  # noqa: PTH207
        path = base / match
        if path.is_file() or (maildirs and is_maildir(path)):
            yield path


def _not_a_mailbox(pattern: str, *, maildirs: bool) -> SourceUnreadableError:
    if maildirs:
        return SourceUnreadableError(
            "path: is a folder, but not a Maildir: it has no `cur` and `new`",
            place=repr(pattern),
            next_step="Name the mbox files in it, for example with `/*.mbox`, or the Maildir itself.",
        )
    return SourceUnreadableError(
        "path: is a folder; expected the mbox file of the export",
        place=repr(pattern),
        next_step="Name the file, for example `Takeout/Mail/*.mbox`.",
    )
