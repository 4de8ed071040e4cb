"""Listings of a mailbox that hold still: every message that was there all the while is in them."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.model import Window
from lorchestra.sources.gmail_api import GmailApi, Selection
from lorchestra.sources.gmail_changes import may_shift_pages
from lorchestra.sources.gmail_options import GmailOptions
from lorchestra.sources.mail_dates import in_window

# Gmail searches by the second, and does not say which way it rounds.
_OVERLAP = timedelta(seconds=60)
_PASSES_MAX = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSEEN_LABELS = frozenset({"SPAM", "TRASH"})


class GmailListing:
    """The piece of the mailbox that a job's options select."""

    def __init__(self, api: GmailApi, options: GmailOptions) -> None:
        self._api = api
        self._options = options
        self._selection: Selection | None = None

    @property
    def digest(self) -> str:
        """Tells one selection from another; a search may hold addresses, so it stands nowhere itself."""
        options = self._options
        parts = [options.q.strip(), *sorted(options.labels), str(options.include_spam_trash)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    def ids(self, window: Window, *, history_id: str, enough: int | None = None) -> tuple[list[str], bool]:
        """The ids of the window's messages, newest first, and whether these are all of them.

        A few of the minute around the window may be among them. What moves from one page to another while
        pages are fetched is looked for in further passes; the mailbox was at `history_id` before the first.
        At `enough` ids the listing is cut short.
        """
        selection = self._within(window)
        found: dict[str, None] = {}
        for _ in range(_PASSES_MAX):
            before, pages = len(found), 0
            for page in self._api.pages(selection):
                found.update(dict.fromkeys(page.ids))
                pages += 1
                if enough is not None and len(found) >= enough and not page.is_last:
                    return list(found), False
            if pages <= 1 or (before and len(found) == before):
                break
            history = self._api.history(history_id)
            if not may_shift_pages(history.records):
                break
            history_id = history.history_id
        return list(found), True

    def has(self, message: dict[str, Any], *, searched_since: datetime, recent: Collection[str]) -> bool:
        """Whether a message that was not listed is one of the selection.

        `recent` are the ids of the selection's messages since `searched_since`. A message that arrived
        lately with a date before that is looked for by its date.
        """
        selection = self._resolved()
        labels = set(message.get("labelIds", ()))
        if not labels.issuperset(selection.label_ids):
            return False
        if labels & _UNSEEN_LABELS and not selection.include_spam_trash:
            return False
        if not selection.q or message["id"] in recent:
            return True
        milliseconds = _internal_date(message)
        if milliseconds is None or belongs_to(Window(since=searched_since), message):
            return False
        try:
            date = _EPOCH + timedelta(milliseconds=milliseconds)
        except OverflowError:
            return False
        around = Window(since=date, until=date + timedelta(seconds=1))
        return any(message["id"] in page.ids for page in self._api.pages(self._within(around)))

    def _within(self, window: Window) -> Selection:
        selection = self._resolved()
        # Without brackets a search with OR would not be narrowed as a whole.
        words = [f"({selection.q})" if window != Window() and " OR " in selection.q else selection.q]
        if window.since is not None:
            words.append(f"after:{int((window.since - _OVERLAP).timestamp())}")
        if window.until is not None:
            words.append(f"before:{int((window.until + _OVERLAP).timestamp()) + 1}")
        return replace(selection, q=" ".join(word for word in words if word))

    def _resolved(self) -> Selection:
        if self._selection is None:
            labels: Sequence[str] = self._options.labels
            if labels:
                ids = self._api.label_ids()
                labels = [ids.get(label, label) for label in labels]
            self._selection = Selection(
                q=self._options.q.strip(),
                label_ids=labels,
                include_spam_trash=self._options.include_spam_trash,
            )
        return self._selection


def belongs_to(window: Window, message: dict[str, Any]) -> bool:
    """Whether Gmail received a message within the window; one without a date is of every window."""
    return in_window(_internal_date(message), window)


def _internal_date(message: dict[str, Any]) -> int | None:
    try:
        return int(message["internalDate"])
    except (KeyError, ValueError, TypeError):
        return None
