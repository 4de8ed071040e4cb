"""What every source is, and how sources are found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from lorchestra.errors import ConfigError
from lorchestra.model import Cursor, IdemKeyFn, Progress, Record, Rejection, Window

ENTRY_POINT_GROUP = "lorchestra.sources"


class SourceOptions(BaseModel):
    """A source's own keys of a `[jobs.NAME]` table; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Protocol):
    """One place that records come from. It knows nothing of stores, and is read once."""

    def records(self, window: Window, cursor: Cursor | None) -> Iterator[Record | Rejection]:
        """Yield the records of the window lazily, from the cursor on when there is one.

        Raises:
            SourceError: the subclass says whether trying again can help.
        """

    def next_cursor(self) -> Cursor | None:
        """Where the next run goes on; asked only after `records` was read to its end."""

    def progress(self) -> Progress:
        """How far `records` has come; may be asked at any time."""


@dataclass(frozen=True, kw_only=True)
class SourceType:
    """A source as it is registered under the entry point group `lorchestra.sources`.

    `open` takes the validated options and the folder that relative paths are relative to.
    `idem_key_fn` takes the source_system and gives the key function of `idem_keys`. A source that `resumes`
    gets the cursor of the newest completed run; the others read everything each time.
    """

    summary: str
    object_type: str
    options: type[SourceOptions]
    open: Callable[[Any, Path], Source]
    idem_key_fn: Callable[[str], IdemKeyFn]
    resumes: bool = False


def source_names() -> list[str]:
    """The names usable as `source = "…"`, sorted."""
    return sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})


def source_type(name: str) -> SourceType:
    """The registered source of this name.

    Raises:
        ConfigError: no installed package registers it; the message lists those that exist.
    """
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        loaded = point.load()
        if isinstance(loaded, SourceType):
            return loaded
    known = ", ".join(source_names())
    raise ConfigError(f"source: no installed package provides this source; known: {known}")
