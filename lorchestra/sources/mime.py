"""MIME parsing by the standard library's email package, on the shortest way to the same result."""

import email
import re
from dataclasses import dataclass
from email.feedparser import BytesFeedParser
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from email.message import Message

# The first end of a line that an empty line follows. The group is atomic, so that CRLF is never seen as two.
_HEAD_END = re.compile(rb"(?>\r\n|\r|\n)(?=\r\n|\r|\n)")
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")
_FED_AT_ONCE = 64 * 1024

HeaderFields = list[tuple[str, str]]
#: A message nested deeper is not read as MIME. (The parser gives up where its stack happens to end.)
MAX_DEPTH = 90


class NestedTooDeeplyError(ValueError):
    """A message has more levels of parts than anyone writes."""


@dataclass(frozen=True, slots=True)
class Head:
    """A message's headers, and where its body begins."""

    message: "Message[str, str]"
    body_start: int

    @property
    def fields(self) -> HeaderFields:
        """Every header in order, values as they stand (folded; 8-bit bytes as surrogate escapes)."""
        return list(self.message.raw_items())


def parse_head(content: bytes) -> Head:
    """The headers alone."""
    if empty_line := _LINE_BREAK.match(content):
        return Head(email.message_from_bytes(b""), empty_line.end())
    end = _HEAD_END.search(content)
    if end is None:
        return Head(email.message_from_bytes(content), len(content))
    separator = _LINE_BREAK.match(content, end.end())
    return Head(email.message_from_bytes(content[: end.end()]), separator.end() if separator else end.end())


def parse_message(content: bytes, head: Head) -> "Message[str, str]":
    """The whole message, as `email.message_from_bytes` gives it.

    When it has one part, its head is all there is to parse, which is several times faster: the rest is its
    body. A head with a defect, such as a line that is no header, is left to the email package.
    """
    message = head.message
    if message.get_content_maintype() in {"multipart", "message"} or message.defects:
        return _parse_all(content)
    message.set_payload(content[head.body_start :].decode("ascii", "surrogateescape"))
    return message


def _parse_all(content: bytes) -> "Message[str, str]":
    parser = BytesFeedParser()
    # In pieces, as message_from_bytes copies the whole in four bytes a character.
    for start in range(0, len(content), _FED_AT_ONCE):
        parser.feed(content[start : start + _FED_AT_ONCE])
    return parser.close()


def subparts(message: "Message[str, str]") -> "list[Message[str, str]]":
    """The parts of a multipart, or the message of a message/rfc822; of anything else none."""
    return cast("list[Message[str, str]]", message.get_payload()) if message.is_multipart() else []


def transfer_decoded(message: "Message[str, str]") -> bytes:
    """The part's own bytes, its transfer encoding undone as far as it goes."""
    data = message.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""
