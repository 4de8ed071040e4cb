"""What happened to each message of a mailbox, out of its history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lorchestra.sources.gmail_api import HistoryRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What happened to one message, and the last history record that says so."""

    history_id: str
    added: bool = False
    relabelled: bool = False
    deleted: bool = False


def changes_of(records: Iterable[HistoryRecord]) -> Mapping[str, Change]:
    """Every message that changed, once, in the order of its last change.

    A message may occur in several records; whoever has handled all messages up to a place has handled the
    history up to that place's record.
    """
    changes: dict[str, Change] = {}
    for record in records:
        for message_id in (*record.added, *record.relabelled, *record.deleted):
            before = changes.pop(message_id, None)
            changes[message_id] = Change(
                history_id=record.id,
                added=message_id in record.added or (before is not None and before.added),
                relabelled=message_id in record.relabelled or (before is not None and before.relabelled),
                deleted=message_id in record.deleted,
            )
    return changes


def may_shift_pages(records: Iterable[HistoryRecord]) -> bool:
    """Whether messages left a listing meanwhile, so that others moved up from one page to the one before."""
    return any(record.deleted or record.relabelled for record in records)
