"""What every source is, and how sources are found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from lorchestra.errors import ConfigError
from lorchestra.model import (
    Checkpoint,
    Cursor,
    Finding,
    IdemKeyFn,
    Progress,
    Record,
    Rejection,
    Seen,
    Window,
)

ENTRY_POINT_GROUP = "lorchestra.sources"


class SourceOptions(BaseModel):
    """A source's own keys of a `[jobs.NAME]` table; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


#: What a source yields.
Item = Record | Rejection | Seen | Checkpoint


class StoredObjects(Protocol):
    """What the table has of this source already, for sources that need not fetch it again."""

    def known(self, external_ids: Sequence[str]) -> set[str]:
        """Which of these ids it has."""

    def payloads(self, external_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The objects of those of these ids that it has, as they are stored."""


class NothingStored:
    """An empty table."""

    def known(self, external_ids: Sequence[str]) -> set[str]:  # noqa: ARG002
        """None of them."""
        return set()

    def payloads(self, external_ids: Sequence[str]) -> Iterator[dict[str, Any]]:  # noqa: ARG002
        """None of them."""
        return iter(())


def _say_nothing(text: str) -> None:
    """Nobody is listening."""


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What a source is opened with, beside its options.

    Relative paths start from `base`. `environment` is that of the process over `.env`. `limit` is how many
    records will be read at most. `say` tells a person something that belongs into no event.
    """

    base: Path
    source_system: str = ""
    job_name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    limit: int | None = None
    stored: StoredObjects = field(default_factory=NothingStored, repr=False)
    say: Callable[[str], None] = field(default=_say_nothing, repr=False)


class Source(Protocol):
    """One place that records come from. It knows nothing of stores, and is read once."""

    def records(self, window: Window, cursor: Cursor | None) -> Iterator[Item]:
        """Yield the records of the window lazily, from the cursor on when there is one.

        Raises:
            SourceError: the subclass says whether trying again can help.
        """

    def next_cursor(self) -> Cursor | None:
        """Where the next run goes on; asked only after `records` was read to its end.

        After a window it must leave nothing out: where that cannot be known, it is the cursor that was given.
        """

    def progress(self) -> Progress:
        """How far `records` has come; may be asked at any time."""


@runtime_checkable
class Accounts(Protocol):
    """**Capability:** the source has something to say of its work in the event that ends an ingestion."""

    def telemetry(self) -> Mapping[str, Any]:
        """Small values by their names; may be asked at any time."""


@runtime_checkable
class Plans(Protocol):
    """**Capability:** what a run would fetch is known without fetching it."""

    def plan(self, window: Window, cursor: Cursor | None) -> Mapping[str, int]:
        """Counts for a dry run: `records_extracted` in all, of them `known` and `new`."""


@runtime_checkable
class Compares(Protocol):
    """**Capability:** what the source has is known without fetching it."""

    def compare(self, window: Window, before: datetime) -> Mapping[str, int]:
        """How many records of a window were there before a time, and how many of those the table has.

        Without a window: of all that the job is to keep. `records_extracted` in all, of them `known` and
        `new`, which the table has not.
        """


@runtime_checkable
class Refetches(Protocol):
    """**Capability:** single records can be asked for again, by the position of their rejection."""

    def again(self, positions: Sequence[str]) -> Iterator[Item]:
        """Yield the records at these positions; a position that is none of its own is passed over."""


@dataclass(frozen=True, kw_only=True)
class SourceType:
    """A source as it is registered under the entry point group `lorchestra.sources`.

    `open` takes the validated options and the context. `idem_key_fn` takes the source_system and gives the
    key function of `idem_keys`. A source that `resumes` gets the cursor of the newest run that has one; the
    others read everything each time. One that `refetches` gives single records again: its source is
    `Refetches`. `diagnose` examines what a job needs before it can run, such as its login.
    """

    summary: str
    object_type: str
    options: type[SourceOptions]
    open: Callable[[Any, SourceContext], Source]
    idem_key_fn: Callable[[str], IdemKeyFn]
    resumes: bool = False
    refetches: bool = False
    diagnose: Callable[[Any, SourceContext], list[Finding]] | None = None


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
