"""MIME parsing by the standard library's email package, on the shortest way to the same result.

What is in order is cut by hand, headers and parts, and becomes the objects that the package's own parser
would have made of it. Whatever is unusual is left to that parser, which gives up on nothing.
"""

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.feedparser import BytesFeedParser
from email.message import Message
from typing import cast

# The first end of a line that an empty line follows. The group is atomic, so that CRLF is never seen as two.
_HEAD_END = re.compile(rb"(?>\r\n|\r|\n)(?=\r\n|\r|\n)")
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")
_BOUNDARY_END = re.compile(rb"[ \t]*(?:\r\n|\r|\n|\Z)")
# A header and the lines that go on with it, as the email package reads them.
_HEADER = re.compile(r"([!-9;-~]+):((?>[^\r\n]*)(?:(?>\r\n|\r|\n)[ \t](?>[^\r\n]*))*)(?:\r\n|\r|\n|\Z)")
_FED_AT_ONCE = 64 * 1024

HeaderFields = list[tuple[str, str]]
#: A message nested deeper is not read as MIME. (The parser gives up where its stack happens to end.)
MAX_DEPTH = 90


class NestedTooDeeplyError(ValueError):
    """A message has more levels of parts than anyone writes."""


class _UnusualError(ValueError):
    """A message that the email package shall parse."""


@dataclass(frozen=True, slots=True)
class Head:
    """A message's headers, and where its body begins."""

    message: "Message[str, str]"
    body_start: int

    @property
    def fields(self) -> HeaderFields:
        """Every header in order, values as they stand (folded; 8-bit bytes as surrogate escapes)."""
        return list(self.message.raw_items())


def parse_head(content: bytes, start: int = 0, end: int | None = None) -> Head:
    """The headers alone, of a message or of a part that stands between two places of it."""
    end = len(content) if end is None else end
    if empty_line := _LINE_BREAK.match(content, start, end):
        return Head(_headers(b""), empty_line.end())
    found = _HEAD_END.search(content, start, end)
    if found is None:
        return Head(_headers(content[start:end]), end)
    separator = _LINE_BREAK.match(content, found.end(), end)
    return Head(_headers(content[start : found.end()]), separator.end() if separator else found.end())


def _headers(head: bytes) -> "Message[str, str]":
    text = head.decode("ascii", "surrogateescape")
    message: Message[str, str] = Message()
    position = 0
    while position < len(text):
        header = _HEADER.match(text, position)
        if header is None:
            return email.message_from_bytes(head)
        message.set_raw(header[1], header[2].lstrip(" \t").rstrip("\r\n"))
        position = header.end()
    return message


def parse_message(content: bytes, head: Head) -> "Message[str, str]":
    """The whole message, as `email.message_from_bytes` gives it, without what stands between its parts.

    What is in order is several times faster than the rest, which is left to the email package: a head with a
    defect, such as a line that is no header, or parts without an end.
    """
    try:
        return _in_order(content, head, len(content), depth=0)
    except _UnusualError:
        return _parse_all(content)


def _in_order(content: bytes, head: Head, end: int, *, depth: int) -> "Message[str, str]":
    message = head.message
    kind = message.get_content_maintype()
    # A last line that begins with "From " is no defect, but belongs to the body.
    if message.defects or message.get_payload() or depth > MAX_DEPTH:
        raise _UnusualError
    if kind == "multipart":
        if message.get_content_subtype() == "digest":
            raise _UnusualError
        for begin, stop in _parts(content, head.body_start, end, _boundary(message)):
            message.attach(_in_order(content, parse_head(content, begin, stop), stop, depth=depth + 1))
    elif kind == "message":
        if message.get_content_subtype() == "delivery-status":
            raise _UnusualError
        inner = parse_head(content, head.body_start, end)
        message.attach(_in_order(content, inner, end, depth=depth + 1))
    else:
        message.set_payload(content[head.body_start : end].decode("ascii", "surrogateescape"))
    return message


def _boundary(message: "Message[str, str]") -> bytes:
    boundary = message.get_boundary()
    if not boundary:
        raise _UnusualError
    try:
        return b"--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        raise _UnusualError from None


def _parts(content: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends; the line break before a boundary belongs to the boundary."""
    part, place = -1, start
    while (place := content.find(boundary, place, end)) >= 0:
        line, place = place, place + len(boundary)
        last = content.startswith(b"--", place, end)
        after = _BOUNDARY_END.match(content, place + 2 if last else place, end)
        if after is None or (line > start and content[line - 1] not in b"\r\n"):
            continue
        if part >= 0:
            stop = line - (2 if content.endswith(b"\r\n", 0, line) else 1)
            if stop < part:
                raise _UnusualError
            yield part, stop
        if last:
            if part < 0:
                raise _UnusualError
            return
        part = place = after.end()
    raise _UnusualError


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
