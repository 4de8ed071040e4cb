"""Ids of 16 hex digits for what the server named itself.

Mail that is there from the beginning has the ids that it was seeded with. What is inserted later the server
calls `msg_…` and its thread `thr_…`; nobody outside sees that.
"""

import re
import time
from threading import Lock

from tests.emulator.wire import Answer

_ITS_OWN = re.compile(rb'"((?:msg|thr)_[A-Za-z0-9_-]{16})"')
_OURS = re.compile(rb"\b[0-9a-f]{16}\b")


class Ids:
    """Both names of each inserted message and thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ours: dict[bytes, bytes] = {}
        self._its_own: dict[bytes, bytes] = {}

    def outward(self, answer: Answer) -> Answer:
        """The answer with our ids."""
        if b'"msg_' not in answer.body and b'"thr_' not in answer.body:
            return answer
        return Answer(answer.status, answer.headers, _ITS_OWN.sub(self._quoted, answer.body))

    def inward(self, text: str) -> str:
        """A path or a body with the server's ids."""
        if not self._its_own:
            return text
        return _OURS.sub(lambda found: self._its_own.get(found[0], found[0]), text.encode()).decode()

    def of(self, its_own: str) -> str:
        """Our name of a message or a thread."""
        with self._lock:
            name = its_own.encode()
            if name not in self._ours:
                number = (time.time_ns() // 1_000_000 << 20) | len(self._ours)
                self._ours[name] = format(number, "016x").encode()
                self._its_own[self._ours[name]] = name
            return self._ours[name].decode()

    def _quoted(self, found: re.Match[bytes]) -> bytes:
        return f'"{self.of(found[1].decode())}"'.encode()
