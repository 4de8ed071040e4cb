"""Lines of JSON in memory, read like a file."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any


class JsonLines(io.RawIOBase):
    """Lines in memory as a file that can be read and wound back, without a second copy of them.

    Each line is a sequence of pieces; all of them one after the other are the file.
    """

    def __init__(self, lines: Sequence[Sequence[bytes]]) -> None:
        self._pieces = [piece for line in lines for piece in line if piece]
        self._ends = list(accumulate(map(len, self._pieces)))
        self._at = 0

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def seekable(self) -> bool:
        """A part that was lost on the way is sent again."""
        return True

    def tell(self) -> int:
        """How many bytes were read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on elsewhere."""
        size = self._ends[-1] if self._ends else 0
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence]
        self._at = max(0, min(start + offset, size))
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is something."""
        view = memoryview(buffer).cast("B")
        filled = 0
        number = bisect_right(self._ends, self._at)
        while filled < len(view) and number < len(self._pieces):
            piece = self._pieces[number]
            begin = len(piece) - (self._ends[number] - self._at)
            part = memoryview(piece)[begin : begin + len(view) - filled]
            view[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
            if self._at == self._ends[number]:
                number += 1
        return filled
