"""MIME parsing by the standard library's email package, on the shortest way to the same result.

What is in order is cut by hand, headers and parts. Whatever is unusual is left to the package's own parser,
which gives up on nothing; the law in the tests is that the two see the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.feedparser import BytesFeedParser
from typing import TYPE_CHECKING, TypeAlias, cast

from lorchestra.sources.mime_part import Part
from lorchestra.sources.sparse_find import sparse_find
from lorchestra.sources.transfer_encoding import Body

if TYPE_CHECKING:
    from email.message import Message

# The first end of a line that an empty line follows. The group is atomic, so that CRLF is never seen as two.
_HEAD_END = re.compile(rb"(?>\r\n|\r|\n)(?=\r\n|\r|\n)")
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")
_BOUNDARY_END = re.compile(rb"[ \t]*(?:\r\n|\r|\n|\Z)")
# A line break after which the header does not go on, by the line ends of the head.
_NEXT_HEADER = {b"\n": re.compile(r"\n(?![ \t])"), b"\r\n": re.compile(r"\r\n(?![ \t])")}
_NAMES = re.compile(r"[!-9;-~]++(?:\n[!-9;-~]++)*+")
_FED_AT_ONCE = 64 * 1024

#: A part as it is cut by hand, or by the email package.
AnyPart: TypeAlias = "Part | Message[str, str]"
#: A message nested deeper is not read as MIME. (The parser gives up where its stack happens to end.)
MAX_DEPTH = 90


class NestedTooDeeplyError(ValueError):
    """A message has more levels of parts than anyone writes."""


class _UnusualError(ValueError):
    """A message that the email package shall parse."""


@dataclass(frozen=True, slots=True)
class Head:
    """A message's headers, and where its body begins."""

    message: AnyPart
    body_start: int

    def values(self, name: str) -> list[str]:
        """The values of every header of this name, which is in lower case, as they stand.

        (They are folded, and 8-bit bytes are surrogate escapes.)
        """
        if isinstance(self.message, Part):
            return self.message.values(name)
        return [value for other, value in self.message.raw_items() if other.lower() == name]


def parse_head(content: bytes, start: int = 0, end: int | None = None) -> Head:
    """The headers alone, of a message or of a part that stands between two places of it."""
    end = len(content) if end is None else end
    newline = content.find(b"\n", start, end)
    if newline >= 0 and content[start] not in b"\r\n":
        line_end = b"\r\n" if content[newline - 1] == 0x0D else b"\n"
        found = content.find(line_end + line_end, start, end)
        stop = end if found < 0 else found + len(line_end)
        part = _regular(content[start:stop], line_end)
        if part is not None:
            return Head(part, stop if found < 0 else stop + len(line_end))
    head, body_start = _cut(content, start, end)
    return Head(_parse_all(head) if head else Part([], "", is_plain=True), body_start)


def _regular(head: bytes, line_end: bytes) -> Part | None:
    """The headers of a head all of whose lines end in the same way and belong to a header; else None."""
    returns = head.count(b"\r")
    if returns and (line_end == b"\n" or not returns == head.count(line_end) == head.count(b"\n")):
        return None
    headers = _NEXT_HEADER[line_end].split(head.removesuffix(line_end).decode("ascii", "surrogateescape"))
    try:
        fields = [(name, value.lstrip(" \t")) for name, value in [header.split(":", 1) for header in headers]]
    except ValueError:  # a line without a colon
        return None
    names = "\n".join([name for name, _ in fields])
    if not _NAMES.fullmatch(names):
        return None
    # One character is found faster than two, and most heads do not have it.
    has_words = b"?" in head and b"=?" in head
    return Part(fields, names, is_plain=head.isascii() and not has_words and b"\0" not in head)


def _cut(content: bytes, start: int, end: int) -> tuple[bytes, int]:
    if empty_line := _LINE_BREAK.match(content, start, end):
        return b"", empty_line.end()
    found = _HEAD_END.search(content, start, end)
    if found is None:
        return content[start:end], end
    separator = _LINE_BREAK.match(content, found.end(), end)
    return content[start : found.end()], separator.end() if separator else found.end()


def parse_message(content: bytes, head: Head) -> AnyPart:
    """The whole message, as `email.message_from_bytes` gives it, without what stands between its parts.

    What is in order is several times faster than the rest, which is left to the email package: a head with a
    defect, such as a line that is no header, or parts without an end.
    """
    try:
        return _in_order(content, head, len(content), depth=0)
    except _UnusualError:
        return _parse_all(content)


def headers_alone(head: Head) -> AnyPart:
    """A message of which there is nothing but the headers."""
    if isinstance(head.message, Part):
        head.message.read_parameters()
    return head.message


def _in_order(content: bytes, head: Head, end: int, *, depth: int) -> Part:
    part = head.message
    if not isinstance(part, Part) or depth > MAX_DEPTH:
        raise _UnusualError
    part.read_parameters()
    kind, _, subtype = part.get_content_type().partition("/")
    if kind == "multipart":
        if subtype == "digest":
            raise _UnusualError
        boundary = _boundary(part)
        part.parts = [
            _in_order(content, parse_head(content, begin, stop), stop, depth=depth + 1)
            for begin, stop in _parts(content, head.body_start, end, boundary)
        ]
    elif kind == "message":
        if subtype == "delivery-status":
            raise _UnusualError
        inner = parse_head(content, head.body_start, end)
        part.parts = [_in_order(content, inner, end, depth=depth + 1)]
    else:
        part.body = content[head.body_start : end]
    return part


def _boundary(part: Part) -> bytes:
    boundary = part.get_boundary()
    if not boundary:
        raise _UnusualError
    try:
        return b"--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        raise _UnusualError from None


def _parts(content: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends; the line break before a boundary belongs to the boundary."""
    part, place = -1, start
    while (line := sparse_find(content, boundary, place, end, rare=0)) >= 0:
        place = line + len(boundary)
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


def subparts(message: AnyPart) -> Sequence[AnyPart]:
    """The parts of a multipart, or the message of a message/rfc822; of anything else none."""
    if isinstance(message, Part):
        return message.parts or ()
    return cast("list[Message[str, str]]", message.get_payload()) if message.is_multipart() else ()


def transfer_decoded(message: AnyPart) -> bytes:
    """The part's own bytes, its transfer encoding undone as far as it goes."""
    return body_of(message).whole()


def body_of(message: AnyPart) -> Body:
    """The same, without decoding what may be wanted encoded."""
    if isinstance(message, Part):
        return message.decoded()
    data = message.get_payload(decode=True)
    return Body(data if isinstance(data, bytes) else b"")
