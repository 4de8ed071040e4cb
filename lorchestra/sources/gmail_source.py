"""Reads a mailbox over the Gmail API: what changed since the last run, then what is still missing.

    no cursor         listing, newest first
    cursor            history since then; a listing where the mailbox is not reached yet as far as it should
    expired cursor    listing of the days since then, fetched anew; then as without a cursor
    since or until    listing of the window; the history tells which known messages to fetch anew

The historyId of a cursor is one from before the messages were listed or fetched: what changes meanwhile is
found by the next run. Messages that the table has are fetched again only when they changed.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lorchestra.model import Checkpoint, Cursor, Progress, Seen, Window
from lorchestra.sources.base import Item, SourceContext
from lorchestra.sources.gmail_api import GmailApi, HistoryExpiredError
from lorchestra.sources.gmail_changes import Change, changes_of
from lorchestra.sources.gmail_cursor import GmailCursor, Reach, read_cursor
from lorchestra.sources.gmail_listing import GmailListing, belongs_to
from lorchestra.sources.gmail_messages import GmailMessages, ids_in
from lorchestra.sources.gmail_options import GmailOptions
from lorchestra.sources.gmail_plan import GmailPlan

# So far before the last run messages are fetched anew when the history does not reach back to it.
_EXPIRY_OVERLAP = timedelta(days=7)
# What came so shortly before a run may not have been listed for it yet.
_ARRIVING = timedelta(minutes=1)
_EVERYTHING = Window()


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """A connection to a mailbox, and what is made of it."""

    api: GmailApi
    listing: GmailListing
    messages: GmailMessages
    plan: GmailPlan
    #: The name of the limits in force, where it is known.
    quota: Callable[[], str | None]


@dataclass(frozen=True, kw_only=True)
class _Missing:
    """A listing: all ids, those that the table has, and whether nothing was cut off."""

    ids: Sequence[str]
    known: set[str]
    is_whole: bool


class GmailSource:
    """One mailbox, read once. `connect` takes the name of the limits that an earlier run found in force."""

    def __init__(
        self, options: GmailOptions, context: SourceContext, connect: Callable[[str | None], Mailbox]
    ) -> None:
        self._options = options
        self._context = context
        self._connect = connect
        self._mailbox: Mailbox | None = None
        self._cursor: Cursor | None = None
        self._fetched: set[str] = set()
        self._expired_since: datetime | None = None

    def records(self, window: Window, cursor: Cursor | None) -> Iterator[Item]:
        """Yield messages as the API gives them, roughly newest first.

        A message that is gone comes once more, as it was, with `_sdc_deleted_at`.

        Raises:
            SourceError: the mailbox cannot be read, or not now.
        """
        state = read_cursor(cursor)
        box = self._open(state)
        try:
            if window == _EVERYTHING:
                state = yield from self._sync(box, state)
            else:
                state = yield from self._within(box, window, state)
            self._cursor = state.as_mapping(quota=box.quota())
        finally:
            box.api.stop()

    def next_cursor(self) -> Cursor | None:
        """Where the next run goes on."""
        return self._cursor

    def progress(self) -> Progress:
        """Messages: those that need nothing more, of those that this run has to do with."""
        if self._mailbox is None:
            return Progress()
        return Progress(records_done=self._mailbox.plan.done, records_total=self._mailbox.plan.total)

    def telemetry(self) -> Mapping[str, Any]:
        """What the calls took, and what was met on the way."""
        if self._mailbox is None:
            return {}
        told: dict[str, Any] = {
            **self._mailbox.api.telemetry(),
            "not_found": self._mailbox.messages.not_found,
        }
        if self._expired_since is not None:
            told |= {"history_expired": True, "listed_since": self._expired_since.isoformat()}
        return told

    def plan(self, window: Window, cursor: Cursor | None) -> Mapping[str, int]:
        """How many messages of the window are new; it is listed, and no message is fetched."""
        state = read_cursor(cursor)
        box = self._open(state)
        wanted = self._reach(box).window if window == _EVERYTHING else window
        missing = self._missing(box, wanted, box.api.history_id())
        counts = _counts_of(missing)
        box.plan.tell(counts["new"])
        return counts

    def compare(self, window: Window, before: datetime) -> Mapping[str, int]:
        """How many messages of the window came before a time, and how many of them are stored."""
        box = self._open(None)
        wanted = self._reach(box).window if window == _EVERYTHING else window
        until = before - _ARRIVING if wanted.until is None else min(wanted.until, before - _ARRIVING)
        if wanted.since is not None and wanted.since >= until:
            return {"records_extracted": 0, "new": 0, "known": 0}
        try:
            missing = self._missing(box, replace(wanted, until=until), box.api.history_id())
        finally:
            box.api.stop()
        return _counts_of(missing)

    def again(self, positions: Sequence[str]) -> Iterator[Item]:
        """Yield the messages at the positions of rejections."""
        box = self._open(None)
        ids = ids_in(positions)
        box.plan.add(len(ids))
        try:
            yield from box.messages.items(ids, _EVERYTHING)
        finally:
            box.api.stop()

    def _open(self, state: GmailCursor | None) -> Mailbox:
        self._mailbox = self._connect(None if state is None else state.quota)
        return self._mailbox

    # Without a window

    def _sync(self, box: Mailbox, state: GmailCursor | None) -> Generator[Item, None, GmailCursor]:
        now = datetime.now(UTC)
        if state is None:
            state = GmailCursor(history_id=box.api.history_id(), synced_at=now)
        else:
            try:
                history = box.api.history(state.history_id)
            except HistoryExpiredError:
                state = yield from self._made_up_for(box, state, now)
            else:
                yield from self._changed(box, changes_of(history.records), state)
                state = state.moved_to(history.history_id, now=now)
                if state.stale_since is not None:
                    state = yield from self._made_up_for(box, state, now)
        wanted = self._reach(box)
        if state.reached is not None and state.reached.covers(wanted):
            return state
        yield self._checkpoint(box, state)
        missing = self._missing(box, wanted.window, state.history_id)
        yield from self._fill(box, missing, wanted.window, anew=set())
        return replace(state, reached=wanted) if missing.is_whole else state

    def _changed(self, box: Mailbox, changes: Mapping[str, Change], state: GmailCursor) -> Iterator[Item]:
        """What happened, oldest first, with checkpoints after what needs nothing more."""
        known = self._context.stored.known(list(changes))
        gone = [one for one, change in changes.items() if change.deleted and one in known]
        yield from box.messages.tombstones(gone, _EVERYTHING)
        here = {one: change for one, change in changes.items() if not change.deleted}
        to_fetch = [one for one, change in here.items() if one not in known or change.relabelled]
        yield Seen(external_ids=sorted(known.intersection(here).difference(to_fetch)))
        box.plan.add(len(to_fetch))
        box.plan.tell(len(to_fetch))
        is_selected = self._selects(box, set(to_fetch) - known, state)
        reach = self._reach(box).window

        def is_new(message: dict[str, Any]) -> bool:
            # An old message that was only moved about is none that the job was to fetch.
            return is_selected(message) and (changes[message["id"]].added or belongs_to(reach, message))

        waiting, ahead = set(to_fetch), iter(changes.items())
        upto = next(ahead, None)
        for result in box.messages.results(to_fetch):
            yield from box.messages.item(result, lambda message: message["id"] in known or is_new(message))
            waiting.discard(result.id)
            self._fetched.add(result.id)
            done = None
            while upto is not None and upto[0] not in waiting:
                done, upto = upto[1].history_id, next(ahead, None)
            if done is not None:
                yield self._checkpoint(box, replace(state, history_id=done))

    def _selects(
        self, box: Mailbox, unknown: set[str], state: GmailCursor
    ) -> Callable[[dict[str, Any]], bool]:
        """Whether a message that the table has not yet is one that the job selects."""
        since = state.synced_at - _EXPIRY_OVERLAP
        recent: set[str] = set()
        if unknown and self._options.q:
            recent.update(box.listing.ids(Window(since=since), history_id=state.history_id)[0])
        return lambda message: box.listing.has(message, searched_since=since, recent=recent)

    def _made_up_for(
        self, box: Mailbox, state: GmailCursor, now: datetime
    ) -> Generator[Item, None, GmailCursor]:
        """Fetch anew what came since a week before changes were missed; the rest is for a listing to find."""
        new = GmailCursor(history_id=box.api.history_id(), synced_at=now)
        self._expired_since = (state.stale_since or state.synced_at) - _EXPIRY_OVERLAP
        reach = self._reach(box).since
        window = Window(since=max(self._expired_since, reach) if reach else self._expired_since)
        ids, _ = box.listing.ids(window, history_id=new.history_id)
        to_fetch = [one for one in ids if one not in self._fetched]
        box.plan.add(len(to_fetch))
        box.plan.tell(len(to_fetch))
        yield from box.messages.items(to_fetch, window)
        self._fetched.update(ids)
        return new

    def _reach(self, box: Mailbox) -> Reach:
        since = self._options.backfill_since(datetime.now(UTC))
        return Reach(since=since, selection=box.listing.digest)

    # With a window

    def _within(
        self, box: Mailbox, window: Window, state: GmailCursor | None
    ) -> Generator[Item, None, GmailCursor]:
        now = datetime.now(UTC)
        if state is None:
            state = GmailCursor(history_id=box.api.history_id(), synced_at=now)
            # The rows are as of here, though they are not all there are.
            yield self._checkpoint(box, state)
            missing = self._missing(box, window, state.history_id)
            yield from self._fill(box, missing, window, anew=set())
            return state
        try:
            history = box.api.history(state.history_id)
        except HistoryExpiredError:
            self._expired_since = window.since or state.synced_at
            missed = state.moved_to(box.api.history_id(), now=now)
            missing = self._missing(box, window, missed.history_id)
            yield from self._fill(box, missing, window, anew=missing.known)
            # What changed outside the window is left to a run without one.
            return replace(missed, reached=None, stale_since=state.stale_since or state.synced_at)
        missing = self._missing(box, window, history.history_id)
        changes = changes_of(history.records)
        relabelled = {one for one, change in changes.items() if change.relabelled}
        yield from self._fill(box, missing, window, anew=relabelled)
        outside = yield from self._unlisted(box, changes, missing, window, state)
        if outside or not missing.is_whole:
            # The history is needed once more, for what lies outside the window.
            return state
        return state.moved_to(history.history_id, now=now)

    def _unlisted(
        self,
        box: Mailbox,
        changes: Mapping[str, Change],
        missing: _Missing,
        window: Window,
        state: GmailCursor,
    ) -> Generator[Item, None, bool]:
        """Changes of messages that no listing of the window shows; whether some lie outside the window."""
        listed = set(missing.ids)
        unlisted = {one: change for one, change in changes.items() if one not in listed}
        known = self._context.stored.known(list(unlisted))
        inside = {
            message["id"]
            for message in self._context.stored.payloads(sorted(known))
            if belongs_to(window, message)
        }
        yield from box.messages.tombstones(sorted(one for one in inside if unlisted[one].deleted), window)
        new = {one for one, change in unlisted.items() if not change.deleted} - known
        outside = bool(known - inside)
        if state.reached is None:
            # A listing of the whole mailbox is still to come, and shows them.
            new = set()
        if window.until is not None and new:
            # Most likely they came after the window; they are not fetched to find out.
            outside, new = True, set()
        anew = {one for one in inside if unlisted[one].relabelled and not unlisted[one].deleted}
        to_fetch = sorted(new | anew)
        is_selected = self._selects(box, set(to_fetch) - known, state)
        box.plan.add(len(to_fetch))
        for result in box.messages.results(to_fetch):
            message = result.value
            # One that is not known and selected would have been listed, if it were of the window.
            outside |= message is not None and result.id not in known and is_selected(message)
            yield from box.messages.item(result, lambda message: message["id"] in known)
        return outside

    # With and without

    def _missing(self, box: Mailbox, window: Window, history_id: str) -> _Missing:
        """The ids of the window; as many as it takes for the limit of the run, where it has one."""
        enough = self._context.limit
        while True:
            ids, is_whole = box.listing.ids(window, history_id=history_id, enough=enough)
            known = self._context.stored.known(ids)
            if enough is None or is_whole or len(ids) - len(known) >= (self._context.limit or 0):
                return _Missing(ids=ids, known=known, is_whole=is_whole)
            enough *= 4

    def _fill(self, box: Mailbox, missing: _Missing, window: Window, *, anew: set[str]) -> Iterator[Item]:
        """Fetch what the table has not, and of what it has, what is to be fetched anew."""
        fresh = set() if self._options.refetch else missing.known - anew
        to_fetch = [one for one in missing.ids if one not in fresh and one not in self._fetched]
        box.plan.add(len(missing.ids), done=len(missing.ids) - len(to_fetch))
        box.plan.tell(len(to_fetch))
        yield Seen(external_ids=sorted(fresh))
        yield from box.messages.items(to_fetch, window)

    def _checkpoint(self, box: Mailbox, state: GmailCursor) -> Checkpoint:
        return Checkpoint(cursor=state.as_mapping(quota=box.quota()))


def _counts_of(missing: _Missing) -> dict[str, int]:
    known = len(missing.known)
    return {"records_extracted": len(missing.ids), "new": len(missing.ids) - known, "known": known}
