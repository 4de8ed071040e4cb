"""A message's bytes as the Gmail API's message resource (users.messages, v1).

What the API documents is followed in names and shape. Where it leaves room:

- Header values are unfolded and their encoded words decoded, as the API shows them.
- `body.data` holds the part's own bytes, its transfer encoding undone, in the charset that its Content-Type
  names. (The API is said to recode text to UTF-8; that is not documented, and loses what is misdeclared.)
- Attachments are inline, as there is no second request to fetch them with.

Our own key is `_lorchestra`: `left_out` and `left_out_bytes` name the parts that the object had no room for,
`parse_error` the reason why a message has `raw` instead of `payload`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lorchestra.sources.mail_text import clean, decode_escaped, header_text, unfolded
from lorchestra.sources.mime import (
    MAX_DEPTH,
    AnyPart,
    Head,
    NestedTooDeeplyError,
    body_of,
    headers_alone,
    parse_message,
    subparts,
)
from lorchestra.sources.mime_part import Part
from lorchestra.sources.snippet import html_snippet, plain_snippet
from lorchestra.sources.stored_message import MIB, StoredMessage
from lorchestra.sources.transfer_encoding import Body, base64url

if TYPE_CHECKING:
    from email.message import Message

#: How many bytes of base64 one object may hold in its bodies.
INLINE_LIMIT = 20 * MIB
# The first words are found in the beginning of a message, for the raw format.
_SNIPPET_SOURCE = 128 * 1024
_NO_BODY = Body(b"")


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What the mailbox, rather than the message, says."""

    id: str
    thread_id: str
    label_ids: Sequence[str]
    internal_date: int | None


@dataclass(slots=True)
class _Leaf:
    part: dict[str, Any]
    body: Body
    charset: str | None

    @property
    def is_text_body(self) -> bool:
        return not self.part["filename"] and self.part["mimeType"].startswith("text/")


@dataclass(slots=True)
class _Content:
    """A message taken apart: its payload, and the leaves that still wait for their data."""

    payload: dict[str, Any]
    leaves: list[_Leaf] = field(default_factory=list)


def full_resource(stored: StoredMessage, head: Head, envelope: Envelope) -> dict[str, Any]:
    """The message as `format=full` gives it.

    Text bodies and then attachments are inline as far as `INLINE_LIMIT` goes. Of a message too large to be
    held in memory, the headers are given. What the email package cannot parse comes as `raw`.
    """
    try:
        content = _take_apart(stored, head)
        snippet = _snippet(content.leaves)
        left_out = _fill(content.leaves) if stored.is_whole else [_body_left_out(content, stored)]
    except Exception as error:  # noqa: BLE001 (any message may break a parser, and none may be lost by it)
        resource = _resource(stored, envelope, "")
        if stored.is_whole:
            resource["raw"] = base64url(stored.content).decode("ascii")
        return resource | {"_lorchestra": {"parse_error": type(error).__name__}}
    resource = _resource(stored, envelope, snippet) | {"payload": content.payload}
    if left_out:
        size = sum(part["size"] for part in left_out)
        resource["_lorchestra"] = {"left_out": left_out, "left_out_bytes": size}
    return resource


def raw_resource(stored: StoredMessage, head: Head, envelope: Envelope) -> dict[str, Any]:
    """The message as `format=raw` gives it: `raw` is the message byte for byte. It must be whole."""
    try:
        content = _Content({})
        _part(parse_message(stored.content[:_SNIPPET_SOURCE], head), "", content.leaves)
        snippet = _snippet(content.leaves)
    except Exception:  # noqa: BLE001 (the bytes are what counts; a message that breaks a parser has no snippet)
        snippet = ""
    return _resource(stored, envelope, snippet) | {"raw": base64url(stored.content).decode("ascii")}


def _resource(stored: StoredMessage, envelope: Envelope, snippet: str) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "id": envelope.id,
        "threadId": envelope.thread_id,
        "labelIds": [clean(label) for label in envelope.label_ids],
        "snippet": snippet,
        "sizeEstimate": stored.size,
    }
    if envelope.internal_date is not None:
        resource["internalDate"] = str(envelope.internal_date)
    return resource


def _take_apart(stored: StoredMessage, head: Head) -> _Content:
    content = _Content({})
    message = parse_message(stored.content, head) if stored.is_whole else headers_alone(head)
    content.payload = _part(message, "", content.leaves)
    return content


def _part(message: AnyPart, part_id: str, leaves: list[_Leaf]) -> dict[str, Any]:
    if part_id.count(".") > MAX_DEPTH:
        raise NestedTooDeeplyError
    headers = _headers(message)
    parsed = message.unusual if isinstance(message, Part) else message
    if parsed is not None:
        _decode_parameters(parsed)
    part: dict[str, Any] = {
        "partId": part_id,
        "mimeType": clean(message.get_content_type()),
        "filename": _filename(message),
        "headers": headers,
        "body": {"size": 0},
    }
    if message.is_multipart():
        prefix = f"{part_id}." if part_id else ""
        part["parts"] = [_part(child, f"{prefix}{i}", leaves) for i, child in enumerate(subparts(message))]
    else:
        body = body_of(message)
        part["body"]["size"] = body.size
        leaves.append(_Leaf(part, body, _charset(message)))
    return part


def _headers(message: AnyPart) -> list[dict[str, str]]:
    if isinstance(message, Part) and message.is_plain:
        return [
            {"name": name, "value": unfolded(value) if "\n" in value else value}
            for name, value in message.fields
        ]
    return [{"name": name, "value": header_text(value)} for name, value in message.raw_items()]


def _decode_parameters(message: "Message[str, str]") -> None:
    """Let the email package read 8-bit parameters, which it otherwise gives as replacement characters."""
    for name, value in message.raw_items():
        if not value.isascii() and name.lower() in {"content-type", "content-disposition"}:
            message.replace_header(name, decode_escaped(value))


def _filename(message: AnyPart) -> str:
    try:
        return header_text(message.get_filename() or "")
    except (LookupError, ValueError, TypeError, AttributeError):  # parameters that are no parameters
        return ""


def _charset(message: AnyPart) -> str | None:
    try:
        return message.get_content_charset()
    except (LookupError, ValueError, TypeError, AttributeError):
        return None


def _fill(leaves: list[_Leaf]) -> list[dict[str, Any]]:
    """Put the data into the parts, texts first, and return the parts there was no room for."""
    room, left_out = INLINE_LIMIT, []
    for leaf in sorted(leaves, key=lambda leaf: not leaf.is_text_body):
        length = 4 * ((leaf.body.size + 2) // 3)
        if length > room:
            left_out.append(named_part(leaf.part))
            continue
        room -= length
        leaf.part["body"]["data"] = leaf.body.base64url()
        leaf.body = _NO_BODY
    return left_out


def _body_left_out(content: _Content, stored: StoredMessage) -> dict[str, Any]:
    content.payload["body"] = {"size": stored.size}
    return named_part(content.payload)


def named_part(part: dict[str, Any]) -> dict[str, Any]:
    """A part as `_lorchestra.left_out` names it."""
    named = {key: part.get(key) for key in ("partId", "filename", "mimeType")}
    return named | {"size": part["body"].get("size", 0)}


def _snippet(leaves: list[_Leaf]) -> str:
    for mime_type, shorten in (("text/plain", plain_snippet), ("text/html", html_snippet)):
        for leaf in leaves:
            if leaf.is_text_body and leaf.part["mimeType"] == mime_type:
                return shorten(leaf.body, leaf.charset)
    return ""
