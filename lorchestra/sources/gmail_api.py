"""The calls of the Gmail API that the source makes: profile, listing, history, messages, attachments.

https://developers.google.com/workspace/gmail/api/reference/rest
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from lorchestra.errors import SourceError, SourceUnavailableError, SourceUnreadableError
from lorchestra.sources.google_calls import UNREADABLE, FailedCallError, GoogleCalls, NotFoundError

ENDPOINT = "https://gmail.googleapis.com"
PAGE_SIZE = 500

_USER = "gmail/v1/users/me"

T = TypeVar("T")


class HistoryExpiredError(Exception):
    """The API does not remember what happened since a historyId any more."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which messages are meant: a search, labels that they all have, and whether spam and trash count."""

    q: str = ""
    label_ids: Sequence[str] = ()
    include_spam_trash: bool = False


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One page of a listing."""

    ids: Sequence[str]
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class HistoryRecord:
    """One change of the mailbox: ids of messages that are new, have other labels, or are gone."""

    id: str
    added: Sequence[str]
    relabelled: Sequence[str]
    deleted: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened since a historyId, oldest first, and the historyId of now."""

    records: Sequence[HistoryRecord]
    history_id: str


class GmailApi:
    """One mailbox."""

    def __init__(self, calls: GoogleCalls) -> None:
        self._calls = calls

    def history_id(self) -> str:
        """The historyId of now."""
        return self._asked("getProfile", "profile", {}, read=lambda profile: _id(profile["historyId"]))

    def label_ids(self) -> dict[str, str]:
        """The ids of all labels, by name."""
        return self._asked("labels.list", "labels", {}, read=_labels)

    def pages(self, selection: Selection) -> Iterator[Listed]:
        """Ids of messages, newest first, page by page."""
        parameters: dict[str, Any] = {"maxResults": PAGE_SIZE}
        if selection.q:
            parameters["q"] = selection.q
        if selection.label_ids:
            parameters["labelIds"] = list(selection.label_ids)
        if selection.include_spam_trash:
            parameters["includeSpamTrash"] = "true"
        while True:
            ids, token = self._asked("messages.list", "messages", parameters, read=_page_of_ids)
            yield Listed(ids=ids, is_last=not token)
            if not token:
                return
            parameters["pageToken"] = token

    def history(self, start: str) -> History:
        """Everything that happened since a historyId.

        Raises:
            HistoryExpiredError: the API does not go back so far.
        """
        parameters: dict[str, Any] = {"startHistoryId": start, "maxResults": PAGE_SIZE}
        records: list[HistoryRecord] = []
        while True:
            page, history_id, token = self._asked(
                "history.list",
                "history",
                parameters,
                read=_page_of_history,
                not_found=HistoryExpiredError(),
            )
            records.extend(page)
            if not token:
                return History(records=records, history_id=history_id or start)
            parameters["pageToken"] = token

    def message(self, message_id: str, message_format: str) -> tuple[dict[str, Any], int]:
        """A message resource, and its size in bytes as JSON.

        Raises:
            NotFoundError: it is gone.
            FailedCallError: the service fails at it each time.
        """
        path = f"{_USER}/messages/{_in_path(message_id)}"
        return self._calls.get("messages.get", path, {"format": message_format})

    def attachment(self, message_id: str, attachment_id: str) -> tuple[str, int]:
        """An attachment in base64url, and how long that is.

        Raises:
            NotFoundError, FailedCallError: as `message`.
        """
        path = f"{_USER}/messages/{_in_path(message_id)}/attachments/{_in_path(attachment_id)}"
        answer, size = self._calls.get("messages.attachments.get", path, {})
        if not isinstance(answer.get("data"), str):
            raise FailedCallError(UNREADABLE)
        return answer["data"], size

    def _asked(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any],
        *,
        read: Callable[[dict[str, Any]], T],
        not_found: Exception | None = None,
    ) -> T:
        """What `read` makes of the answer to a call without which the mailbox cannot be read."""
        try:
            answer, _ = self._calls.get(method, f"{_USER}/{path}", parameters)
        except NotFoundError:
            raise not_found or _failed(method, "http_404") from None
        except FailedCallError as error:
            raise _failed(method, error.code) from None
        try:
            return read(answer)
        except (LookupError, TypeError, AttributeError):
            raise _failed(method, UNREADABLE) from None

    def stop(self) -> None:
        """Let no further call out."""
        self._calls.stop()

    def telemetry(self) -> Mapping[str, Any]:
        """What the calls took."""
        return self._calls.telemetry()


def _failed(method: str, code: str) -> SourceError:
    if code.startswith("http_4") and code != "http_408":
        return SourceUnreadableError(
            f"endpoint: finds {method} wrong: {code}",
            next_step="Check q and labels of the job, and endpoint where it is set.",
        )
    return SourceUnavailableError(
        f"endpoint: fails at {method}: {code}",
        next_step="Run the job again later; it goes on where it was.",
    )


def _in_path(identity: str) -> str:
    # Dots alone would be taken for a way to another place.
    if not identity.strip("."):
        raise FailedCallError(UNREADABLE)
    try:
        return quote(identity, safe="")
    except UnicodeEncodeError:
        raise FailedCallError(UNREADABLE) from None


def _id(value: object) -> str:
    # As numbers of 64 bits they would have lost nothing on the way, though the API says strings.
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise TypeError
    return str(value)


def _token(page: Mapping[str, Any]) -> str | None:
    token = page.get("nextPageToken")
    return _id(token) if token else None


def _labels(answer: Mapping[str, Any]) -> dict[str, str]:
    return {_id(label["name"]): _id(label["id"]) for label in answer.get("labels", ())}


def _page_of_ids(page: Mapping[str, Any]) -> tuple[list[str], str | None]:
    return [_id(one["id"]) for one in page.get("messages", ())], _token(page)


def _page_of_history(page: Mapping[str, Any]) -> tuple[list[HistoryRecord], str | None, str | None]:
    history_id = page.get("historyId")
    records = [_record(one) for one in page.get("history", ())]
    return records, None if history_id is None else _id(history_id), _token(page)


def _record(one: Mapping[str, Any]) -> HistoryRecord:
    return HistoryRecord(
        id=_id(one["id"]),
        added=_ids(one, "messagesAdded"),
        relabelled=[*_ids(one, "labelsAdded"), *_ids(one, "labelsRemoved")],
        deleted=_ids(one, "messagesDeleted"),
    )


def _ids(record: Mapping[str, Any], change: str) -> list[str]:
    return [_id(one["message"]["id"]) for one in record.get(change, ())]
