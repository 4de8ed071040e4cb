"""One message of the Gmail API, its attachments with it where they are wanted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lorchestra.sources.gmail_api import GmailApi
from lorchestra.sources.gmail_message import INLINE_LIMIT, named_part
from lorchestra.sources.google_calls import UNREADABLE, FailedCallError, NotFoundError


@dataclass(frozen=True, kw_only=True)
class MessageFetch:
    """How messages are fetched. `attachment_bytes_max` None: attachments stay where they are."""

    api: GmailApi
    message_format: str
    attachment_bytes_max: int | None = None

    def __call__(self, message_id: str) -> tuple[dict[str, Any], int]:
        """The message resource, and its size in bytes.

        An attachment that is taken stands in its part as `data`, without the `attachmentId`, which is another
        one each time. What is larger than its limit, finds no room in the object or is not found is named in
        `_lorchestra.left_out`.

        Raises:
            NotFoundError: it is gone.
            FailedCallError: the service fails at it each time, or gives what is no such message.
        """
        message, size = self.api.message(message_id, self.message_format)
        if not _is_message(message, message_id):
            raise FailedCallError(UNREADABLE)
        if self.attachment_bytes_max is None or "payload" not in message:
            return message, size
        try:
            return self._with_attachments(message, size, limit=self.attachment_bytes_max)
        except (LookupError, TypeError, AttributeError):
            raise FailedCallError(UNREADABLE) from None

    def _with_attachments(
        self, message: dict[str, Any], size: int, *, limit: int
    ) -> tuple[dict[str, Any], int]:
        room, left_out = INLINE_LIMIT - size, []
        for part in _attached(message["payload"]):
            body = part["body"]
            length = 4 * ((body.get("size", 0) + 2) // 3)
            if body.get("size", 0) > limit or length > room:
                left_out.append(named_part(part))
                continue
            try:
                data, _ = self.api.attachment(message["id"], body["attachmentId"])
            except NotFoundError:
                # The message is there, so it is not lost for a part of it that is not.
                left_out.append(named_part(part))
                continue
            del body["attachmentId"]
            body["data"] = data
            room -= len(data)
            size += len(data)
        if left_out:
            total = sum(int(one["size"] or 0) for one in left_out)
            message["_lorchestra"] = {"left_out": left_out, "left_out_bytes": total}
        return message, size


def _is_message(message: dict[str, Any], message_id: str) -> bool:
    labels = message.get("labelIds", [])
    return (
        message.get("id") == message_id
        and isinstance(labels, list)
        and all(isinstance(label, str) for label in labels)
    )


def _attached(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if part.get("body", {}).get("attachmentId"):
            yield part
        waiting.extend(reversed(part.get("parts", ())))
