"""Messages by their ids, as items of a source: records, rejections, and marks for those that are gone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from lorchestra.errors import SourceUnavailableError
from lorchestra.model import Record, Rejection, Window
from lorchestra.sources.base import Item, StoredObjects
from lorchestra.sources.fetching import Fetched, fetched
from lorchestra.sources.gmail_listing import belongs_to
from lorchestra.sources.gmail_message_fetch import MessageFetch
from lorchestra.sources.gmail_plan import GmailPlan
from lorchestra.sources.google_calls import FailedCallError, NotFoundError
from lorchestra.sources.pace import CALLS_MAX

#: When it was found that an object is gone at its source; Singer's name for it.
DELETED_AT = "_sdc_deleted_at"

# Of a service that fails at so many messages one after the other, it is not the messages' fault.
_FAILURES_MAX = 10
_POSITION = "message "


class GmailMessages:
    """Fetches messages, several at a time. `not_found` counts those that were gone when their turn came."""

    def __init__(self, fetch: MessageFetch, plan: GmailPlan, stored: StoredObjects) -> None:
        self._fetch = fetch
        self._plan = plan
        self._stored = stored
        self._failures = 0
        self.not_found = 0

    def items(self, ids: Sequence[str], window: Window) -> Iterator[Item]:
        """Those of the messages that belong to the window, and rejections.

        Raises:
            SourceError: the mailbox cannot be read, or not now.
        """
        for result in self.results(ids):
            yield from self.item(result, lambda message: belongs_to(window, message))

    def results(self, ids: Sequence[str]) -> Iterator[Fetched]:
        """What came of each id, roughly in their order.

        Raises:
            SourceError: as `items`; also when the service is gone by the end.
        """
        threads = min(CALLS_MAX, len(ids))
        for result in fetched(ids, self._fetch, threads=threads, single=(NotFoundError, FailedCallError)):
            self._plan.add(0, done=1)
            yield result
        if self._failures:
            # The last ones failed. Where the service is down, that was not the messages' fault.
            self._fetch.api.history_id()

    def item(self, result: Fetched, is_wanted: Callable[[dict[str, Any]], bool]) -> Iterator[Item]:
        """A record or a rejection; nothing for what is gone or not wanted.

        Raises:
            SourceUnavailableError: the service fails at one message after the other.
        """
        position = f"{_POSITION}{result.id}"
        if result.value is not None:
            self._failures = 0
            if is_wanted(result.value):
                yield Record(data=result.value, position=position)
        elif isinstance(result.error, FailedCallError):
            yield Rejection(reason=result.error.code, position=position)
            self._failures += 1
            if self._failures >= _FAILURES_MAX:
                raise SourceUnavailableError(
                    f"endpoint: fails at every message: {result.error.code}",
                    next_step="Run the job again later; it goes on where it was.",
                )
        else:
            self.not_found += 1

    def tombstones(self, ids: Iterable[str], window: Window) -> Iterator[Record]:
        """Stored messages of the window that are gone, as they were, with `_sdc_deleted_at`."""
        deleted_at = datetime.now(UTC).isoformat()
        for message in self._stored.payloads(list(ids)):
            if DELETED_AT not in message and belongs_to(window, message):
                data = {**message, DELETED_AT: deleted_at}
                yield Record(data=data, position=f"{_POSITION}{message['id']}")


def ids_in(positions: Iterable[str]) -> list[str]:
    """The ids in positions of rejections; other positions are passed over."""
    return [one.removeprefix(_POSITION) for one in positions if one.startswith(_POSITION)]
