"""Changes that happen to a mailbox by itself while a test runs."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime

from tests.gmail.ids import Ids
from tests.gmail.mailbox import iso_date
from tests.gmail.upstream import Upstream

_MESSAGES = "/gmail/v1/users/me/messages"


class Changes:
    """They use no quota, need no token and are not recorded."""

    def __init__(self, upstream: Upstream, ids: Ids) -> None:
        self._upstream, self._ids = upstream, ids

    def insert(
        self,
        raw: bytes,
        *,
        labels: Iterable[str] = ("INBOX", "UNREAD"),
        internal_date: datetime | None = None,
        thread_id: str | None = None,
    ) -> str:
        """A message arrives, now or at a date; its id. Labels that the mailbox does not have are an error.

        Without a thread it is in that of the message that it replies to, or in a new one.
        """
        message: dict[str, object] = {"raw": urlsafe_b64encode(raw).decode("ascii"), "labelIds": list(labels)}
        # Without it the server takes the Date field for the time of arrival.
        message["internalDate"] = iso_date(internal_date or datetime.now().astimezone())
        if thread_id is not None:
            message["threadId"] = self._ids.inward(thread_id)
        return self._ids.of(self._upstream.json("POST", _MESSAGES, message)["id"])

    def modify(self, message_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        labels: dict[str, object] = {"addLabelIds": list(add), "removeLabelIds": list(remove)}
        self._upstream.json("POST", f"{self._path(message_id)}/modify", labels)

    def trash(self, message_id: str) -> None:
        self._upstream.json("POST", f"{self._path(message_id)}/trash")

    def delete(self, message_id: str) -> None:
        """It is gone for good, and not in the trash."""
        self._upstream.json("DELETE", self._path(message_id))

    def _path(self, message_id: str) -> str:
        return f"{_MESSAGES}/{self._ids.inward(message_id)}"
