"""Lines of JSON in memory, read like a file."""

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate


class JsonLines:
    """Lines in memory as a file that is read, and wound back to send a part again, without a copy of them.

    Each line is a sequence of pieces; all of them one after the other are the file.
    """

    def __init__(self, lines: Sequence[Sequence[bytes]]) -> None:
        self._pieces = [piece for line in lines for piece in line if piece]
        self._ends = list(accumulate(map(len, self._pieces)))
        self._size = self._ends[-1] if self._ends else 0
        self._at = 0

    def tell(self) -> int:
        """How many bytes were read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on elsewhere."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, min(start + offset, self._size))
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, never more room taken for them than they need."""
        left = self._size - self._at
        return b"".join(self._parts(left if size < 0 else min(size, left)))

    def _parts(self, size: int) -> Iterator[memoryview]:
        number = bisect_right(self._ends, self._at)
        while size > 0 and number < len(self._pieces):
            piece = self._pieces[number]
            begin = len(piece) - (self._ends[number] - self._at)
            part = memoryview(piece)[begin : begin + size]
            size -= len(part)
            self._at += len(part)
            number += self._at == self._ends[number]
            yield part
