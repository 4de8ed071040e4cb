"""Reading an mbox file message by message, in memory that its size has no part in.

A message is what stands between its `From ` line and the next one, without the one empty line that separates
the two, and with `From ` lines of its body unquoted. Line ends stay as they are, LF or CRLF.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal

from lorchestra.sources.from_line import is_separator
from lorchestra.sources.sparse_find import sparse_find
from lorchestra.sources.stored_message import HEAD_LIMIT, MIB, WHOLE_MESSAGE_LIMIT, StoredMessage

#: How the writer protected body lines that begin with `From `: every `>*From ` got one `>` (mboxrd), only
#: `From ` did (mboxo), or nothing was done.
Quoting = Literal["mboxrd", "mboxo", "none"]

_READ_AT_ONCE = 256 * 1024  # what a processor's cache holds is read faster than more
_LONGEST_LINE = 4 * MIB  # of a message too large to hold
_LOOKAHEAD = 64 * 1024  # a From line and the line after it are shorter than this, or not looked at further
_SPACE = 4  # where it stands in "From "
_LINE_FEED, _QUOTE = b"\n>"
_TAIL = 8  # holds any part of "\n\r\n" + "From " that a chunk may end in
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTED = {
    "mboxrd": re.compile(rb"^>(>*From )", re.MULTILINE),
    "mboxo": re.compile(rb"^>(From )", re.MULTILINE),
}


class NotAnMboxError(ValueError):
    """The file does not begin with a `From ` line."""


def read_mbox(stream: BinaryIO, *, name: str, quoting: Quoting) -> Iterator[tuple[StoredMessage, int]]:
    """Yield each message with the number of bytes read up to its end.

    Raises:
        NotAnMboxError: before the first message, when the file is not an mbox file.
    """
    content, from_line, offset, end = _Content(quoting), b"", -1, 0
    window = _Window(stream)
    for piece, position in _pieces(window):
        if position is None:
            content.add(piece, may_be_quoted=window.passed_quoted)
            end += len(piece)
            continue
        if offset >= 0:
            yield content.message(from_line, f"{name}:byte {offset}"), end
        content, from_line, offset, end = (
            _Content(quoting),
            piece.rstrip(b"\r\n"),
            position,
            position + len(piece),
        )
    if offset >= 0:
        yield content.message(from_line, f"{name}:byte {offset}"), end


def _pieces(window: "_Window") -> Iterator[tuple[bytes, int | None]]:
    """Yield each From line with its offset in the file, then the message's bytes in pieces, with None."""
    start = _first_from_line(window)
    while start is not None:
        after = window.line_end(start)
        yield window.data[start:after], window.offset + start
        start = None
        window.passed_quoted = False
        search = after - 1
        while start is None:
            newline = window.find_from(search)
            if newline < 0 and window.at_end:
                yield window.data[after:], None
                return
            if newline < 0 or not window.holds_two_lines(newline + 1):
                held = max(after, newline if newline >= 0 else len(window.data) - _TAIL)
                yield window.data[after:held], None
                dropped = window.advance(held - _TAIL)
                after = held - dropped
                search = max(after - 1, 0)
            elif window.begins_message(newline + 1):
                start = newline + 1
                yield window.data[after:start], None
            else:
                search = newline + 1


