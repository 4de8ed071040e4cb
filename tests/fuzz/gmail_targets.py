"""Answers of the Gmail API that are JSON objects, and not what the API documents."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from lorchestra.errors import SourceError
from lorchestra.model import Window
from lorchestra.sources.gmail_api import GmailApi, HistoryExpiredError, Selection
from lorchestra.sources.gmail_changes import changes_of
from lorchestra.sources.gmail_listing import GmailListing, belongs_to
from lorchestra.sources.gmail_message_fetch import MessageFetch
from lorchestra.sources.gmail_options import GmailOptions
from lorchestra.sources.google_answers import answer_of, json_object
from lorchestra.sources.google_calls import FailedCallError, NotFoundError


class Answers:
    """A service that gives one answer to every call; its pages come to an end."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        self._calls = 0

    def get(self, method: str, path: str, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], int]:  # noqa: ARG002
        assert {"", ".", ".."}.isdisjoint(path.split("/"))
        assert "?" not in path
        self._calls += 1
        answer = {
            name: value for name, value in self._answer.items() if self._calls < 4 or name != "nextPageToken"
        }
        return answer, 10


def gmail(data: bytes) -> None:
    """An answer is understood, or is an error of the source; one odd message is one odd message."""
    answer_of(403, {}, data)
    answer = json_object(data)
    if answer is None:
        return
    api = GmailApi(Answers(answer))  # type: ignore[arg-type]
    with suppress(SourceError):
        assert isinstance(api.history_id(), str)
    with suppress(SourceError):
        api.label_ids()
    with suppress(SourceError):
        for page in api.pages(Selection()):
            assert all(isinstance(one, str) for one in page.ids)
    with suppress(SourceError, HistoryExpiredError):
        changes_of(api.history("1").records)
    identity = str(answer.get("id"))
    with suppress(FailedCallError, NotFoundError):
        fetch = MessageFetch(api=api, message_format="full", attachment_bytes_max=100)
        message, _ = fetch(identity)
        belongs_to(Window(), message)
        listing = GmailListing(GmailApi(Answers({})), GmailOptions.model_validate({"q": "x"}))  # type: ignore[arg-type]
        listing.has(message, searched_since=datetime.now(UTC), recent=())
