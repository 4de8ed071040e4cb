"""Where a Gmail job goes on: up to which change its rows are true, and how far back they reach."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lorchestra.errors import SourceUnreadableError
from lorchestra.model import Cursor, Window


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What of a mailbox is wanted: everything that `selection` names, from `since` on."""

    since: datetime | None
    #: A digest of the job's search, labels and the like; another one is another piece of the mailbox.
    selection: str

    @property
    def window(self) -> Window:
        """From `since` on."""
        return Window(since=self.since)

    def covers(self, other: "Reach") -> bool:
        """Whether nothing of the other is missing in this."""
        if self.selection != other.selection:
            return False
        return self.since is None or (other.since is not None and self.since <= other.since)


@dataclass(frozen=True, kw_only=True)
class GmailCursor:
    """The rows of the mailbox are as of `history_id`, at least. `synced_at` is when that was the newest.

    `reached` is the piece of the mailbox of which every message is there; None while there is none yet.
    `stale_since` is set where changes of messages that came since then may have been missed.
    `quota` is the name of the limits that were found to be in force.
    """

    history_id: str
    synced_at: datetime
    reached: Reach | None = None
    stale_since: datetime | None = None
    quota: str | None = None

    def moved_to(self, history_id: str, *, now: datetime) -> "GmailCursor":
        """The rows are as of a later change."""
        return replace(self, history_id=history_id, synced_at=now)

    def as_mapping(self, *, quota: str | None) -> Cursor:
        """As it stands in an event."""
        reached = None
        if self.reached is not None:
            since = self.reached.since
            reached = {"since": since and since.isoformat(), "selection": self.reached.selection}
        return {
            "history_id": self.history_id,
            "synced_at": self.synced_at.isoformat(),
            "reached": reached,
            "stale_since": self.stale_since and self.stale_since.isoformat(),
            "quota": quota,
        }


def read_cursor(cursor: Cursor | None) -> GmailCursor | None:
    """The cursor that an event holds.

    Raises:
        SourceUnreadableError: it is not one of this source.
    """
    if cursor is None:
        return None
    try:
        return GmailCursor(
            history_id=_text(cursor, "history_id"),
            synced_at=_moment(_text(cursor, "synced_at")),
            reached=_reach(cursor.get("reached")),
            stale_since=None if cursor.get("stale_since") is None else _moment(_text(cursor, "stale_since")),
            quota=cursor.get("quota"),
        )
    except (KeyError, TypeError, ValueError):
        raise SourceUnreadableError(
            "cursor: the newest one of this source_system is not one of Gmail's",
            next_step="Give the job a source_system of its own.",
        ) from None


def _reach(value: Mapping[str, Any] | None) -> Reach | None:
    if value is None:
        return None
    since = value["since"]
    return Reach(since=None if since is None else _moment(since), selection=_text(value, "selection"))


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value[key]
    if not isinstance(text, str):
        raise TypeError(key)
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