class _Window:
    """The part of the file in hand: `data` stands at `offset`.

    `passed_quoted` turns true when a search passes what may be a quoted `From `.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.passed_quoted = False
        self.data = stream.read(_READ_AT_ONCE)
        self.offset = 0
        self.at_end = not self.data

    def advance(self, keep_from: int) -> int:
        """Drop what stands before `keep_from`, read on, and return how many bytes were dropped."""
        dropped = max(keep_from, 0)
        chunk = self._stream.read(_READ_AT_ONCE)
        self.at_end = not chunk
        self.data = self.data[dropped:] + chunk
        self.offset += dropped
        return dropped

    def find_from(self, start: int) -> int:
        """The next line break that `From ` follows, or -1; one search for this and for quoted ones."""
        data = self.data
        while (found := sparse_find(data, b"From ", start + 1, len(data), rare=_SPACE)) >= 0:
            if data[found - 1] == _LINE_FEED:
                return found - 1
            self.passed_quoted = self.passed_quoted or data[found - 1] == _QUOTE
            start = found
        return -1

    def line_end(self, start: int) -> int:
        newline = self.data.find(b"\n", start)
        return newline + 1 if newline >= 0 else len(self.data)

    def holds_two_lines(self, start: int) -> bool:
        if self.at_end or len(self.data) - start > _LOOKAHEAD:
            return True
        first = self.data.find(b"\n", start)
        return first >= 0 and self.data.find(b"\n", first + 1) >= 0

    def begins_message(self, start: int, *, at_file_start: bool = False) -> bool:
        first = self.line_end(start)
        second = min(self.line_end(first), first + _LOOKAHEAD)
        before = self.data[max(start - 3, 0) : start]
        return is_separator(
            self.data[start : min(first, start + _LOOKAHEAD)],
            after_empty_line=at_file_start or before.endswith((b"\n\n", b"\n\r\n")),
            next_line=self.data[first:second],
        )


def _first_from_line(window: _Window) -> int | None:
    """Where the first message begins, after a byte order mark and empty lines; None in an empty file."""
    while len(window.data) < len(_BYTE_ORDER_MARK) and not window.at_end:
        window.advance(0)
    start = len(_BYTE_ORDER_MARK) if window.data.startswith(_BYTE_ORDER_MARK) else 0
    while True:
        while window.data[start : start + 1] in {b"\r", b"\n"}:
            start += 1
        if window.holds_two_lines(start):
            break
        start -= window.advance(start)
    if start == len(window.data):
        return None
    if not window.data.startswith(b"From ", start) or not window.begins_message(start, at_file_start=True):
        raise NotAnMboxError
    return start


class _Content:
    """The bytes of one message as they come in: kept up to the limit, beyond it only hashed."""

    def __init__(self, quoting: Quoting) -> None:
        self._quoted = _QUOTED.get(quoting)
        self._pieces: list[bytes] = []
        self._length = 0
        self._may_be_quoted = False
        self._large: _LargeContent | None = None

    def add(self, piece: bytes, *, may_be_quoted: bool) -> None:
        self._may_be_quoted = self._may_be_quoted or may_be_quoted
        if self._large:
            self._large.add(piece)
            return
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > WHOLE_MESSAGE_LIMIT:
            self._large = _LargeContent(self._quoted)
            for kept in self._pieces:
                self._large.add(kept)
            self._pieces.clear()

    def message(self, from_line: bytes, position: str) -> StoredMessage:
        if self._large:
            head, size, digest = self._large.finish()
            return StoredMessage(
                content=head, size=size, digest=digest, from_line=from_line, position=position
            )
        content = self._joined()
        if self._may_be_quoted:
            content = _unquote(content, self._quoted)
        return StoredMessage(
            content=content, size=len(content), digest=None, from_line=from_line, position=position
        )

    def _joined(self) -> bytes:
        """The pieces in one, without the separator; done so that a large message is copied once at most."""
        pieces = self._pieces
        while len(pieces) > 1 and len(pieces[-1]) < _TAIL:
            last = pieces.pop()
            pieces[-1] += last
        pieces[-1:] = [_without_separator(pieces[-1])] if pieces else []
        joined = b"".join(pieces)
        pieces.clear()
        return joined


class _LargeContent:
    """A message too large to hold: its head, its size and its hash."""

    def __init__(self, quoted: re.Pattern[bytes] | None) -> None:
        self._quoted = quoted
        self._sha256 = hashlib.sha256()
        self._head = b""
        self._size = 0
        self._rest = b""

    def add(self, piece: bytes) -> None:
        # Whole lines only, so that a quoted line is seen whole and the separator is still in hand at the end.
        data = self._rest + piece
        cut = data.rfind(b"\n", 0, max(len(data) - _TAIL, 0)) + 1
        if not cut and len(data) > _LONGEST_LINE:
            cut = len(data) - MIB
        self._take(data[:cut])
        self._rest = data[cut:]

    def finish(self) -> tuple[bytes, int, str]:
        self._take(_without_separator(self._rest))
        return self._head, self._size, self._sha256.hexdigest()

    def _take(self, lines: bytes) -> None:
        content = _unquote(lines, self._quoted)
        self._sha256.update(content)
        self._size += len(content)
        if len(self._head) < HEAD_LIMIT:
            self._head += content[: HEAD_LIMIT - len(self._head)]


def _without_separator(content: bytes) -> bytes:
    for empty_line in (b"\r\n", b"\n"):
        if content == empty_line or content.endswith(b"\n" + empty_line):
            return content[: -len(empty_line)]
    return content


def _unquote(content: bytes, quoted: re.Pattern[bytes] | None) -> bytes:
    return quoted.sub(rb"\1", content) if quoted and b">From " in content else content
